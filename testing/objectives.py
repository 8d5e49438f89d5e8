"""What every objective must keep to."""

from __future__ import annotations

import contextlib
import copy
import tomllib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.config import validate
from ..core.dataset import Dataset, Image
from ..core.errors import UsageError
from ..core.index import Index
from ..core.objective import Batch, Objective, Output, TrainingInfo
from ..core.view import View
from ..data.loader import ViewDataset
from ..data.standardize import Standardize
from ..data.views import Renderer, plain
from ..nn.weights import create_encoder
from ..training.collapse import VIEWS, Watch
from ..training.settings import RunConfig, merge
from .kit import explaining, require
from .processes import two_processes_equal_one

Kind = type[Objective]
_SIZE, _STEPS, _IMAGES = 32, 20, 16
_RGB = ("red", "green", "blue")


def build(
    kind: Kind, channels: int = 3, size: int = _SIZE, seed: int = 0, images: int = _IMAGES
) -> Objective:
    """Makes an objective on the smallest encoder that has what it needs."""
    torch.manual_seed(seed)
    for name in ("test_resnet", "test_vit"):
        encoder = create_encoder(name, channels, size)
        if kind.needs <= encoder.provides:
            objective = kind(encoder, config_of(kind))
            seen = (0.5,) * channels, (0.25,) * channels
            objective.prepare(TrainingInfo(images, 4, *seen))
            return objective
    raise UsageError(f"No small encoder has {', '.join(sorted(kind.needs))}.")


def config_of(kind: Kind) -> Any:
    """Returns the options that checks build an objective with."""
    return kind.Config.model_validate(dict(kind.example))


def batch_for(objective: Objective, images: int = 8, size: int = _SIZE, seed: int = 0) -> Batch:
    """Makes views of smooth random images: each a shifted, dimmed version of its image."""
    random = torch.Generator().manual_seed(seed)
    channels = objective.encoder.channels
    coarse = torch.randn(images, channels, 6, 6, generator=random)
    views, frames = [], []
    for view in objective.views(objective.config, size):
        image = torch.nn.functional.interpolate(coarse, view.size + 8, mode="bicubic")
        y, x = torch.randint(0, 9, (2,), generator=random).tolist()
        gain = 0.8 + 0.4 * torch.rand(images, 1, 1, 1, generator=random)
        views.append((gain * image[..., y : y + view.size, x : x + view.size]).contiguous())
        corner = torch.tensor([[1.0, 0, x], [0, 1, y]]) / (view.size + 8)
        frames.append(corner.repeat(images, 1, 1) if view.locate else torch.zeros(images, 0, 3))
    rows = torch.arange(images)
    keys = tuple(f"image{i}" for i in range(images))
    return Batch(tuple(views), rows, rows, torch.zeros(images, 0), keys, tuple(frames))


def step(objective: Objective, batch: Batch, optimizer: torch.optim.Optimizer, n: int) -> Tensor:
    """Takes all phases of training step n (from 1) and returns the loss of the last."""
    for phase in range(objective.phases):
        output = objective(batch, phase)
        output.loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    objective.after_step(n, _STEPS)
    loss: Tensor = output.loss.detach()
    return loss


def trained(kind: Kind, steps: int = 3) -> tuple[Objective, torch.optim.Optimizer, Batch]:
    """Returns an objective after a few steps on one batch."""
    objective = build(kind)
    batch = batch_for(objective)
    optimizer = _optimizer(objective)
    for n in range(1, steps + 1):
        step(objective, batch, optimizer, n)
    return objective, optimizer, batch


def _optimizer(objective: Objective) -> torch.optim.Optimizer:
    trainable = [p for p in objective.parameters() if p.requires_grad]
    return torch.optim.AdamW(trainable, lr=1e-3, fused=True)


def loss_of(objective: Objective, batch: Batch, seed: int = 0) -> Tensor:
    """Returns the loss of the first phase under a seed."""
    torch.manual_seed(seed)
    loss: Tensor = objective(batch, 0).loss.detach()
    return loss


def require_finite(loss: Tensor) -> Tensor:
    """Returns a loss that is finite; raises CheckFailed for another."""
    require(bool(loss.isfinite()), f"the loss is {float(loss)}")
    return loss


def declares_itself(kind: Kind) -> None:
    """It is an Objective with a docstring, a link to its paper and documented options."""
    require(issubclass(kind, Objective), f"{kind} is no subclass of ssl_kit.Objective")
    require(bool((kind.__doc__ or "").strip()), "the class has no docstring")
    paper = getattr(kind, "paper", "")
    require(paper.startswith("http"), f"`paper` is '{paper}', not a link")
    unknown = sorted(kind.needs - {"map", "pyramid", "tokens"})
    require(not unknown, f"`needs` names {', '.join(unknown)}; there are map, levels and tokens")
    bare = [name for name, f in kind.Config.model_fields.items() if not f.description]
    require(not bare, f"options without Field(description=...): {', '.join(bare)}")


def config_round_trips(kind: Kind) -> None:
    """Its options survive config.toml, and an unknown one is refused."""
    import tomli_w

    config = config_of(kind)
    text = tomli_w.dumps(config.model_dump(exclude_none=True))
    again = kind.Config.model_validate(tomllib.loads(text))
    require(again == config, "options read back from TOML differ; use plain types")
    try:
        kind.Config.model_validate({**kind.example, "no_such_option": 1})
    except ValueError:
        return
    require(False, "an unknown option is accepted; derive Config from ssl_kit.Config")


def defaults_are_settings(kind: Kind) -> None:
    """Its `defaults` are settings of a run."""
    validate(RunConfig, merge({"domain": ""}, kind.defaults))


def asks_for_views(kind: Kind) -> None:
    """`views` returns a tuple of Views that every domain can make."""
    views = kind.views(config_of(kind), _SIZE)
    right = isinstance(views, tuple) and bool(views) and all(isinstance(v, View) for v in views)
    require(right, f"views returns {views!r}, not a tuple of ssl_kit.View")
    for view in views:
        known = view.policy in ("default", "weak", "upright", "eval")
        require(known, f"not every domain has a policy '{view.policy}'; ask for default, weak, "
                "upright or eval")  # fmt: skip
        low, high = view.scale
        require(0 < low <= high <= 1, f"{view.scale} is no range of shares of an image's area")


def loss_is_a_finite_scalar(kind: Kind) -> None:
    """`forward` returns an Output with a finite scalar loss and detached metrics."""
    objective = build(kind)
    for phase in range(objective.phases):
        output = objective(batch_for(objective), phase)
        require(isinstance(output, Output), f"forward returns {type(output).__name__}, no Output")
        require(output.loss.ndim == 0, f"the loss has shape {tuple(output.loss.shape)}; reduce it")
        require(bool(output.loss.isfinite()), f"the loss is {float(output.loss.detach())}")
        attached = [name for name, m in output.metrics.items() if m.requires_grad]
        require(not attached, f"metrics still attached to the graph: {attached}; detach them")


def loss_falls(kind: Kind) -> None:
    """Twenty steps on one small batch lower the loss."""
    objective = build(kind)
    batch = batch_for(objective)
    optimizer = _optimizer(objective)
    losses = [float(step(objective, batch, optimizer, n + 1)) for n in range(_STEPS)]
    first, last = sum(losses[:3]) / 3, sum(losses[-3:]) / 3
    require(
        last < first,
        f"the loss went from {first:.4f} to {last:.4f}; is its gradient cut off or turned round?",
    )


def gradients_reach_what_is_trained(kind: Kind) -> None:
    """Every trainable parameter gets a finite gradient, and nothing frozen does."""
    objective = build(kind)
    batch = batch_for(objective)
    for phase in range(objective.phases):
        objective(batch, phase).loss.backward()
    for name, parameter in objective.named_parameters():
        if not parameter.requires_grad:
            require(parameter.grad is None, f"the frozen '{name}' gets a gradient")
            continue
        require(parameter.grad is not None, f"'{name}' gets no gradient; is it used and attached?")
        finite = parameter.grad is not None and bool(parameter.grad.isfinite().all())
        require(finite, f"the gradient of '{name}' is not finite")
    require(
        any(p.grad is not None for p in objective.encoder.parameters()), "the encoder is cut off"
    )


def state_is_complete(kind: Kind) -> None:
    """A trained objective's state dict gives a fresh object the same loss."""
    objective, _, batch = trained(kind)
    fresh = build(kind, seed=1)
    fresh.load_state_dict(copy.deepcopy(objective.state_dict()))
    before, after = loss_of(objective, batch), loss_of(fresh, batch)
    require(
        torch.equal(before, after),
        f"the loss is {float(before):.6f}, and {float(after):.6f} after saving and loading; keep "
        "all state in parameters, submodules or buffers",
    )


def resume_is_exact(kind: Kind) -> None:
    """Saved and loaded after three steps, it takes the next three as if nothing had happened."""
    objective, optimizer, batch = trained(kind)
    fresh = build(kind, seed=1)
    fresh.load_state_dict(copy.deepcopy(objective.state_dict()))
    again = _optimizer(fresh)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    random = torch.get_rng_state()
    for one, its in ((objective, optimizer), (fresh, again)):
        torch.set_rng_state(random)
        for n in range(4, 7):
            step(one, batch, its, n)
    own = fresh.state_dict()
    for name, value in objective.state_dict().items():
        require(
            torch.equal(value, own[name]),
            f"'{name}' differs after a resume; keep what `after_step` counts in a buffer",
        )


def deterministic(kind: Kind) -> None:
    """The same seed gives the same loss."""
    a, b = build(kind), build(kind)
    first, second = loss_of(a, batch_for(a)), loss_of(b, batch_for(b))
    require(
        torch.equal(first, second),
        f"the loss is {float(first)}, then {float(second)}; initialize from torch's generator and "
        "draw with ssl_kit.rand_per_sample",
    )


def any_number_of_channels(kind: Kind) -> str:
    """It works with 1, 2, 3, 4 and 13 channels, or refuses a number saying why."""
    refused = {}
    for channels in (1, 2, 3, 4, 13):
        try:
            objective = build(kind, channels)
        except UsageError as error:
            require(channels != 3, f"it refuses 3 channels: {error}")
            refused[channels] = str(error)
            continue
        with explaining(f"with {channels} channels; take C from encoder.channels, or refuse in "
                        "__init__ with ssl_kit.UsageError"):  # fmt: skip
            require_finite(loss_of(objective, batch_for(objective, 4)))
    numbers, reasons = ", ".join(map(str, refused)), sorted(set(refused.values()))
    return f"refuses {numbers} channels: {' '.join(reasons)}" if refused else ""


def odd_sizes(kind: Kind) -> None:
    """It works at 48 pixels, and at 37 where the encoder does."""
    sizes = (48,) if "tokens" in kind.needs else (48, 37)
    for size in sizes:
        with explaining(f"at {size} pixels; take sizes from tensors and encoder.level_shapes"):
            objective = build(kind, size=size)
            require_finite(loss_of(objective, batch_for(objective, 4, size)))


def small_batches(kind: Kind) -> None:
    """A batch of 2, and a short one after a longer one, work."""
    objective, _, _ = trained(kind, 1)
    for images in (8, 5, 2):
        with explaining(f"with {images} images; is the size of an earlier batch kept?"):
            require_finite(loss_of(objective, batch_for(objective, images)))


def half_precision(kind: Kind) -> None:
    """Under bfloat16 autocast the loss is finite, float32, and near the one without."""
    objective = build(kind)
    batch = batch_for(objective)
    expected = float(loss_of(objective, batch))
    fresh = build(kind)
    with (
        explaining("under autocast; put what compares types under @ssl_kit.full_precision"),
        torch.autocast("cpu", dtype=torch.bfloat16),
    ):
        loss = loss_of(fresh, batch)
    require(loss.dtype == torch.float32, f"the loss is {loss.dtype}; use @ssl_kit.full_precision")
    near = abs(float(loss) - expected) <= 0.1 * abs(expected) + 0.1
    require(near, f"the loss is {float(loss):.4f}, and {expected:.4f} without autocast")


def processes_agree(kind: Kind) -> str:
    """Two processes with half the batch each give the loss and gradients of one with all."""
    return two_processes_equal_one(kind)


def every_image_has_its_row(kind: Kind) -> None:
    """It works for the last image of a large dataset."""
    images = 1000
    objective = build(kind, images=images)
    batch = batch_for(objective)
    batch.indices = batch.indices + images - len(batch)
    with explaining("buffers with a row per image are made in `prepare`, training.images rows"):
        require_finite(loss_of(objective, batch))
        objective.after_step(1, _STEPS)


@torch.no_grad()
def project_is_a_function(kind: Kind) -> str:
    """In evaluation mode `project` is a function of each image's features, and changes nothing."""
    objective = build(kind).eval()
    features = torch.randn(6, objective.encoder.num_features)
    before, random = copy.deepcopy(objective.state_dict()), torch.get_rng_state()
    z = objective.project(features)
    if z is None:
        return "has no `project`: the watch looks at features only"
    require(z.ndim == 2 and len(z) == 6, f"6 features are projected to {tuple(z.shape)}")
    alone = objective.project(features[:3])
    near = alone is not None and torch.allclose(alone, z[:3], rtol=1e-3, atol=1e-4)
    drawn = not torch.equal(torch.get_rng_state(), random)
    require(near and not drawn, "projections are noisy or depend on the rest of the batch; the "
            "collapse watch needs plain ones")  # fmt: skip
    changed = [k for k, v in objective.state_dict().items() if not torch.equal(v, before[k])]
    require(not changed, f"looking changes {', '.join(changed)}; `project` must not")
    return ""


class _Blank(Dataset):
    """Images that are all equal, such as the margins of a scan."""

    channels = _RGB

    def prepare(self) -> None:
        self.index = Index.build([f"blank{i}" for i in range(32)])

    def read(self, i: int) -> Image:
        return np.full((_SIZE, _SIZE, 3), 160, np.uint8)


def collapse_is_seen(kind: Kind) -> None:
    """On images that are all alike the loss is finite, and the collapse watch says COLLAPSED."""
    objective, pool = build(kind), np.arange(32)
    renderer = Renderer({"default": plain}, (View(_SIZE),) * VIEWS, _RGB, 0)
    standardize = Standardize([0.5] * 3, [0.25] * 3, "cpu")
    watch = Watch(ViewDataset(_Blank(), pool, renderer), pool, standardize)
    optimizer = _optimizer(objective)
    batch = batch_for(objective)
    batch.views = tuple(torch.full_like(view, 0.5) for view in batch.views)
    watch.judge(watch.look(objective, contextlib.nullcontext), None, objective.encoder.num_features)
    for n in range(1, 4):
        with explaining("on equal images; add a small number to what divides or is inverted"):
            loss = float(require_finite(step(objective, batch, optimizer, n)))
    seen = watch.look(objective, contextlib.nullcontext)
    for _ in range(2):  # low once may be chance
        verdict = watch.judge(seen, loss, objective.encoder.num_features)
    require(verdict == "COLLAPSED", f"the watch says {verdict}: equal images have different "
            "features; is noise or dropout left on in evaluation mode?")  # fmt: skip


RULES = (
    declares_itself,
    config_round_trips,
    defaults_are_settings,
    asks_for_views,
    loss_is_a_finite_scalar,
    gradients_reach_what_is_trained,
    deterministic,
    loss_falls,
    state_is_complete,
    resume_is_exact,
    small_batches,
    any_number_of_channels,
    odd_sizes,
    half_precision,
    every_image_has_its_row,
    project_is_a_function,
    collapse_is_seen,
    processes_agree,
)
