"""Two gloo processes on this machine, for checks of computations across processes."""

from __future__ import annotations

import atexit
import importlib
import multiprocessing
import sys
import tempfile
from concurrent.futures import FIRST_EXCEPTION, BrokenExecutor, ProcessPoolExecutor, wait
from datetime import timedelta
from functools import cache, reduce
from typing import Any

import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from ..core.objective import Batch, Objective
from ..nn.batch_norm import sync_batch_norm
from .kit import CheckFailed, require
from .toy import batch_for, build

WORLD, _STEPS, _LR = 2, 2, 0.05
_PATIENCE = 180  # seconds that one process waits for the other, on a busy machine too
State = dict[str, NDArray[Any]]  # arrays, which are sent without shared memory
Trace = tuple[list[float], State]


def two_processes_equal_one(kind: type[Objective], tolerance: float = 1e-6) -> str:
    """Compares two training steps in float64: the losses, and the weights they lead to.

    Args:
        kind: Class of the objective.
        tolerance: Largest difference, relative to the largest value of a tensor.

    Returns:
        The reason why they are not compared, "" if they are.

    Raises:
        CheckFailed: If they differ, or the two processes do not finish.
    """
    if kind.processes_differ:
        return f"not compared: {kind.processes_differ}"
    start = _state(build(kind).double())
    alone_losses, alone = _run(kind, start, 0, 1)
    traces = _in_both(kind, start)
    for step, loss in enumerate(alone_losses):
        mean = sum(losses[step] for losses, _ in traces) / WORLD
        require(
            abs(mean - loss) <= tolerance * max(1.0, abs(loss)),
            f"at step {step + 1} two processes have the loss {mean:.8f}, one has {loss:.8f}; "
            "gather what the loss compares with ssl_kit.nn.all_gather, draw with rand_per_sample",
        )
    for name, value in alone.items():
        other = traces[0][1][name]
        scale = max(float(abs(value).max()), 1e-3) if value.size else 1.0
        gap = float(abs(value - other).max()) / scale if value.size else 0.0
        require(
            gap <= tolerance,
            f"'{name}' differs by {gap:.2g} after two steps; compute the whole loss in every "
            "process from what ssl_kit.nn.all_gather returns, and gather what buffers keep",
        )
    return ""


@cache
def _pool() -> ProcessPoolExecutor:
    """Starts two processes once, forked from one that has imported torch, which takes seconds.

    Windows cannot fork, so that each process imports torch there.
    """
    forks = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if forks else "spawn")
    if forks:
        context.set_forkserver_preload(["ssl_kit.testing.processes"])
    pool = ProcessPoolExecutor(WORLD, mp_context=context)
    atexit.register(pool.shutdown, wait=False, cancel_futures=True)
    return pool


def _in_both(kind: type[Objective], start: State) -> list[Trace]:
    with tempfile.TemporaryDirectory() as folder:
        work = kind.__module__, kind.__qualname__, sys.path, start, f"{folder}/store"
        futures = [_pool().submit(_member, rank, *work) for rank in range(WORLD)]
        done, pending = wait(futures, timeout=2 * _PATIENCE, return_when=FIRST_EXCEPTION)
        error = next((e for e in (future.exception() for future in done) if e), None)
        if error is None and not pending:
            return [future.result() for future in futures]
    if wait(futures, timeout=5).not_done or isinstance(error, BrokenExecutor):
        _pool().shutdown(wait=False, cancel_futures=True)  # the next check starts new ones
        _pool.cache_clear()
    if isinstance(error, CheckFailed):
        raise error
    raise CheckFailed(
        f"in two processes it fails ({error or 'they wait for each other'}); all must gather the "
        "same tensors in the same order, whatever their rank and their images"
    ) from error


def _member(rank: int, module: str, name: str, path: list[str], start: State, store: str) -> Trace:
    """Runs in each process; the class is imported by name, so that a failed import is an error."""
    torch.set_num_threads(1)
    sys.path[:] = path  # the folder of a plugin may be newer than this process
    kind = _find(module, name)
    dist.init_process_group(
        "gloo", f"file://{store}", timedelta(seconds=_PATIENCE), rank=rank, world_size=WORLD
    )
    try:
        return _run(kind, start, rank, WORLD)
    except Exception as error:  # noqa: BLE001  some errors cannot be pickled
        raise RuntimeError(f"{type(error).__name__}: {' '.join(str(error).split())}") from None
    finally:
        dist.destroy_process_group()


def _find(module: str, name: str) -> Any:
    try:
        return reduce(getattr, name.split("."), importlib.import_module(module))
    except (ImportError, AttributeError) as error:
        raise CheckFailed(f"'{module}:{name}' cannot be imported by name: {error}") from error


def _run(kind: type[Objective], start: State, rank: int, world: int) -> Trace:
    """Takes plain SGD steps with gradients averaged over processes, as DDP does."""
    objective = sync_batch_norm(build(kind).double())
    objective.load_state_dict({name: torch.from_numpy(value) for name, value in start.items()})
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
            _descend(objective, world)
        objective.after_step(step, 30)
        losses.append(float(loss.detach()))
    return losses, {k: v for k, v in _state(objective).items() if v.dtype.kind == "f"}


@torch.no_grad()
def _descend(objective: Objective, world: int) -> None:
    for parameter in objective.parameters():
        if parameter.grad is not None:
            if world > 1:
                dist.all_reduce(parameter.grad)
            parameter.sub_(parameter.grad, alpha=_LR / world)


def _state(objective: Objective) -> State:
    return {name: value.numpy(force=True).copy() for name, value in objective.state_dict().items()}


def _rows(batch: Batch, rows: Tensor) -> Batch:
    views = tuple(view[rows].double() for view in batch.views)
    keys = tuple(batch.keys[i] for i in rows.tolist())
    frames = tuple(frame[rows].double() for frame in batch.frames)
    return Batch(
        views, batch.indices[rows], batch.groups[rows], batch.positions[rows], keys, frames
    )
