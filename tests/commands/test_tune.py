"""A search from the command to a run with its settings."""

import json

import pytest

import ssl_kit
from ssl_kit import UsageError
from ssl_kit.data.splits import split
from ssl_kit.evaluation.tuning import search
from ssl_kit.evaluation.tuning.trials import Trial

TINY = {"domain": "natural", "encoder": "test_resnet", "image_size": 32, "batch_size": 8,
        "workers": 0, "precision": "fp32", "objectives": "simclr,byol"}  # fmt: skip
PLAN = {"candidates": [2], "seconds": [60], "epochs": [1], "seeds": 1, "ends": [1e6],
        "overhead": 0, "budget": 1e6}  # fmt: skip


def planned(out):
    """Makes a folder with a plan of two candidates, since speed is not measured for a test."""
    out.mkdir()
    (out / "plan.json").write_text(json.dumps(PLAN))
    return out


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(search, "MOST_SEEDS", 1)
    monkeypatch.setattr(search, "_MOST_TIMES", 1)


@pytest.mark.slow
def test_no_run_sees_the_groups_that_judge_and_the_winner_can_be_trained(
    shared_images, tmp_path, short
):
    out = planned(tmp_path / "tune")
    values = ssl_kit.tune(**TINY, data=shared_images, out=out)
    index = ssl_kit.open_data(domain="natural", data=shared_images).index
    parts = split(index, 0.2)
    judged = index.group_hashes([*parts.val, *parts.test])
    manifests = [json.loads(file.read_text()) for file in out.glob("trials/*/manifest.json")]
    assert len(manifests) == 4
    assert not any(judged & set(manifest["groups"]) for manifest in manifests)
    assert not [*out.glob("trials/*/checkpoints")]
    assert (out / "report.html").is_file()
    assert "untouched start" in str(values)
    run = ssl_kit.train(config=out / "config.toml", data=shared_images, out=tmp_path / "run")
    assert run.config.train.epochs == 1
    assert set(manifests[0]["groups"]) < set(run.read_json("manifest.json")["groups"])
    again = ssl_kit.tune(resume=out)
    assert {**again, "seconds": 0} == {**values, "seconds": 0}


@pytest.mark.slow
def test_a_search_that_was_killed_goes_on(shared_images, tmp_path, short, monkeypatch):
    out, killed = planned(tmp_path / "tune"), []

    def kill(self, trial, params):
        if trial == Trial(1, 0, 0) and not killed:
            killed.append(trial)
            raise KeyboardInterrupt
        return config(self, trial, params)

    config = search.Search._config
    monkeypatch.setattr(search.Search, "_config", kill)
    with pytest.raises(KeyboardInterrupt, match=r"Interrupted after 1 run\..*tune --resume"):
        ssl_kit.tune(**TINY, data=shared_images, out=out)
    values = ssl_kit.tune(resume=out)
    assert len(values["candidates"]) == 2
    with pytest.raises(UsageError, match="leave out --image-size"):
        ssl_kit.tune(resume=out, image_size=32)
    with pytest.raises(UsageError, match="leave out --budget"):
        ssl_kit.tune(resume=out, budget="2h")
