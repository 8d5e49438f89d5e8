"""Statistics of batch normalization for random weights, which are the control of a training."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import update_bn

from ..core.dataset import Dataset
from ..core.domain import Domain
from ..core.index import evenly_spaced
from ..core.view import View
from ..data.loader import Skipped, ViewDataset, load
from ..data.order import Once
from ..data.process import seeded
from ..data.splits import Positions
from ..data.standardize import Standardize
from ..data.views import Renderer
from ..training.device import choose_device
from ..training.probe import probe_predict
from .pretrained import Pretrained, embed

_IMAGES, _BATCH = 512, 128


def measure_statistics(
    model: Pretrained,
    dataset: Dataset,
    pool: Positions,
    domain: Domain,
    note: Callable[[Skipped, Positions], None] = lambda skipped, positions: None,
) -> None:
    """Gives random weights batch-norm statistics of training images, if these serve them better.

    A new network has the mean 0 and the variance 1 of no image. Each training measures them, even
    one with the learning rate 0, which otherwise would seem to have learned something. In deep
    networks measured statistics can also lose what tells images apart; a probe between two halves
    of the labeled images decides.

    Args:
        model: Random weights; its statistics are replaced. Without batch normalization nothing is
            done.
        dataset: The images.
        pool: Positions of training images, of which up to 512 are taken, evenly spread.
        domain: Its policy "eval" makes the views.
        note: Called with the unreadable images of each batch, and the positions of all images.
    """
    normalized = any(isinstance(layer, _BatchNorm) for layer in model.encoder.modules())
    size = min(_BATCH, len(pool))
    if not normalized or size < 2:
        return
    chosen = pool[evenly_spaced(len(pool), min(_IMAGES, len(pool) // size * size))]
    before = _accuracy(model, dataset, chosen, domain)
    new = {key: value.clone() for key, value in model.encoder.state_dict().items()}
    views = (View(model.image_size, policy="eval"),)
    images = ViewDataset(dataset, chosen, Renderer(domain.policies, views, dataset.channels, 0))
    device = choose_device()
    standardize = Standardize(model.statistics.mean, model.statistics.std, device)

    def batches() -> Iterator[Tensor]:
        for raw in load(images, Once(chosen, size), 0):
            note(raw.skipped, chosen)
            yield standardize(raw.views[0])

    with seeded(0):  # dropout, if there is any
        update_bn(batches(), model.encoder.to(device))
    if _accuracy(model, dataset, chosen, domain) < before:
        model.encoder.load_state_dict(new)


def _accuracy(model: Pretrained, dataset: Dataset, chosen: Positions, domain: Domain) -> float:
    """Returns the accuracy of a probe of every other group on the others; 0 without labels."""
    features, positions, _ = embed(model, dataset, chosen, domain, workers=0)
    labels = dataset.index.labels[positions]
    odd = np.unique(dataset.index.groups[positions], return_inverse=True)[1] % 2 == 1
    known, asked = odd & (labels >= 0), ~odd & (labels >= 0)
    if len(np.unique(labels[known])) < 2 or not asked.any():
        return 0.0
    predicted = probe_predict(features[known], labels[known], features[asked])
    return float((predicted == labels[asked]).mean())
