import re
import shutil
from dataclasses import replace
from pathlib import PureWindowsPath
from types import SimpleNamespace

import numpy as np
import pytest

from ssl_kit.evaluation import Estimate, Result
from ssl_kit.evaluation.side_by_side import SideBySide
from ssl_kit.reports.text import (
    evaluation,
    evaluation_json,
    finetuned,
    how_to_load,
    how_to_use,
    trained,
)
from ssl_kit.training.run import Run


def result(right, **more):
    labels = np.arange(40) % 2
    predictions = np.where(np.arange(40) < right, labels, 1 - labels)
    return Result.of_classification(labels, predictions, np.arange(40), ("a", "b"), **more)


def comparison(*results, name="probe"):
    return SideBySide.of(name, {f"encoder{i}": result for i, result in enumerate(results)})


def test_a_table_has_metrics_down_and_encoders_across():
    lines = evaluation([comparison(result(30), result(20))], 0).splitlines()
    assert lines[3].split() == ["probe", "encoder0", "encoder1", "gain"]
    assert lines[4].split()[:3] == ["accuracy", "*", "75.0"]
    assert "+25.0 [" in lines[4]
    assert [line.split()[0] for line in lines[5:8]] == ["balanced_accuracy", "macro_f1", "kappa"]
    assert lines[8] == "  Tested on 40 images of 40 groups."
    assert lines[9].startswith("  Pre-training helped: +25.0 points of accuracy [")
    assert max(map(len, lines[3:8])) <= 80


def test_further_controls_follow_below_the_gain():
    all_four = {
        "mine": result(30),
        "start (ImageNet)": result(20),
        "random weights": result(18),
        "hand-crafted": result(24),
    }
    lines = evaluation([SideBySide.of("probe", all_four)], 0).splitlines()

    assert re.split(r"\s{2,}", lines[3]) == ["probe", "mine", "start (ImageNet)", "gain"]
    assert re.split(r"\s{2,}", lines[9]) == ["probe", "random weights", "hand-crafted"]
    assert lines[15].endswith("over 'start (ImageNet)'.")
    assert lines[16].startswith("  The encoder is better than hand-crafted descriptors: +15.0 [")


def test_the_number_of_labels_stands_behind_a_metric_at_a_budget():
    shares = Result.of_parts({"1%": result(20), "100%": result(30)}, "1%", labels={"1%": 4.4})
    lines = evaluation([comparison(shares)], 0).splitlines()
    assert lines[4].startswith("  accuracy@1% (4 labels) *  50.0")
    assert lines[5].startswith("  accuracy@100%             75.0")


def test_what_is_predicted_is_named_below_the_table():
    labels = np.arange(40) // 36
    constant = Result.of_classification(labels, 0 * labels, np.arange(40), "ab", unit="bag")
    text = evaluation([comparison(constant)], 0)
    assert "90 % of the test bags are 'a'" in text
    assert "'encoder0' predicts 'a' for every test bag." in text


def test_below_six_groups_there_is_no_verdict():
    labels = np.arange(40) % 2
    few = [
        Result.of_classification(labels, labels ^ (np.arange(40) < wrong), np.arange(40) % 5, "ab")
        for wrong in (1, 30)
    ]
    text = evaluation([comparison(*few)], 0)
    assert "No verdict: 5 test groups, six are needed." in text
    assert "helped" not in text
    assert "p =" not in text


def test_names_of_groups_are_printed_only_where_they_may_be_and_never_in_json():
    details = {
        "groups": [{"group": 7, "images": 40}],
        "left_out": [{"group": 9, "reason": "short"}],
    }
    results = [comparison(replace(result(30), details=details))]
    text = evaluation(results, 0, {7: "Ada", 9: "Bob"})
    assert re.search(r"^  group +name +images .*\n  7 +Ada +40 ", text, re.M)
    assert "  9 (Bob) short." in text
    assert "Ada" not in evaluation(results, 0) + str(evaluation_json(results, 0))


def test_errors_of_grades_are_in_grades_and_the_order_is_said():
    graded = comparison(result(30, order=("b", "a")), result(10, order=("b", "a")))
    text = evaluation([graded], 0)
    assert re.search(r"mean_absolute_error +0\.25 \[", text)
    assert "Lower is better: mean_absolute_error (in grades)." in text
    assert re.search(r"quadratic_kappa \* +50\.0 \[", text)
    assert "The classes are ordered grades: b < a." in text
    assert "points of quadratic kappa" in text


def test_no_evidence_after_a_short_training_is_explained():
    both = {"mine": result(20), "untrained": result(20)}
    text = evaluation([SideBySide.of("probe", both, {"seconds": 60, "epochs": 0.8})], 0)
    assert "Pre-training was short (60 s, 0.8 epochs)" in text
    assert "was short" not in evaluation([SideBySide.of("probe", both)], 0)


@pytest.mark.parametrize(("control", "said"), [("start (knee)", True), ("random weights", False)])
def test_a_run_that_kept_its_start_has_nothing_to_compare(control, said):
    both = {"mine": result(20), control: result(20)}
    text = evaluation([SideBySide.of("probe", both, {"seconds": 1, "epochs": 1, "kept": 0.0})], 0)
    assert ("there is nothing to compare" in text) == said == ("No difference" not in text)


@pytest.mark.parametrize(
    ("run", "control", "words"),
    [
        (30, 10, "Pre-training helped"),
        (10, 30, "Pre-training hurt"),
        (20, 20, "No difference was seen"),
    ],
)
def test_the_verdict_is_in_words(run, control, words):
    assert words in evaluation([comparison(result(run), result(control))], 0)


def test_one_encoder_has_neither_gain_nor_verdict():
    text = evaluation([comparison(result(30))], 0)
    assert "gain" not in text
    assert "Pre-training" not in text


def test_of_several_settings_the_main_metric_is_shown():
    parts = Result.of_parts({"5": result(20), "10": result(30)}, "5")
    text = evaluation([comparison(parts)], 0)
    assert "accuracy@5 *" in text
    assert "accuracy@10" in text
    assert "kappa" not in text
    assert "kappa@5" in evaluation_json([comparison(parts)], 0)["evaluations"]["probe"]["models"][
        "encoder0"
    ]["metrics"]  # fmt: skip


def test_measures_that_are_no_shares_are_printed_as_they_are():
    plain = Result({"rank": Estimate(123.456, np.nan, np.nan)})
    text = evaluation([comparison(plain, plain)], 0)
    assert "123.5" in text
    assert "Pre-training" not in text
    assert "nan" not in text


def test_an_overlap_is_warned_of():
    assert "WARNING: 3 test groups were also used for pre-training" in evaluation(
        [comparison(result(30))], 3
    )


def test_groups_are_a_table_of_their_own():
    groups = [{"group": 7, "images": 1200}, {"group": 11, "images": 3}]
    scores = np.array([0.5, 1.0])
    metrics = {"accuracy": Estimate(0.75, np.nan, np.nan)}
    one = Result(metrics, main="accuracy", by_group=scores, details={"groups": groups})
    lines = evaluation([comparison(one, one)], 0).splitlines()
    assert [line.split() for line in lines[-3:]] == [
        ["group", "images", "encoder0", "encoder1"],
        ["7", "1,200", "50.0", "50.0"],
        ["11", "3", "100.0", "100.0"],
    ]


def test_a_classifier_is_reported_with_its_intervals(tmp_path):
    metrics = {"accuracy": {"value": 0.75, "low": 0.7, "high": 0.8}}
    values = {"metrics": metrics, "epochs": 1, "overlapping_groups": 0}
    values |= {"tested_on": {"images": 40, "groups": 5}, "main": "accuracy", "classes": []}
    values["architecture"] = "resnet18"
    text = finetuned(values, tmp_path)
    assert "After 1 epoch of" in text
    assert "accuracy *  75.0 [70.0, 80.0]" in text
    assert "Tested on 40 images of 5 groups." in text
    assert "Six test groups are needed" in text
    assert f'timm.create_model("local-dir:{tmp_path}", pretrained=True)' in text


def test_less_than_an_epoch_is_said_beside_the_verdict(finished_run, tmp_path):
    run = Run(shutil.copytree(finished_run.folder, tmp_path / "run"))
    assert "Only" not in trained(run, "OK")
    run.write_json("manifest.json", {**run.read_json("manifest.json"), "steps": 2, "epochs": 0.25})
    assert "OK.\nOnly 2 steps were trained (0.25 of an epoch); such an" in trained(run, "OK")


def test_a_classifier_that_predicts_one_class_is_named_with_class_and_threshold(tmp_path):
    estimate = {"value": 0.5, "low": 0.4, "high": 0.6}
    values = {
        "architecture": "resnet18",
        "main": "balanced_accuracy",
        "metrics": {"balanced_accuracy": estimate, "sensitivity": estimate},
        "classes": [{"class": "burned", "images": 1}, {"class": "unburned", "images": 9}],
        "constant": "unburned",
        "operating_point": {"positive": "burned", "threshold": 0.312},
        "tested_on": {"images": 10, "groups": 10},
        "epochs": 1,
        "overlapping_groups": 0,
    }
    text = finetuned(values, tmp_path)
    assert "'classifier' predicts 'unburned' for every test image." in text
    assert "sensitivity          50.0 [40.0, 60.0] at 0.31" in text
    assert "90 % of the test images are 'unburned'" in text
    assert "sensitivity and specificity is 'burned'" in text
    assert "a network that had not learned from the validation images" in text


@pytest.mark.parametrize("name", ["resnet18", "attention/resnet18"])
def test_code_to_paste_has_no_escapes_in_paths_of_windows(name):
    folder = PureWindowsPath(r"runs\natural")
    run = SimpleNamespace(folder=folder, encoder=folder / "encoder.safetensors")
    (*_, line) = how_to_load(run, {"architecture": name, "arguments": {"in_chans": 3}})
    assert '"runs/natural' in line
    assert '"local-dir:runs/natural"' in how_to_use(folder, "resnet18")[1]
