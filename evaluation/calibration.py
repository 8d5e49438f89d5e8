"""Statistics of batch normalization for random weights, which are the control of a training."""

from __future__ import annotations

from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import update_bn

from ..core.dataset import Dataset
from ..core.domain import Domain
from ..core.index import evenly_spaced
from ..core.view import View
from ..data.loader import ViewDataset, load
from ..data.order import Once
from ..data.splits import Positions
from ..data.standardize import Standardize
from ..data.views import Renderer
from ..training.device import choose_device
from .pretrained import Pretrained

_IMAGES, _BATCH = 512, 128


def measure_statistics(
    model: Pretrained, dataset: Dataset, pool: Positions, domain: Domain
) -> None:
    """Measures the batch-norm statistics of random weights on images of the training part.

    A new network has the mean 0 and the variance 1 of no image. Each training measures them, even
    one with the learning rate 0, which otherwise would seem to have learned something.

    Args:
        model: Random weights; its statistics are replaced. Without batch normalization nothing is
            done.
        dataset: The images.
        pool: Positions of training images, of which up to 512 are taken, evenly spread.
        domain: Its policy "eval" makes the views.
    """
    normalized = any(isinstance(layer, _BatchNorm) for layer in model.encoder.modules())
    size = min(_BATCH, len(pool))
    if not normalized or size < 2:
        return
    chosen = pool[evenly_spaced(len(pool), min(_IMAGES, len(pool) // size * size))]
    views = (View(model.image_size, policy="eval"),)
    images = ViewDataset(dataset, chosen, Renderer(domain.policies, views, dataset.channels, 0))
    device = choose_device()
    standardize = Standardize(model.statistics.mean, model.statistics.std, device)
    batches = (standardize(raw.views[0]) for raw in load(images, Once(chosen, size), 0))
    update_bn(batches, model.encoder.to(device))
