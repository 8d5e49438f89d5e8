import gc
import multiprocessing
import os
import signal
import sys
import time
from itertools import islice

import numpy as np
import psutil
import pytest
import torch
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from ssl_kit import PluginError, RunError, View
from ssl_kit.core.discovery import domains
from ssl_kit.data.loader import ViewDataset, load
from ssl_kit.data.order import Stream
from ssl_kit.data.views import Renderer
from ssl_kit.data.workers import StopFlag, WorkerLoader, _kill, choose_workers

POOL = np.arange(12)


@pytest.fixture
def views(memory_dataset, monkeypatch):
    """Views of noise; dead processes are noticed at once, not within five seconds."""
    monkeypatch.setattr(_MultiProcessingDataLoaderIter._try_get_data, "__defaults__", (0.1,))
    images = np.random.default_rng(0).integers(0, 255, (12, 12, 12, 1), dtype=np.uint8)
    dataset = memory_dataset(list(images))
    renderer = Renderer(domains["natural"].policies, (View(8),), dataset.channels, 0)
    return ViewDataset(dataset, POOL, renderer)


def order():
    return Stream(POOL, 4, seed=0)


@pytest.fixture
def workers():
    """Returns the loading processes that a test has started, as long as they run."""
    others = set(multiprocessing.active_children())
    return lambda: [one for one in multiprocessing.active_children() if one not in others]


def test_signals_that_stop_a_run_leave_its_workers_alone(views, workers):
    batches = load(views, order(), 2)
    next(batches)
    for worker in workers():
        os.kill(worker.pid, signal.SIGTERM)
        os.kill(worker.pid, signal.SIGINT)
    time.sleep(0.05)
    assert len(list(islice(batches, 12))) == 12
    assert len(workers()) == 2
    batches.close()
    assert not workers()


def test_workers_end_where_the_loader_lies_in_a_cycle(views, workers):
    holder = [load(views, order(), 2)]
    next(holder[0])
    holder.append(holder)
    del holder
    gc.collect()
    assert not workers()


def test_a_process_that_inherits_workers_leaves_them_alone(views, workers):
    batches = load(views, order(), 1)
    next(batches)
    with multiprocessing_method("fork"):
        heir = multiprocessing.Process(target=_kill, args=(workers(), os.getpid()))
    heir.start()
    heir.join()
    assert len(list(islice(batches, 6))) == 6
    batches.close()


def test_a_worker_that_was_killed_changes_no_batch(views, workers, caplog):
    expected = list(islice(load(views, order(), 0), 20))
    batches = load(views, order(), 2)
    made = [next(batches)]
    os.kill(workers()[0].pid, signal.SIGKILL)
    made += islice(batches, 19)
    for one, two in zip(expected, made, strict=True):
        assert torch.equal(one.views[0], two.views[0])
    assert "ended a loading process, most often because memory is short. 1 load" in caplog.text


def test_a_worker_may_die_while_it_looks_whether_it_is_to_end(views, workers, monkeypatch):
    is_set = StopFlag.is_set

    def die(flag):
        if multiprocessing.parent_process():
            os.kill(os.getpid(), signal.SIGKILL)
        return is_set(flag)

    monkeypatch.setattr(StopFlag, "is_set", die)
    with multiprocessing_method("fork"), pytest.raises(RunError, match="memory is short"):
        list(load(views, order(), 2))
    assert not workers()


def test_no_lock_is_shared_by_those_that_look_whether_they_are_to_end(views):
    batches = WorkerLoader(views, sampler=order(), batch_size=None, num_workers=1)._start()
    assert isinstance(batches._workers_done_event, StopFlag)
    assert not hasattr(batches._workers_done_event._value, "get_lock")


def test_the_death_of_the_last_worker_is_one_line(views, workers):
    batches = load(views, order(), 1)
    next(batches)
    os.kill(workers()[0].pid, signal.SIGKILL)
    with pytest.raises(RunError, match=r"memory is short. Lower train.workers"):
        list(islice(batches, 20))


def test_the_end_of_a_worker_raises_nothing_elsewhere(views):
    before = signal.getsignal(signal.SIGCHLD)
    next(load(views, order(), 1))
    assert signal.getsignal(signal.SIGCHLD) == before


def test_images_that_cannot_be_sent_are_one_line(views):
    views._dataset.reader = lambda: None
    with multiprocessing_method("spawn"), pytest.raises(PluginError, match=r"train.workers=0"):
        next(load(views, order(), 1))


class multiprocessing_method:
    """Starts processes as other systems do."""

    def __init__(self, name):
        self.name, self.before = name, multiprocessing.get_start_method()

    def __enter__(self):
        multiprocessing.set_start_method(self.name, force=True)

    def __exit__(self, *args):
        multiprocessing.set_start_method(self.before, force=True)


def test_macos_and_windows_do_not_tell_the_usable_cores(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert choose_workers(-1) == 3


def test_more_workers_than_cores_are_said_once(monkeypatch, caplog):
    monkeypatch.setattr("ssl_kit.data.workers.usable_cores", lambda: 1)
    assert [choose_workers(64), choose_workers(64)] == [64, 64]
    assert caplog.messages == [
        "64 loading processes share 1 core, which is seldom faster. Leave --workers out, and their "
        "number is chosen."
    ]


class Collecting(torch.utils.data.Dataset):
    """Numbers; each one is preceded by a collection of garbage in the process that loads it."""

    def __len__(self):
        return 2

    def __getitem__(self, number):
        gc.collect()
        return number


def test_a_loader_that_is_garbage_while_another_one_starts_says_nothing(capfd, monkeypatch):
    def hook(what):
        os.write(2, f"Exception ignored: {what.exc_value}".encode())

    monkeypatch.setattr(sys, "unraisablehook", hook)  # pytest's says nothing in other processes
    gc.disable()
    try:
        holder = [iter(WorkerLoader(Collecting(), num_workers=1))]
        next(holder[0])
        holder.append(holder)
        del holder
        assert len(list(WorkerLoader(Collecting(), num_workers=1))) == 2
        assert not gc.isenabled()
    finally:
        gc.enable()
    assert "Exception ignored" not in capfd.readouterr().err


class Resident(torch.utils.data.Dataset):
    """The resident memory of the process that loads, in bytes."""

    def __len__(self):
        return 1

    def __getitem__(self, number):
        return psutil.Process().memory_info().rss


def resident():
    return int(next(iter(WorkerLoader(Resident(), num_workers=1))))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes are not forked")
def test_loading_processes_have_no_copy_of_freed_memory():
    before = resident()
    arrays = [np.ones(12_500) for _ in range(4_000)]  # 400 MB
    kept = arrays[::100]  # so that the C library keeps the others when they are freed
    arrays.clear()
    assert resident() < before + 10**8
    assert len(kept) == 40
