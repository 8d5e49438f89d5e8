"""Rules on what the collapse watch sees of an objective."""

from __future__ import annotations

import contextlib
import copy

import numpy as np
import torch

from ..core.dataset import Dataset, Image
from ..core.index import Index
from ..core.view import View
from ..data.loader import ViewDataset
from ..data.standardize import Standardize
from ..data.views import Renderer, plain
from ..training.collapse import VIEWS, Watch
from .kit import explaining, require, require_finite
from .toy import SIZE, Kind, batch_for, build, optimizer_for, step

_RGB = ("red", "green", "blue")


@torch.no_grad()
def project_is_a_function(kind: Kind) -> str:
    """In evaluation mode `project` is a function of each image's features, and changes nothing."""
    objective = build(kind).eval()
    features = torch.randn(6, objective.encoder.num_features)
    before, random = copy.deepcopy(objective.state_dict()), torch.get_rng_state()
    z = objective.project(features)
    if z is None:
        return "has no `projector`: the collapse watch looks at features only"
    require(z.ndim == 2 and len(z) == 6, f"6 features are projected to {tuple(z.shape)}")
    alone = objective.project(features[:3])
    near = alone is not None and torch.allclose(alone, z[:3], rtol=1e-3, atol=1e-4)
    drawn = not torch.equal(torch.get_rng_state(), random)
    require(
        near and not drawn,
        "projections are noisy or depend on the rest of the batch; the collapse watch needs them "
        "to be deterministic",
    )
    changed = [k for k, v in objective.state_dict().items() if not torch.equal(v, before[k])]
    require(not changed, f"`project` changes {', '.join(changed)}; it must not")
    return ""


class _Blank(Dataset):
    """Equal images, such as the margins of a scan."""

    channels = _RGB

    def prepare(self) -> None:
        self.index = Index.build([f"blank{i}" for i in range(32)])

    def read(self, i: int) -> Image:
        return np.full((SIZE, SIZE, 3), 160, np.uint8)


def collapse_is_seen(kind: Kind) -> None:
    """On equal images the loss is finite, and the collapse watch says COLLAPSED."""
    objective, pool = build(kind), np.arange(32)
    renderer = Renderer({"default": plain}, (View(SIZE),) * VIEWS, _RGB, 0)
    standardize = Standardize([0.5] * 3, [0.25] * 3, "cpu")
    watch = Watch(ViewDataset(_Blank(), pool, renderer), pool, standardize)
    watch.all_equal = False  # so that it looks at the features
    optimizer = optimizer_for(objective)
    batch = batch_for(objective)
    batch.views = tuple(torch.full_like(view, 0.5) for view in batch.views)
    watch.judge(watch.look(objective, contextlib.nullcontext), None, objective.encoder.num_features)
    for n in range(1, 4):
        with explaining("on equal images; add a small number to what divides or is inverted"):
            loss = float(require_finite(step(objective, batch, optimizer, n)))
    measures = watch.look(objective, contextlib.nullcontext)
    for _ in range(2):  # one low value may be chance
        verdict = watch.judge(measures, loss, objective.encoder.num_features)
    require(
        verdict == "COLLAPSED",
        f"the watch says {verdict}: equal images have different features; is noise or dropout left "
        "on in evaluation mode?",
    )
