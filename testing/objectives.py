"""The rules that every objective must keep to."""

from __future__ import annotations

import tomllib

import torch

from ..core.config import validate
from ..core.errors import UsageError
from ..core.objective import Objective, Output
from ..core.view import View
from ..training.layers import merge
from ..training.settings import RunConfig
from . import toy
from .coverage import features_are_trained
from .kit import explaining, require, require_finite
from .processes import two_processes_equal_one
from .state import every_image_has_its_row, resume_is_exact, state_is_complete, teacher_follows
from .toy import SIZE, Kind, batch_for, build, config_of, loss_of, optimizer_for, step, trained
from .watching import collapse_is_seen, project_is_a_function


def declares_itself(kind: Kind) -> None:
    """It is an Objective with a docstring and documented options; `paper` is a link or empty."""
    require(issubclass(kind, Objective), f"{kind} is no subclass of ssl_kit.Objective")
    require(bool((kind.__doc__ or "").strip()), "the class has no docstring")
    paper = getattr(kind, "paper", "")
    link = not paper or paper.startswith(("https://", "http://"))
    require(link, f"`paper` is '{paper}', not a link; leave it out if there is none")
    unknown = sorted(kind.needs - {"map", "pyramid", "tokens"})
    require(not unknown, f"`needs` names {', '.join(unknown)}; there are map, pyramid and tokens")
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
    views = kind.views(config_of(kind), SIZE)
    right = isinstance(views, tuple) and bool(views) and all(isinstance(v, View) for v in views)
    require(right, f"views returns {views!r}, not a tuple of ssl_kit.View")
    for view in views:
        known = view.policy in ("default", "weak", "upright", "eval")
        require(
            known,
            f"not every domain has a policy '{view.policy}'; ask for default, weak, upright or "
            "eval",
        )
        low, high = view.scale
        require(0 < low <= high <= 1, f"{view.scale} is no range of shares of the image's area")


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
    """Twenty steps on one small batch lower the loss, or fewer lower it by a tenth."""
    objective = build(kind)
    batch = batch_for(objective)
    optimizer = optimizer_for(objective)
    losses: list[float] = []
    for n in range(1, toy.STEPS + 1):
        losses.append(float(step(objective, batch, optimizer, n)))
        first, last = sum(losses[:3]) / 3, sum(losses[-3:]) / 3
        if n >= 6 and last < first - abs(first) / 10:
            return
    require(
        last < first,
        f"the loss went from {first:.4f} to {last:.4f}; is its gradient detached or negated?",
    )


def gradients_reach_what_is_trained(kind: Kind) -> None:
    """Every trainable parameter gets a finite gradient, and no frozen one does."""
    objective = build(kind)
    batch = batch_for(objective)
    for phase in range(objective.phases):
        objective(batch, phase).loss.backward()
    for name, parameter in objective.named_parameters():
        if not parameter.requires_grad:
            require(parameter.grad is None, f"the frozen '{name}' gets a gradient")
            continue
        require(
            parameter.grad is not None,
            f"'{name}' gets no gradient; is it used in the loss and attached?",
        )
        finite = parameter.grad is not None and bool(parameter.grad.isfinite().all())
        require(finite, f"the gradient of '{name}' is not finite")
    require(
        any(p.grad is not None for p in objective.encoder.parameters()),
        "the encoder gets no gradient",
    )


def deterministic(kind: Kind) -> None:
    """The same seed gives the same loss."""
    a, b = build(kind), build(kind)
    first, second = loss_of(a, batch_for(a)), loss_of(b, batch_for(b))
    require(
        torch.equal(first, second),
        f"the loss is {float(first)}, then {float(second)}; initialize from torch's generator and "
        "draw with ssl_kit.nn.rand_per_sample",
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
        cause = "take C from encoder.channels, or refuse in __init__ with ssl_kit.UsageError"
        with explaining(f"with {channels} channels; {cause}"):
            require_finite(loss_of(objective, batch_for(objective, 4)))
    numbers, reasons = ", ".join(map(str, refused)), sorted(set(refused.values()))
    return f"refuses {numbers} channels: {' '.join(reasons)}" if refused else ""


def odd_sizes(kind: Kind) -> None:
    """It works at 48 pixels, and at 37 where the encoder does."""
    sizes = (48,) if "tokens" in kind.needs else (48, 37)
    for size in sizes:
        with explaining(f"at {size} pixels; take sizes from tensors and encoder.pyramid_shapes"):
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
        explaining("under autocast; put what compares types under @ssl_kit.nn.full_precision"),
        torch.autocast("cpu", dtype=torch.bfloat16),
    ):
        loss = loss_of(fresh, batch)
    require(
        loss.dtype == torch.float32, f"the loss is {loss.dtype}; use @ssl_kit.nn.full_precision"
    )
    near = abs(float(loss) - expected) <= 0.1 * abs(expected) + 0.1
    require(near, f"the loss is {float(loss):.4f}, and {expected:.4f} without autocast")


def processes_agree(kind: Kind) -> str:
    """Two processes with half the batch each give the loss and gradients of one with all."""
    return two_processes_equal_one(kind)


RULES = (
    declares_itself,
    config_round_trips,
    defaults_are_settings,
    asks_for_views,
    loss_is_a_finite_scalar,
    gradients_reach_what_is_trained,
    features_are_trained,
    deterministic,
    loss_falls,
    state_is_complete,
    resume_is_exact,
    small_batches,
    any_number_of_channels,
    odd_sizes,
    half_precision,
    every_image_has_its_row,
    teacher_follows,
    project_is_a_function,
    collapse_is_seen,
    processes_agree,
)
