import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from ssl_kit import report
from ssl_kit.cli import main
from ssl_kit.evaluation.tuned import TunedRun
from ssl_kit.reports.grad_cam import chosen_rows, overlay
from ssl_kit.reports.html.classifier import _loading
from ssl_kit.reports.text import how_to_use


def test_a_map_colors_what_it_marks_and_leaves_the_rest_gray():
    picture = np.full((16, 16, 3), (200, 120, 40), np.uint8)
    heat = np.zeros((4, 4), np.float32)
    heat[0, 0] = 1
    drawn = overlay(picture, heat).astype(int)
    assert np.ptp(drawn[-1, -1]) == 0
    assert drawn[0, 0, 0] > drawn[0, 0, 2] + 50  # red


@pytest.mark.parametrize("count", [0, 4, 6, 99])
def test_classes_and_wrong_predictions_have_equal_shares(count):
    labels = np.array([0] * 20 + [1] * 10)
    predicted = np.where(np.arange(30) % 5 == 0, 1 - labels, labels)
    rows = chosen_rows(labels, predicted, count)
    assert len(rows) == len(set(rows.tolist())) == min(count, 30)
    kinds = list(zip(labels[rows], predicted[rows] != labels[rows], strict=True))
    if count == 4:
        assert kinds == [(0, True), (0, False), (1, True), (1, False)]


@pytest.fixture(scope="module")
def tuned(finished_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("tuned") / "classifier"
    args = ["finetune", finished_run.folder, "--set", "epochs=1", "--gradcam", "4", "--out", out]
    done = CliRunner().invoke(main, [str(arg) for arg in args])
    assert done.exit_code == 0, done.output
    return done.stdout, out


def test_fine_tuning_draws_a_sheet_and_names_it(tuned):
    said, out = tuned
    assert f"Grad-CAM of test images is in {out}/gradcam.png, their names in gradcam.csv." in said
    height, width, _ = cv2.imread(str(out / "gradcam.png")).shape
    assert width > 4 * 136
    assert height > 2 * 136
    with (out / "gradcam.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["1", "2", "3", "4"]
    assert all(row["file"].split("/")[0] == row["true"] for row in rows)
    assert all(1 / 3 < float(row["probability"]) <= 1 for row in rows)


def test_the_report_shows_the_sheet(tuned):
    page = report(tuned[1]).read_text()
    assert 'src="data:image/png;base64,' in page
    assert "Selvaraju et al. 2017" in page


def test_the_code_that_loads_the_classifier_runs(tuned):
    run = TunedRun(tuned[1])
    names = {"x": torch.rand(2, 3, 32, 32)}
    exec(_loading(run, run.read_json("encoder.json")), names)
    assert names["probabilities"].shape == (2, len(run.classes))
    torch.testing.assert_close(names["probabilities"].sum(dim=1), torch.ones(2))


def test_a_classifier_that_timm_lacks_is_not_said_to_load_with_timm(tuned):
    assert "timm.create_model" in tuned[0]
    assert how_to_use(Path("here"), "resnet18")[1].startswith("timm.create_model")
    assert "--format onnx" in how_to_use(Path("here"), "cbam/resnet18")[1]
