"""Whether a pretext task was learned is told from the records of a run."""

import json

import pytest

from ssl_kit.training.pretext import judge_pretext
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
