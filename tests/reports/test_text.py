import numpy as np
import pytest

from ssl_kit.evaluation import Estimate, Result, paired_difference
from ssl_kit.evaluation.side_by_side import SideBySide
from ssl_kit.reports.text import evaluation, evaluation_json


def of(right, **more):
    labels = np.arange(40) % 2
    predictions = np.where(np.arange(40) < right, labels, 1 - labels)
    return Result.of_classification(labels, predictions, np.arange(40), ("a", "b"), **more)


def comparison(*results, name="probe"):
    named = {f"encoder{i}": result for i, result in enumerate(results)}
    gains = (
        {m: paired_difference(*results, m) for m in results[0].metrics} if len(results) > 1 else {}
    )
    return SideBySide(name, named, gains)


def test_a_table_has_metrics_down_and_encoders_across():
    lines = evaluation([comparison(of(30), of(10))], 0).splitlines()
    assert lines[2].split() == ["probe", "encoder0", "encoder1", "gain"]
    assert lines[3].split()[:3] == ["accuracy", "*", "75.0"]
    assert "50.0 [" in lines[3]
    assert [line.split()[0] for line in lines[4:7]] == ["balanced_accuracy", "macro_f1", "kappa"]
    assert lines[7] == "  Pre-training: helped."
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(
    ("run", "control", "said"),
    [(30, 10, "helped"), (10, 30, "hurt"), (20, 20, "no evidence of a difference")],
)
def test_the_verdict_is_in_words(run, control, said):
    assert f"Pre-training: {said}." in evaluation([comparison(of(run), of(control))], 0)


def test_one_encoder_has_neither_gain_nor_verdict():
    said = evaluation([comparison(of(30))], 0)
    assert "gain" not in said
    assert "Pre-training" not in said


def test_of_several_settings_the_main_metric_is_shown():
    parts = Result.of_parts({"5": of(20), "10": of(30)}, "5")
    said = evaluation([comparison(parts)], 0)
    assert "accuracy@5 *" in said
    assert "accuracy@10" in said
    assert "kappa" not in said
    assert "kappa@5" in evaluation_json([comparison(parts)], 0)["evaluations"]["probe"]["models"][
        "encoder0"
    ]["metrics"]  # fmt: skip


def test_measures_that_are_no_shares_are_printed_as_they_are():
    plain = Result({"rank": Estimate(123.456, np.nan, np.nan)})
    said = evaluation([comparison(plain, plain)], 0)
    assert "123.5" in said
    assert "Pre-training" not in said
    assert "nan" not in said


def test_an_overlap_is_warned_of():
    assert "WARNING: 3 test groups were pre-trained on" in evaluation([comparison(of(30))], 3)
