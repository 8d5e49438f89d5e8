"""Rules on the state of objectives: checkpoints, rows per image and teachers."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ..core.objective import Objective
from ..nn.teacher import Teacher
from . import toy
from .kit import explaining, require, require_finite
from .toy import Kind, batch_for, build, loss_of, optimizer_for, step, trained


def state_is_complete(kind: Kind) -> None:
    """A checkpoint restores everything: a fresh object that loads it has the same loss."""
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
    """Saved and loaded after three steps, it takes the next two steps exactly."""
    objective, optimizer, batch = trained(kind)
    fresh = build(kind, seed=1)
    fresh.load_state_dict(copy.deepcopy(objective.state_dict()))
    fresh_optimizer = optimizer_for(fresh)
    fresh_optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    random = torch.get_rng_state()
    for which, its_optimizer in ((objective, optimizer), (fresh, fresh_optimizer)):
        torch.set_rng_state(random)
        for n in range(4, 6):
            step(which, batch, its_optimizer, n)
    state = fresh.state_dict()
    for name, value in objective.state_dict().items():
        require(
            torch.equal(value, state[name]),
            f"'{name}' differs after a resume; keep what `after_step` counts in a buffer",
        )


def every_image_has_its_row(kind: Kind) -> None:
    """It works for the last image of a large dataset."""
    images = 1000
    objective = build(kind, images=images)
    batch = batch_for(objective)
    batch.indices = batch.indices + images - len(batch)
    with explaining("allocate buffers with a row per image in `prepare`, training.images rows"):
        require_finite(loss_of(objective, batch))
        objective.after_step(1, toy.STEPS)


def _teachers(objective: Objective) -> Iterator[tuple[str, nn.Module, nn.Module]]:
    """Yields name, module and student of each part of each `nn.Teacher`."""
    for module in objective.modules():
        for name, teacher in module.named_children():
            if isinstance(module, Objective) and isinstance(teacher, Teacher):
                yield f"{name}.encoder", teacher.encoder, module.encoder
                if teacher.projector is not None:
                    yield f"{name}.projector", teacher.projector, module.projector


def _values(module: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


def teacher_follows(kind: Kind) -> str:
    """A teacher has no gradient, and `after_step` alone moves it, by a moving average."""
    objective = build(kind).double()
    teachers = list(_teachers(objective))
    if not teachers:
        return "has no `nn.Teacher`"
    batch = batch_for(objective)
    batch.views = tuple(view.double() for view in batch.views)
    batch.frames = tuple(frame.double() for frame in batch.frames)
    before = [_values(teacher) for _, teacher, _ in teachers]
    toy.optimize(objective, batch, optimizer_for(objective))
    for (name, teacher, _), old in zip(teachers, before, strict=True):
        trainable = any(parameter.requires_grad for parameter in teacher.parameters())
        require(not trainable, f"'{name}' takes a gradient; copy it with ssl_kit.nn.Teacher")
        require(
            torch.equal(_values(teacher), old),
            f"'{name}' moves before `after_step`; call `teacher.update` there and nowhere else",
        )
    with torch.no_grad():  # so far from the teacher that rounding does not matter
        for parameter in objective.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
    objective.after_step(1, toy.STEPS)
    for (name, teacher, student), old in zip(teachers, before, strict=True):
        _require_average(name, old, _values(teacher), _values(student))
    return ""


def _require_average(name: str, old: Tensor, new: Tensor, student: Tensor) -> None:
    """Requires that new = m old + (1 - m) student for one m in [0, 1)."""
    gap = old - student
    momentum = float((new - student) @ gap / (gap @ gap))
    require(
        0 <= momentum < 1 - 1e-9,
        f"'{name}' does not move towards the student (m = {momentum:.4g}); pass the encoder and "
        "the projector to `teacher.update` in `after_step`",
    )
    error = float((new - (momentum * old + (1 - momentum) * student)).abs().max())
    require(
        error <= 1e-6 * float(gap.abs().max()),
        f"'{name}' is no moving average m * teacher + (1 - m) * student: it is off by {error:.2g} "
        f"for m = {momentum:.4g}; use ssl_kit.nn.Teacher.update",
    )
