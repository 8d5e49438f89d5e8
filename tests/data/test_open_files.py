import multiprocessing
import os
import pickle

import pytest

from ssl_kit import DataError
from ssl_kit.data import OpenFiles, keep_open


class Handle:
    def __init__(self, path):
        self.path, self.process, self.closed = path, os.getpid(), False

    def close(self):
        self.closed = True


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{i}.bin" for i in range(3)]
    for path in paths:
        path.write_bytes(b"x")
    return paths


@keep_open(2)
def opened(path, mode="r"):
    """Opens a file."""
    return Handle(path)


def test_a_file_is_opened_once_for_equal_arguments(files):
    assert opened(files[0]) is opened(files[0])
    assert opened(files[0], "w") is not opened(files[0])


def test_the_file_that_was_used_longest_ago_is_closed(files):
    store = OpenFiles(Handle, 2)
    first, second = store(files[0]), store(files[1])
    assert store(files[0]) is first
    store(files[2])
    assert second.closed
    assert not first.closed
    assert len(store) == 2


def test_a_file_that_has_changed_is_opened_again(files):
    before = opened(files[0])
    files[0].write_bytes(b"longer")
    assert opened(files[0]) is not before


def test_a_forgotten_file_is_closed_and_opened_again(files):
    before = opened(files[0])
    opened.forget(files[0])
    assert before.closed
    assert opened(files[0]) is not before


@pytest.mark.parametrize("problem", ["the file is empty", "cannot be opened: No such file"])
def test_unusable_files_are_refused_with_the_reason(tmp_path, problem):
    path = tmp_path / "a.bin"
    if "empty" in problem:
        path.touch()
    with pytest.raises(DataError, match=problem):
        opened(path)


def test_a_forked_process_opens_its_own(files):
    assert opened(files[0]).process == os.getpid()
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=lambda: queue.put((opened(files[0]).process, len(opened))))
    child.start()
    assert queue.get() == (child.pid, 1)
    child.join()


def test_open_files_are_not_pickled(files):
    store = OpenFiles(Handle, 2)
    store(files[0])
    assert len(pickle.loads(pickle.dumps(store))) == 0
