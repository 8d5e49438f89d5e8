import copy
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
import timm
import torch
from safetensors.torch import load_file

from ssl_kit import Objective, Output, RunError, UsageError, View
from ssl_kit.core.discovery import objectives
from ssl_kit.core.registry import Entry
from ssl_kit.data.loader import load
from ssl_kit.data.workers import WorkerDied
from ssl_kit.evaluation.pretrained import from_run
from ssl_kit.plugins.objectives.simclr import SimCLR
from ssl_kit.training.collapse import Watch
from ssl_kit.training.engine import Stopped, late_signals_stop
from ssl_kit.training.layers import merge
from ssl_kit.training.progress import Progress
from ssl_kit.training.run import Run
from ssl_kit.training.start import go_on, start

QUIET = Progress(quiet=True)


class Interrupt(Progress):
    """Interrupts a training after a step: by a signal, or in the middle of things."""

    def __init__(self, at, number=0):
        super().__init__(quiet=True)
        self.at, self.number = at, number

    def step(self, step, *args):
        if step == self.at and self.number:
            os.kill(os.getpid(), self.number)
        elif step == self.at:
            raise ZeroDivisionError


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def train(settings, out, *layers, progress=QUIET):
    return start([settings, *layers], out, progress)[0]


@pytest.fixture
def register(monkeypatch):
    """Registers objectives for one test."""
    list(objectives)  # fills the registry

    def add(name, kind):
        monkeypatch.setitem(objectives._entries, name, Entry(name, kind))

    return add


class Constant(Objective):
    """A loss that is `value` whatever the images are."""

    paper = "https://example.org"
    value = 1.0

    @classmethod
    def views(cls, config, size):
        return (View(size),)

    def forward(self, batch, phase=0):
        return Output(self.encoder(batch.views[0]).sum() * 0 + self.value)


def test_a_run_folder_has_what_the_design_says(finished_run):
    found = {p.name for p in finished_run.folder.iterdir()} - {"report.html", "evaluations"}
    assert found == {
        "config.toml", "manifest.json", "metrics.jsonl",
        "encoder.safetensors", "encoder.json", "checkpoints",
    }  # fmt: skip
    checkpoints = {p.name for p in (finished_run.folder / "checkpoints").iterdir()}
    assert checkpoints - {"best.safetensors"} == {"last.pt"}


def test_plain_timm_loads_the_encoder_with_the_same_features(finished_run):
    model = timm.create_model(
        "test_resnet", num_classes=0, in_chans=3, checkpoint_path=str(finished_run.encoder)
    ).eval()
    ours, x = from_run(finished_run).encoder.eval(), torch.rand(4, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(model(x), ours(x), atol=1e-6, rtol=0)


def test_the_encoder_left_is_a_trained_one(finished_run):
    state = torch.load(finished_run.last, weights_only=True)["objective"]
    shipped = load_file(finished_run.encoder)
    assert all(torch.equal(state[f"encoder.body.{k}"], v) for k, v in shipped.items())
    torch.manual_seed(0)
    fresh = timm.create_model("test_resnet", num_classes=0).state_dict()
    assert not torch.equal(fresh["conv1.0.weight"], shipped["conv1.0.weight"])


def test_encoder_json_says_how_to_use_it(finished_run):
    facts = finished_run.read_json("encoder.json")
    assert facts["architecture"] == "test_resnet"
    assert facts["channels"] == ["red", "green", "blue"]
    assert facts["value_range"] == [[0, 255]] * 3
    assert facts["image_size"] == 32
    assert facts["objective"] == "simclr"
    assert all(0 < m < 1 for m in facts["mean"] + facts["std"])


def test_the_manifest_says_where_it_comes_from(finished_run):
    facts = finished_run.read_json("manifest.json")
    assert facts["data"]["images"] == 30
    assert facts["data"]["trained_on"] == len(facts["groups"]) == 24
    assert (facts["seed"], facts["steps"], facts["skipped"]) == (0, 6, 0)
    assert torch.__version__.startswith(facts["versions"]["torch"])
    assert "ssl-kit" in facts["plugins"]


def test_metrics_have_a_line_per_epoch(finished_run):
    rows = lines(finished_run.metrics)
    assert [(row["epoch"], row["step"]) for row in rows] == [(1, 3), (2, 6)]
    needed = {"loss", "lr", "images_per_second", "data_wait"}
    assert all(needed <= set(row) for row in rows)
    assert {"rankme", "feature_std", "verdict", "projected_rankme"} <= set(rows[-1])
    assert 0 < rows[-1]["lr"] < rows[0]["lr"]


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(finished_run, tiny, tmp_path):
    again = train(tiny, tmp_path / "again")
    other = train(tiny, tmp_path / "other", {"seed": 1})
    assert again.encoder.read_bytes() == finished_run.encoder.read_bytes()
    assert other.encoder.read_bytes() != finished_run.encoder.read_bytes()


def interrupted(settings, out, number, at=4):
    """Trains until step `at`, is interrupted, and goes on."""
    error = RunError if number else ZeroDivisionError
    with pytest.raises(error):
        train(settings, out, progress=Interrupt(at, number))
    return go_on(out, QUIET)[0]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, 0], ids=["SIGTERM", "crash"])
def test_a_resumed_run_ends_with_the_same_bytes(finished_run, tiny, tmp_path, number, workers):
    often = merge(tiny, {"train": {"workers": workers, "checkpoint_every": 1e-6}})
    run = interrupted(often, tmp_path / "run", number)
    assert run.encoder.read_bytes() == finished_run.encoder.read_bytes()
    keep = ("step", "loss", "lr")
    expected = [[row.get(k) for k in keep] for row in lines(finished_run.metrics)]
    assert [[row.get(k) for k in keep] for row in lines(run.metrics)] == expected


@pytest.mark.parametrize(
    ("at", "more"),
    [
        (4, {"objective": {"name": "byol", "hidden_dim": 16, "out_dim": 8}}),
        (1, {"optimizer": {"name": "lars", "clip": 1.0, "weight_decay_end": 0.4}}),
        (1, {"train": {"accumulate": 2}}),
        (5, {"data": {"pair_by": "group"}}),
        (4, {"objective": {"name": "simmim"}, "encoder": {"name": "test_vit"}}),
        (4, {"optimizer": {"anchor": 9.0, "layer_decay": 0.5}, "encoder": {"frozen_layers": 1}}),
    ],
    ids=["teacher", "lars", "accumulate", "pairs", "random masks", "anchor"],
)
def test_everything_that_has_a_state_goes_on(tiny, tmp_path, at, more):
    settings = merge(tiny, more)
    whole = train(settings, tmp_path / "whole")
    run = interrupted(settings, tmp_path / "run", signal.SIGTERM, at)
    assert run.encoder.read_bytes() == whole.encoder.read_bytes()


def test_an_accumulated_run_equals_one_with_the_large_batch(tiny, tmp_path):
    rotation = {"objective": "rotation", "encoder": {"name": "test_vit"}}
    large = train(tiny, tmp_path / "large", rotation, {"train": {"batch_size": 10}})
    parts = train(tiny, tmp_path / "parts", rotation, {"train": {"batch_size": 5, "accumulate": 2}})
    for row, expected in zip(lines(parts.metrics), lines(large.metrics), strict=True):
        for key in ("step", "epoch", "lr", "loss", "rotation_accuracy"):
            assert row[key] == pytest.approx(expected[key], rel=1e-4)
    weights = load_file(large.encoder)
    for name, value in load_file(parts.encoder).items():
        torch.testing.assert_close(value, weights[name], rtol=1e-3, atol=1e-5)


def test_a_run_that_got_nowhere_starts_anew(finished_run, tiny, tmp_path):
    run = interrupted(tiny, tmp_path / "run", 0)  # no checkpoint is due before the crash
    assert run.encoder.read_bytes() == finished_run.encoder.read_bytes()
    assert len(lines(run.metrics)) == 2


def test_a_run_does_not_go_on_with_other_images(tiny, image_folder, tmp_path):
    settings = merge(tiny, {"data": {"path": str(image_folder)}})
    with pytest.raises(RunError, match="Stopped by a signal"):
        train(settings, tmp_path / "run", progress=Interrupt(2, signal.SIGTERM))
    (image_folder / "disc" / "0.png").unlink()
    with pytest.raises(RunError, match="are not those that"):
        go_on(tmp_path / "run", QUIET)


def test_resuming_a_finished_run_changes_nothing(tiny, tmp_path):
    run = train(tiny, tmp_path / "run")
    before = run.encoder.read_bytes(), run.metrics.read_bytes()
    go_on(run.folder, QUIET)
    assert (run.encoder.read_bytes(), run.metrics.read_bytes()) == before


def test_a_signal_says_how_to_go_on_and_gives_the_handlers_back(tiny, tmp_path):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with pytest.raises(RunError, match=r"after step 2. Go on with 'ssl-kit train --resume"):
        train(tiny, tmp_path / "run", progress=Interrupt(2, signal.SIGINT))
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_a_checkpoint_of_another_architecture_is_one_line(tiny, finished_run, tmp_path):
    run = train(tiny, tmp_path / "run", {"encoder": {"name": "test_byobnet"}})
    run.last.write_bytes(finished_run.last.read_bytes())
    with pytest.raises(RunError, match=r"last.pt") as caught:
        go_on(run.folder, QUIET)
    assert "\n" not in str(caught.value)


def test_each_phase_takes_a_step_of_its_own(tiny, tmp_path, register):
    seen = []

    class TwoPhases(Constant):
        phases = 2

        def forward(self, batch, phase=0):
            weight = self.encoder.body.conv1[0].weight
            seen.append((phase, float(weight.detach().double().sum())))
            return Output(self.encoder(batch.views[0]).square().mean())

    register("two_phases", TwoPhases)
    train(merge(tiny, {"objective": "two_phases"}), tmp_path / "run")
    assert [phase for phase, _ in seen] == [0, 1] * 6
    assert len({weight for _, weight in seen}) == 12


def test_after_step_counts_from_one_to_the_end(tiny, tmp_path, register):
    seen = []

    class Counting(Constant):
        def after_step(self, step, steps):
            seen.append((step, steps))

    register("counting", Counting)
    train(merge(tiny, {"objective": "counting"}), tmp_path / "run")
    assert seen == [(step, 6) for step in range(1, 7)]


def test_a_loss_that_is_no_number_stops_with_the_keys(tiny, tmp_path, register):
    register("nan", type("Nan", (Constant,), {"value": float("nan")}))
    with pytest.raises(
        RunError, match=r"nan at step 1; there is no checkpoint yet.*\.png"
    ) as caught:
        train(merge(tiny, {"objective": "nan"}), tmp_path / "run")
    assert str(caught.value).count(".png") == 8


def test_a_loss_of_no_number_keeps_the_good_checkpoint(tiny, tmp_path, register):
    class Later(Constant):
        calls = 0

        def forward(self, batch, phase=0):
            type(self).calls += 1
            self.value = float("nan") if self.calls > 3 else 1.0
            return super().forward(batch)

    register("later", Later)
    settings = merge(tiny, {"objective": "later", "train": {"checkpoint_every": 1e-6}})
    with pytest.raises(RunError, match=r"at step 4; the last checkpoint is of \d\d:"):
        train(settings, tmp_path / "run")
    assert Run(tmp_path / "run").load_checkpoint()["step"] == 3
    weights = load_file(tmp_path / "run" / "encoder.safetensors")
    assert all(value.isfinite().all() for value in weights.values())


def break_files(folder, count):
    broken = sorted(folder.glob("*/*.png"))[::7][:count]
    for file in broken:
        file.write_bytes(file.read_bytes()[:50])
    return {file.relative_to(folder).as_posix() for file in broken}


def test_few_unreadable_images_are_skipped_and_listed(tiny, image_folder, tmp_path):
    broken = break_files(image_folder, 3)
    more = {"data": {"path": str(image_folder), "max_skip": 0.2, "holdout": 0}}
    run = train(merge(tiny, more), tmp_path / "run")
    rows = lines(run.skipped)
    assert {row["key"] for row in rows} == broken
    assert len(rows) == 3
    assert rows[0]["reason"] == "the file is cut off"
    assert run.read_json("manifest.json")["skipped"] == 3


def test_more_unreadable_images_than_allowed_stop_the_run(tiny, image_folder, tmp_path):
    break_files(image_folder, 3)
    more = {"data": {"path": str(image_folder), "holdout": 0}}
    with pytest.raises(RunError, match=r"of 30 images are unreadable, more than --max-skip 0.01"):
        train(merge(tiny, more), tmp_path / "run")


def test_no_readable_image_at_all_is_one_line(tiny, image_folder, tmp_path):
    for file in image_folder.glob("*/*.png"):
        file.write_bytes(b"")
    with pytest.raises(Exception, match="None of the images looked at can be read") as caught:
        train(merge(tiny, {"data": {"path": str(image_folder)}}), tmp_path / "run")
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def timed(finished_run, tmp_path_factory):
    """A training of a second, on a clock where a step takes 20 ms, and the warnings of it."""
    steps, warnings = [], []
    progress = Progress(quiet=True)
    progress.warn = warnings.append
    clock = SimpleNamespace(monotonic=lambda: len(steps) / 50)
    config = finished_run.config.model_dump(mode="json", exclude_none=True)
    settings = merge(config, {"train": {"max_time": 1, "epochs": 100_000}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SimCLR, "after_step", lambda *args: steps.append(args))
        for module in ("loop", "checkpoint"):
            patch.setattr(f"ssl_kit.training.{module}.time", clock)
        run = train(settings, tmp_path_factory.mktemp("timed") / "run", progress=progress)
    return run, warnings


def test_a_time_ends_the_run_in_good_order(timed):
    run, _ = timed
    assert 0.8 < run.read_json("manifest.json")["seconds"] < 1.2
    last = lines(run.metrics)[-1]
    peak = run.config.optimizer.lr * 8 / 256
    assert last["step"] == run.read_json("manifest.json")["steps"]
    assert last["lr"] < 0.1 * peak
    assert "verdict" in last


def test_a_resume_repeats_the_recorded_schedule(tiny, tmp_path, monkeypatch):
    for name in ("_FIRST_PLAN", "_PAUSE", "_TOLERANCE"):  # a change after almost every step
        monkeypatch.setattr(f"ssl_kit.training.schedule.{name}", 1e-12)
    more = {"train": {"max_time": 1000, "epochs": 10**9}}
    with pytest.raises(ZeroDivisionError):
        train(tiny, tmp_path / "run", more, progress=Interrupt(10))
    plan = [(row["step"], row["steps"]) for row in lines(tmp_path / "run" / "schedule.jsonl")]
    assert len(plan) > 2
    weights = []
    for copied in (tmp_path / "one", tmp_path / "two"):
        shutil.copytree(tmp_path / "run", copied)
        with pytest.raises(RunError, match=f"after step {plan[-1][0]}"):
            go_on(copied, Interrupt(plan[-1][0], signal.SIGTERM))
        weights.append((copied / "encoder.safetensors").read_bytes())
        assert Run(copied).load_checkpoint()["schedule"][: len(plan) + 1] == [(0, 3 * 10**9), *plan]
    assert weights[0] == weights[1]


def test_an_end_by_the_time_is_said(timed):
    run, warnings = timed
    epochs = run.read_json("manifest.json")["epochs"]
    assert warnings == [f"--max-time ended the training after {epochs:g} of 100000 epochs."]


def test_the_end_of_all_workers_saves_the_run_and_is_one_line(tiny, tmp_path, monkeypatch):
    def dying(*args, **kwargs):
        yield from islice(load(*args, **kwargs), 4)
        raise WorkerDied

    monkeypatch.setattr("ssl_kit.training.loop.load", dying)
    with pytest.raises(RunError, match=r"Change '.*config.toml', and go on with") as caught:
        train(tiny, tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert Run(tmp_path / "run").load_checkpoint()["step"] == 4


def test_a_signal_in_the_last_step_changes_nothing(finished_run, tiny, tmp_path):
    run = train(tiny, tmp_path / "run", progress=Interrupt(6, signal.SIGTERM))
    assert run.encoder.read_bytes() == finished_run.encoder.read_bytes()


def test_a_signal_in_the_last_step_stops_what_the_training_is_part_of(tiny, tmp_path):
    with pytest.raises(Stopped, match="after the training had ended"), late_signals_stop():
        train(tiny, tmp_path / "run", progress=Interrupt(6, signal.SIGTERM))
    assert Run(tmp_path / "run").has_ended
    with late_signals_stop():
        go_on(tmp_path / "run", QUIET)


def test_a_thread_can_train(finished_run, tiny, tmp_path):
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(train, tiny, tmp_path / "run").result()
    assert run.encoder.read_bytes() == finished_run.encoder.read_bytes()


@pytest.mark.slow
def test_it_trains_as_on_macos_and_windows(finished_run, tiny, tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)  # one worker
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method("spawn", force=True)
    try:
        run = train(tiny, tmp_path / "run", {"train": {"workers": -1}})
    finally:
        multiprocessing.set_start_method(before, force=True)
    assert run.encoder.read_bytes() == finished_run.encoder.read_bytes()


def test_a_batch_is_no_larger_than_the_images(tiny, tmp_path):
    run = train(tiny, tmp_path / "run", {"train": {"batch_size": 500, "epochs": 1}})
    assert run.read_json("manifest.json")["steps"] == 1


def test_one_image_is_too_few(tiny, image_folder, tmp_path):
    more = {"data": {"path": str(image_folder / "disc" / "0.png")}}
    with pytest.raises(UsageError, match=r"Only 1 image to train on: .* Give --data more"):
        train(merge(tiny, more), tmp_path / "run")


def test_collapse_can_stop_the_run_and_keeps_what_there_is(tiny, tmp_path, register, monkeypatch):
    monkeypatch.setattr(Watch, "due", lambda self: True)

    class Collapsing(Constant):
        def forward(self, batch, phase=0):
            with torch.no_grad():
                for weight in self.encoder.parameters():
                    weight.zero_()
            return super().forward(batch)

    register("collapsing", Collapsing)
    more = {"objective": "collapsing", "train": {"on_collapse": "stop", "epochs": 9}}
    with pytest.raises(RunError, match="Stopped because the features collapsed"):
        train(merge(tiny, more), tmp_path / "run")
    assert lines(tmp_path / "run" / "metrics.jsonl")[-1]["verdict"] == "COLLAPSED"


def test_an_objective_that_needs_what_the_encoder_lacks_fails_first(tiny, tmp_path, register):
    register("needy", type("Needy", (Constant,), {"needs": frozenset({"tokens"})}))
    with pytest.raises(UsageError, match="'needy' needs an encoder with tokens"):
        train(merge(tiny, {"objective": "needy"}), tmp_path / "run")


def test_init_from_a_run_starts_with_its_weights(tiny, finished_run, tmp_path):
    more = {"encoder": {"init": str(finished_run.folder)}, "optimizer": {"lr": 1e-12}}
    run = train(tiny, tmp_path / "run", more, {"train": {"epochs": 1}})
    theirs, ours = (load_file(r.encoder)["conv1.0.weight"] for r in (finished_run, run))
    torch.testing.assert_close(ours, theirs, atol=1e-7, rtol=1e-5)
    assert "weights match" in run.read_json("manifest.json")["initial_weights"]


def command(settings, out, *more, tool=("-m", "ssl_kit.cli")):
    flat = copy.deepcopy(settings)
    sets = [f"{section}.{key}={value}" for section, values in flat.items()
            if isinstance(values, dict) for key, value in values.items()]  # fmt: skip
    return [sys.executable, *tool, "train", "--domain", "natural", "--quiet", "--out", str(out),
            *(part for text in sets for part in ("--set", text)), *more]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("name", ["KILL", "TERM"])
def test_interrupted_at_any_moment_it_ends_with_the_same_bytes(name, workers):
    script = Path(__file__).parents[2] / "benchmarks" / "interruptions.py"
    count = os.environ.get("SSL_KIT_TEST_INTERRUPTIONS", "4")
    options = "--signal", name, "--workers", str(workers), "--count", count
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, script, *options], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "all end with the same bytes" in done.stdout


@pytest.mark.slow
def test_two_processes_train_like_one(tiny, tmp_path):
    settings = merge(tiny, {"encoder": {"name": "test_convnext"}})  # no batch statistics in it
    settings = merge(settings, {"objective": {"name": "ddp"}, "optimizer": {"name": "sgd"}})
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "ddp.py").write_text(
        "from ssl_kit import hookimpl, Objective, Output, View\nfrom ssl_kit.nn import all_gather\n"
        "@hookimpl\n"
        "def register_objectives(register):\n"
        "    register('ddp', DDP)\n"
        "class DDP(Objective):\n"
        "    '''Variance of the joined batch.'''\n"
        "    paper = 'https://example.org'\n"
        "    @classmethod\n"
        "    def views(cls, config, size):\n"
        "        return (View(size),)\n"
        "    def forward(self, batch, phase=0):\n"
        "        z = all_gather(self.encoder(batch.views[0]))\n"
        "        return Output(z.var(dim=0).sum())\n"
    )
    env = {**os.environ, "SSL_KIT_PLUGINS_DIR": str(tmp_path / "plugins"), "OMP_NUM_THREADS": "1"}
    two = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29517",
           "-m", "ssl_kit.cli")  # fmt: skip
    for name, tool in (("one", ("-m", "ssl_kit.cli")), ("two", two)):
        done = subprocess.run(
            command(settings, tmp_path / name, tool=tool),
            env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    one, two = (load_file(tmp_path / name / "encoder.safetensors") for name in ("one", "two"))
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, atol=1e-5, rtol=1e-4)
    assert [row["step"] for row in lines(tmp_path / "two" / "metrics.jsonl")] == [3, 6]
