"""Whether a pretext task was learned is told from the records of a run."""

import json

import pytest

from ssl_kit.training import pretext
from ssl_kit.training.pretext import judge_pretext, judge_pretexts
from ssl_kit.training.recipe import Pretext
from ssl_kit.training.run import Run
from ssl_kit.training.settings import RunConfig

RECORDS = [
    {"epoch": 0.5, "step": 1, "loss": 5.0, "accuracy": 0.1},
    {"epoch": 1.0, "step": 2, "loss": 4.0, "accuracy": 0.3},
    {"epoch": 1.5, "step": 3, "loss": 3.0, "accuracy": 0.4},
    {"epoch": 2.5, "step": 5, "loss": 1.0, "accuracy": 0.7},
]


@pytest.fixture
def run(tmp_path):
    run = Run.create(tmp_path / "run", RunConfig(domain="natural"))
    for record in RECORDS:
        run.append(run.metrics, record)
    run.write_json("manifest.json", {"batch_size": 64, "verdict": "OK"})
    return run


def accuracy(**changes):
    values = {"metric": "accuracy", "reference": 0.25, "learned": 0.5, "about": "chance"}
    return Pretext(**{**values, **changes})


def test_the_last_epoch_is_compared_with_what_counts_as_learned(run):
    judged = judge_pretext(run, accuracy())
    assert (judged.first, judged.last, judged.verdict) == (0.1, 0.7, "learned")
    assert judge_pretext(run, accuracy(learned=0.9)).verdict == "not learned"


def test_the_last_epoch_is_a_mean_over_its_steps(run):
    run.append(run.metrics, {"epoch": 3.0, "step": 6, "loss": 0.7, "accuracy": 0.4})
    assert judge_pretext(run, accuracy()).last == pytest.approx((2 * 0.7 + 0.4) / 3)


def test_a_loss_is_better_when_it_is_lower(run):
    loss = {"metric": "loss", "better": "lower", "reference": 4.0}
    assert judge_pretext(run, accuracy(**loss, learned=2.0)).verdict == "learned"
    assert judge_pretext(run, accuracy(**loss, learned=0.5)).verdict == "not learned"


def test_a_reference_can_be_a_metric_of_the_same_run(run):
    run.append(run.metrics, {"epoch": 3.0, "step": 6, "accuracy": 0.7, "constant_guess": 0.6})
    judged = judge_pretext(run, accuracy(reference="constant_guess"))
    assert (judged.reference, judged.verdict) == (0.6, "learned")
    below = judge_pretext(run, accuracy(metric="constant_guess", reference="accuracy"))
    assert below.verdict == "not learned"


def test_a_reference_that_was_not_recorded_is_not_judged_by(run):
    judged = judge_pretext(run, accuracy(reference="constant_guess"))
    assert judged.verdict == "not judged"
    assert judged.reason == "the run has recorded no constant_guess, which is the reference"


def test_a_reference_of_other_settings_is_not_judged_by(run):
    judged = judge_pretext(run, accuracy(holds_for={"train.batch_size": 128}))
    assert judged.verdict == "not judged"
    assert judged.reason == "the reference holds for train.batch_size = 128, this run has 64"
    assert judge_pretext(run, accuracy(holds_for={"train.batch_size": 64})).verdict == "learned"


def test_a_metric_that_was_not_recorded_is_not_judged(run):
    judged = judge_pretext(run, accuracy(metric="skill"))
    assert (judged.last, judged.reason) == (None, "the run has recorded no skill")


def test_a_collapsed_representation_has_learned_nothing(run):
    run.write_json("manifest.json", {**json.loads((run.folder / "manifest.json").read_text()),
                                     "verdict": "COLLAPSED"})  # fmt: skip
    judged = judge_pretext(run, accuracy())
    assert (judged.verdict, judged.collapsed) == ("not learned", True)


def test_runs_of_one_group_each_are_judged_by_their_mean(run, tmp_path):
    other = Run.create(tmp_path / "other", RunConfig(domain="natural"))
    other.append(other.metrics, {"epoch": 1.0, "step": 1, "accuracy": 0.4})
    other.write_json("manifest.json", {"batch_size": 64, "verdict": "OK"})
    judged = judge_pretexts([run, other], accuracy())
    assert (judged.first, judged.last) == (pytest.approx(0.25), pytest.approx(0.55))
    assert judged.verdict == "learned"
    other.write_json("manifest.json", {"batch_size": 64, "verdict": "COLLAPSED"})
    assert judge_pretexts([run, other], accuracy()).verdict == "not learned"
    assert judge_pretexts([run, other], accuracy(metric="skill")).verdict == "not judged"


def test_a_task_that_was_learned_by_heart_is_not_learned_on_later_images(run, monkeypatch):
    monkeypatch.setattr(pretext, "metric_later", lambda run, metric: 0.2)
    judged = judge_pretext(run, accuracy(measured_on="later"))
    assert (judged.last, judged.verdict, judged.measured_on) == (0.2, "not learned", "later")
    monkeypatch.setattr(pretext, "metric_later", lambda run, metric: None)
    assert "no images after data.until" in judge_pretext(run, accuracy(measured_on="later")).reason
