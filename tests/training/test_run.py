import errno
import json
import os
import resource
import shutil

import pytest
import torch
from safetensors import safe_open

from ssl_kit import RunError, UsageError, embed, export, load
from ssl_kit.core.atomic import write_atomic
from ssl_kit.evaluation.comparing.chosen_arms import parse_arms
from ssl_kit.evaluation.pretrained import from_run
from ssl_kit.training.resume import warn_of_unfinished
from ssl_kit.training.run import Run
from ssl_kit.training.settings import RunConfig


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "run", RunConfig(domain="natural", seed=7))


@pytest.fixture
def full_disk(monkeypatch):
    """Makes syncing to the disk fail as on a full one."""

    def fail(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_run_without_an_encoder_is_to_be_resumed(finished_run, tmp_path):
    run = Run(shutil.copytree(finished_run.folder, tmp_path / "run"))
    run.encoder.unlink()
    for use in (from_run, lambda run: parse_arms([str(run.folder)], "")):
        with pytest.raises(RunError, match=r"^The run has no encoder yet; go on with 'ssl-kit tr"):
            use(run)


def test_a_training_that_has_not_ended_is_warned_of(finished_run, tmp_path, caplog):
    run = Run(shutil.copytree(finished_run.folder, tmp_path / "run"))
    warn_of_unfinished(run)
    assert not caplog.messages
    manifest = run.read_json("manifest.json")
    del manifest["seconds"]
    run.write_json("manifest.json", manifest)
    uses = (
        lambda run: parse_arms([str(run.folder)], ""),
        lambda run: load(run),
        lambda run: embed(run),
        lambda run: export(run, out=tmp_path / "export"),
    )
    for use in uses:
        caplog.clear()
        use(run)
        assert f"Go on with 'ssl-kit train --resume {run.folder}'." in caplog.text


def test_write_atomic_makes_folders_and_leaves_nothing_beside(tmp_path):
    write_atomic(tmp_path / "a" / "b.txt", b"new")
    assert names(tmp_path / "a") == ["b.txt"]


def test_a_full_disk_is_one_line_and_the_old_file_stays(tmp_path, full_disk):
    (tmp_path / "b.txt").write_bytes(b"old")
    with pytest.raises(RunError, match="the disk is full; free some space") as caught:
        write_atomic(tmp_path / "b.txt", b"new")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "b.txt").read_bytes() == b"old"
    assert names(tmp_path) == ["b.txt"]


def test_a_file_that_may_not_grow_leaves_the_old_one(tmp_path):
    write_atomic(tmp_path / "b.txt", b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(RunError, match="larger than allowed"):
            write_atomic(tmp_path / "b.txt", bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "b.txt").read_bytes() == b"old"


@pytest.mark.parametrize("inside", ["file/b.txt", "folder"])
def test_something_in_the_way_is_one_line(tmp_path, inside):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(RunError, match="in the way; choose another folder"):
        write_atomic(tmp_path / inside, b"new")


def test_an_error_that_is_no_refusal_keeps_its_traceback(tmp_path, monkeypatch):
    def fail(*args):
        raise OSError(errno.EBADF, "a bug of ours")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="a bug of ours"):
        write_atomic(tmp_path / "b.txt", b"new")


def test_create_writes_the_configuration(run):
    assert names(run.folder) == ["config.toml"]
    assert Run(run.folder).config == run.config


def test_a_folder_that_holds_a_run_is_refused(run):
    with pytest.raises(
        UsageError, match=r"holds a run already. Go on with 'ssl-kit train --resume"
    ):
        Run.create(run.folder, run.config)


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(UsageError, match=r"is no run: it has no config.toml"):
        Run(tmp_path)


def test_a_weights_file_is_no_run(tmp_path):
    file = tmp_path / "resnet18.pth"
    file.touch()
    with pytest.raises(UsageError, match=r"'ssl-kit train --init .*resnet18.pth' makes one"):
        Run(file)


def test_a_configuration_of_another_version_names_the_key(run):
    with (run.folder / "config.toml").open("a") as file:
        file.write("[train2]\n")
    with pytest.raises(UsageError, match="Unknown key 'train2'"):
        Run(run.folder)


@pytest.mark.parametrize("content", [None, "{", ""])
def test_a_json_that_is_not_there_yet(run, content):
    if content is not None:
        (run.folder / "encoder.json").write_text(content)
    with pytest.raises(RunError, match=r"has no readable encoder.json"):
        run.read_json("encoder.json")


def test_json_round_trips(run):
    run.write_json("manifest.json", {"seed": 3, "groups": ["a"]})
    assert run.read_json("manifest.json") == {"seed": 3, "groups": ["a"]}


def test_metrics_after_a_step_are_dropped_and_half_lines_too(run):
    for step in (10, 20, 30):
        run.append(run.metrics, {"step": step, "loss": 1.5})
    with run.metrics.open("a") as file:
        file.write('{"step": 40, "lo')
    run.truncate_metrics(20)
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 20]
    run.append(run.metrics, {"step": 30})
    assert len(run.metrics.read_text().splitlines()) == 3


def test_there_may_be_no_metrics_yet(run):
    run.truncate_metrics(5)
    assert not run.metrics.exists()


def test_weights_carry_their_channels(run):
    run.save_weights(run.encoder, {"a": torch.ones(2, 3).T}, ("vv", "vh"))
    with safe_open(run.encoder, "pt") as file:
        assert file.metadata() == {"format": "pt", "channels": "vv,vh"}
        assert file.get_tensor("a").shape == (3, 2)


def test_a_checkpoint_round_trips(run):
    assert run.load_checkpoint() is None
    run.save_checkpoint({"step": 3, "objective": {"w": torch.ones(2)}, "skipped": ["a"]})
    state = run.load_checkpoint()
    assert (state["step"], state["skipped"]) == (3, ["a"])


@pytest.mark.parametrize("kept", [0, 10, 300])
def test_a_damaged_checkpoint_says_what_to_do(run, kept):
    run.save_checkpoint({"step": 3, "objective": {"w": torch.ones(2)}})
    run.last.write_bytes(run.last.read_bytes()[:kept])
    with pytest.raises(RunError, match=r"last.pt' is damaged .*Delete it to start") as caught:
        run.load_checkpoint()
    assert "\n" not in str(caught.value)


def test_a_full_disk_leaves_the_last_checkpoint(run, full_disk, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        run.save_checkpoint({"step": 3})
    with pytest.raises(RunError, match=r"checkpoint is of .*; go on with 'ssl-kit train --resume"):
        run.save_checkpoint({"step": 4})
    assert run.load_checkpoint() == {"step": 3}


def test_a_run_folder_that_vanished_is_not_made_anew(run):
    shutil.rmtree(run.folder)
    for write in (
        lambda: run.append(run.metrics, {"step": 1}),
        lambda: run.write_json("manifest.json", {}),
        lambda: run.save_checkpoint({"step": 1}),
        lambda: run.save_weights(run.encoder, {"w": torch.ones(2)}, ("c0",)),
    ):
        with pytest.raises(RunError, match="folder of the run is gone"):
            write()
    assert not run.folder.exists()


def test_facts_of_another_version_name_the_file_and_the_key(run):
    run.write_json("manifest.json", {"data": {}})
    with pytest.raises(RunError, match=r"manifest.json' has no 'fingerprint': another version"):
        run.read_json("manifest.json")["data"]["fingerprint"]
    for damaged in ("[1]", '{"channels": ["a"], "mean": "x", "std": [1]}'):
        (run.folder / "encoder.json").write_text(damaged)
        with pytest.raises(RunError, match=r"encoder.json' (is damaged|has no)"):
            run.read_json("encoder.json")


@pytest.mark.parametrize("content", [b'{"step": 1}\n{bad\n\n', b"\xff\n", b"[1]\n"])
def test_damaged_lines_are_one_line(run, content):
    run.metrics.write_bytes(content)
    with pytest.raises(RunError, match=r"metrics.jsonl' is damaged.*Remove"):
        run.lines(run.metrics)
