"""What the initial weights of a run were trained on counts as seen by the run."""

import shutil

import pytest

from ssl_kit import RunError, UsageError, evaluate
from ssl_kit.data.splits import split
from ssl_kit.evaluation.leakage import groups_of
from ssl_kit.evaluation.requests import open_images
from ssl_kit.reports.html.sections import leak
from ssl_kit.training.layers import merge
from ssl_kit.training.progress import Progress
from ssl_kit.training.start import go_on, start

from .test_resume import Recorded

QUIET = Progress(quiet=True)


class Listener(Progress):
    def __init__(self):
        super().__init__(quiet=True)
        self.warnings = []

    def warn(self, text):
        self.warnings.append(text)


@pytest.fixture(scope="module")
def greedy(finished_run, tmp_path_factory):
    """A run that was trained on all images."""
    config = finished_run.config.model_dump(mode="json", exclude_none=True)
    asked = merge(config, {"data": {"holdout": 0}, "train": {"epochs": 1}})
    return start([asked], tmp_path_factory.mktemp("runs") / "greedy", QUIET)[0]


def begun_from(run, out, progress=QUIET, **more):
    config = run.config.model_dump(mode="json", exclude_none=True)
    settings = {"data": {"holdout": 0.2}, "encoder": {"init": str(run.folder)}}
    return start([merge(config, settings, more)], out, progress)[0]


def test_test_images_of_the_initial_weights_are_refused_over_generations(greedy, tmp_path):
    listener = Listener()
    child = begun_from(greedy, tmp_path / "child", listener)
    assert any("the initial weights were trained on 6 groups" in text for text in listener.warnings)
    grandchild = begun_from(child, tmp_path / "grandchild")
    for run in (child, grandchild):
        assert groups_of(run) == groups_of(greedy)
        with pytest.raises(UsageError, match="groups of the test part were pre-trained on"):
            evaluate(run, evaluation="knn")


def test_the_report_says_so(greedy, tmp_path):
    run = begun_from(greedy, tmp_path / "run")
    manifest = run.read_json("manifest.json")
    own = {**manifest, "started_from": []}
    _, dataset, config = open_images(str(run.folder), "", "", "")
    parts = split(dataset.index, config.holdout)
    assert not leak(own, dataset.index, parts).bad
    assert leak(manifest, dataset.index, parts).bad


def interrupted(greedy, tmp_path):
    """Interrupts a run that begins from a copy of another; returns the folders of both."""
    parent, run = tmp_path / "parent", tmp_path / "run"
    shutil.copytree(greedy.folder, parent)
    config = greedy.config.model_dump(mode="json", exclude_none=True)
    settings = {"data": {"holdout": 0.2}, "encoder": {"init": str(parent)}}
    with pytest.raises(RunError, match="Stopped by a signal"):
        start([merge(config, settings, {"train": {"epochs": 2}})], run, Recorded(1))
    return parent, run


def test_a_resumed_run_remembers_weights_that_are_gone(greedy, tmp_path):
    parent, run = interrupted(greedy, tmp_path)
    (parent / "manifest.json").unlink()
    assert groups_of(go_on(run, QUIET)[0]) == groups_of(greedy)


def test_a_start_from_a_training_that_has_not_ended_is_warned_of(greedy, tmp_path, caplog):
    parent = type(greedy)(shutil.copytree(greedy.folder, tmp_path / "parent"))
    begun_from(parent, tmp_path / "child")
    assert "has not ended" not in caplog.text
    manifest = parent.read_json("manifest.json")
    del manifest["seconds"]
    parent.write_json("manifest.json", manifest)
    begun_from(parent, tmp_path / "second")
    assert f"The training of '{parent.folder}' has not ended" in caplog.text


def test_a_damaged_manifest_of_the_weights_is_named(greedy, tmp_path):
    parent = tmp_path / "parent"
    shutil.copytree(greedy.folder, parent)
    (parent / "manifest.json").write_text("{}")
    greedy = type(greedy)(parent)
    with pytest.raises(RunError, match="is damaged, so that it is not known which images"):
        begun_from(greedy, tmp_path / "run")


def test_a_run_begun_anew_from_other_weights_forgets_the_first(greedy, finished_run, tmp_path):
    parent, run = interrupted(greedy, tmp_path)
    shutil.rmtree(run / "checkpoints")
    shutil.rmtree(parent)
    shutil.copytree(finished_run.folder, parent)
    assert groups_of(go_on(run, QUIET)[0]) == groups_of(finished_run)
