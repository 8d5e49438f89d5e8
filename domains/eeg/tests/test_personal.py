"""Each subject is tested with a network that was pre-trained on its own earlier time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ssl_kit import compare
from ssl_kit.commands.recipes import run_recipe
from ssl_kit.core.errors import UsageError
from ssl_kit.training.later import metric_later
from ssl_kit.training.run import Run
from ssl_kit_eeg.empatica import Empatica

RECIPE = Path(__file__).parents[1] / "ssl_kit_eeg" / "recipes" / "sim-cnn-stress.toml"
QUICK = {
    "data.options.signals": ["eda", "temp"],
    "data.options.window": 8.0,
    "data.options.stride": 4.0,
    "data.gap": 8.0,
    "encoder.image_size": 8,
    "objective.steps": 2,
    "data.holdout": 0.5,
    "train.epochs": 1,
    "train.batch_size": 4,
    "train.precision": "fp32",
}


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    """Two subjects of three minutes whose labels change every ten seconds."""
    folder = tmp_path / "sessions"
    folder.mkdir()
    Empatica.example(folder)
    rows = [
        f"{name},{1.6e9 + 10 * i},{1.6e9 + 10 * i + 10},{'stress' if i % 2 else 'rest'}"
        for name in ("S1", "S2")
        for i in range(18)
    ]
    (tmp_path / "times.csv").write_text("\n".join(["subject,start,end,label", *rows]))
    return folder


@pytest.mark.slow
def test_the_recipe_makes_a_run_for_each_subject_that_ends_before_its_later_time(
    sessions: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    changes = {
        **QUICK,
        "data.options.intervals": str(tmp_path / "times.csv"),
        "comparisons.svm.options.within_group.gap": 8.0,
        "comparisons.fine-tuned.options.within_group": {
            "gap": 8.0,
            "options": {"space": {"lr": [0.01], "epochs": [1]}},
        },
        "comparisons.fine-tuned.seeds": 1,
    }
    ran = run_recipe(str(RECIPE), data=sessions, small=True, set=changes, out=out)
    assert ran["runs"]["own"]["groups"] == 2
    judged = ran["runs"]["own"]["pretext"]
    assert (judged["metric"], judged["measured_on"], judged["reason"]) == ("skill", "later", "")
    later = [metric_later(Run(out / f"runs/own/{g}"), "skill") for g in (0, 1)]
    assert judged["last"] == pytest.approx(np.mean(later))
    manifests = [json.loads((out / f"runs/own/{g}/manifest.json").read_text()) for g in (0, 1)]
    assert [len(manifest["groups"]) for manifest in manifests] == [1, 1]
    for manifest in manifests:
        [[_, later]] = manifest["until"].values()
        early = np.arange(0, 1000, 4.0)
        assert manifest["data"]["trained_on"] == (early + 8 <= later).sum()
    compared = json.loads((out / "comparisons/svm/compare.json").read_text())
    [arm] = [arm for arm in compared["arms"] if arm["kind"] == "run"]
    assert (arm["name"], Path(arm["source"])) == ("own", out / "runs" / "own")
    assert not compared["leak"]["shared"]
    assert compared["leak"]["earlier"] == ["own"]
    assert compared["data"]["test_groups"] == 2
    with pytest.raises(UsageError, match="has a run for each group"):
        compare(out / "runs" / "own", evaluation="knn", out=tmp_path / "knn")
