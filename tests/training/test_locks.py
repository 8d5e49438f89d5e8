import os
import subprocess
import sys
from pathlib import Path

import pytest

from ssl_kit import RunError, compare, embed, export, finetune
from ssl_kit.training import locks
from ssl_kit.training.locks import exclusive
from ssl_kit.training.progress import Progress
from ssl_kit.training.start import go_on

HOLD = """
import sys
from pathlib import Path
from ssl_kit.training.locks import exclusive
with exclusive(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold(monkeypatch):
    """Starts processes that work in a folder until they are killed."""
    monkeypatch.setattr(locks.exclusive.__wrapped__, "__defaults__", (".lock", 0.0))
    processes, left = [], []

    def start(folder, name=".lock"):
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", HOLD, str(folder), name]
        left.extend((Path(folder) / name, Path(folder) / f"{name}.json"))
        processes.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))
        assert processes[-1].stdout.readline() == "held\n"
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()
    for file in left:  # the folder may be that of a run that other tests use
        file.unlink(missing_ok=True)


def test_a_folder_is_made_and_nothing_is_left_in_it(tmp_path):
    with exclusive(tmp_path / "a" / "b"):
        assert list((tmp_path / "a" / "b").iterdir())
    assert not list((tmp_path / "a" / "b").iterdir())


def test_another_process_is_named_and_a_dead_one_leaves_no_lock(tmp_path, hold):
    holder = hold(tmp_path)
    with pytest.raises(
        RunError, match=f"^Process {holder.pid} on .* works in '{tmp_path}' already"
    ):
        exclusive(tmp_path).__enter__()
    holder.kill()
    holder.wait()
    assert (tmp_path / ".lock").exists()
    with exclusive(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


@pytest.fixture
def dead():
    """Number of a process that has ended."""
    return subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, text=True, check=True).stdout.strip()  # fmt: skip


def test_unfinished_files_of_dead_processes_are_removed_and_no_others(tmp_path, dead):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / f".last.pt.{dead}.tmp").touch()
    kept = {tmp_path / f".mine.{os.getpid()}.tmp", tmp_path / ".of.users.tmp"}
    for file in kept:
        file.touch()
    with exclusive(tmp_path):
        pass
    assert set(tmp_path.iterdir()) == {*kept, tmp_path / "checkpoints"}
    assert not list((tmp_path / "checkpoints").iterdir())


def test_a_lock_for_one_file_leaves_unfinished_files_of_others(tmp_path, dead):
    mine, other = (tmp_path / f".{name}.{dead}.tmp" for name in ("a[1].npz", "last.pt"))
    for file in (mine, other):
        file.touch()
    with exclusive(tmp_path, ".a[1].npz.lock"):
        pass
    assert list(tmp_path.iterdir()) == [other]


def test_a_training_leaves_unfinished_evaluations_which_have_a_lock_of_their_own(tmp_path, dead):
    file = tmp_path / "evaluations" / f".knn.json.{dead}.tmp"
    file.parent.mkdir()
    file.touch()
    with exclusive(tmp_path):
        pass
    assert file.exists()


def test_no_command_works_where_another_process_does(finished_run, tmp_path, hold):
    name = ".features.npz.lock"
    hold(tmp_path / "there")
    hold(tmp_path / "there", name)
    hold(finished_run.folder)
    for work in (
        lambda: go_on(finished_run.folder, Progress(quiet=True)),
        lambda: compare("random-frozen", data=finished_run.config.data.path, domain="natural",
                        encoder="test_resnet", out=tmp_path / "there"),
        lambda: finetune(finished_run, out=tmp_path / "there"),
        lambda: export(finished_run, out=tmp_path / "there"),
        lambda: embed(finished_run, out=tmp_path / "there" / "features.npz"),
    ):  # fmt: skip
        with pytest.raises(RunError, match=r"Process \d+ on .* works in .* already"):
            work()
