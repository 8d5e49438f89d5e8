"""Two gloo processes on this machine, for checks of what is computed across processes."""

from __future__ import annotations

import atexit
import multiprocessing
import tempfile
from concurrent.futures import Future, ProcessPoolExecutor
from functools import cache
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from ssl_kit.core.objective import Batch, Objective
from ssl_kit.core.parallel import sync_batch_norm

from .kit import require

WORLD, _STEPS, _LR = 2, 2, 0.05
Trace = tuple[list[float], dict[str, Tensor]]


def two_processes_equal_one(kind: type[Objective], tolerance: float = 1e-6) -> None:
    """Compares two training steps in float64: the losses, and the weights they lead to.

    Args:
        kind: The objective.
        tolerance: Largest difference, relative to the largest value of a tensor.
    """
    if kind.processes_differ:
        return
    alone_losses, alone = _run(kind, 0, 1)
    traces = [future.result(timeout=120) for future in _in_both(kind)]
    for step, loss in enumerate(alone_losses):
        mean = sum(losses[step] for losses, _ in traces) / WORLD
        require(
            abs(mean - loss) <= tolerance * max(1.0, abs(loss)),
            f"at step {step + 1} two processes have the loss {mean:.8f}, one has {loss:.8f}; "
            "gather what the loss compares with ssl_kit.gather",
        )
    for name, value in alone.items():
        other = traces[0][1][name]
        scale = max(float(value.abs().max()), 1e-3) if value.numel() else 1.0
        gap = float((value - other).abs().max()) / scale if value.numel() else 0.0
        require(
            gap <= tolerance, f"'{name}' differs by {gap:.2g} after two steps; is a gradient lost?"
        )


@cache
def _pool() -> ProcessPoolExecutor:
    """Two processes that stay: starting them costs seconds."""
    pool = ProcessPoolExecutor(WORLD, mp_context=multiprocessing.get_context("spawn"))
    atexit.register(pool.shutdown, wait=False, cancel_futures=True)
    return pool


def _in_both(kind: type[Objective]) -> list[Future[Trace]]:
    store = Path(tempfile.mkdtemp()) / "store"
    return [_pool().submit(_member, kind, rank, str(store)) for rank in range(WORLD)]


def _member(kind: type[Objective], rank: int, store: str) -> Trace:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=WORLD)
    try:
        return _run(kind, rank, WORLD)
    finally:
        dist.destroy_process_group()


def _run(kind: type[Objective], rank: int, world: int) -> Trace:
    """Takes plain SGD steps; gradients are averaged over processes, as torch's DDP does."""
    from .objectives import batch_for, build

    objective = sync_batch_norm(build(kind).double())
    whole = batch_for(objective)
    order = torch.cat([whole.indices[part::WORLD] for part in range(WORLD)])
    share = len(whole) // world
    batch = _rows(whole, order[rank * share : (rank + 1) * share])
    losses = []
    for step in range(1, _STEPS + 1):
        torch.manual_seed(step)
        for phase in range(objective.phases):
            objective.zero_grad()
            loss = objective(batch, phase).loss
            loss.backward()
            with torch.no_grad():
                for parameter in objective.parameters():
                    if parameter.grad is not None:
                        if world > 1:
                            dist.all_reduce(parameter.grad)
                        parameter.sub_(parameter.grad, alpha=_LR / world)
        objective.after_step(step, 30)
        losses.append(float(loss.detach()))
    state = {
        k: v.detach().clone() for k, v in objective.state_dict().items() if v.is_floating_point()
    }
    return losses, state


def _rows(batch: Batch, rows: Tensor) -> Batch:
    views = tuple(view[rows].double() for view in batch.views)
    keys = tuple(batch.keys[i] for i in rows.tolist())
    frames = tuple(frame[rows].double() for frame in batch.frames)
    return Batch(
        views, batch.indices[rows], batch.groups[rows], batch.positions[rows], keys, frames
    )
