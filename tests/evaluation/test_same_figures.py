"""One encoder on the same images has one figure, whichever command shows it."""

import json
import shutil

import pytest
from safetensors.torch import save_file

import ssl_kit
from ssl_kit.nn import create_encoder

COLUMNS = {  # of `compare`: the arm by the column of `evaluate`
    "untrained": "random-frozen",
    "random weights": "random-frozen",
    "hand-crafted": "handcrafted",
}


def begun_from(finished_run, folder, init):
    """A copy of a run that says that it began from some weights."""
    copy = shutil.copytree(finished_run.folder, folder / "run")
    config = copy / "config.toml"
    config.write_text(config.read_text().replace('init = "scratch"', f'init = "{init}"'))
    return copy


@pytest.mark.parametrize("init", ["scratch", "weights.safetensors"])
def test_evaluate_and_compare_agree_on_every_encoder(finished_run, tmp_path, init):
    file = tmp_path / init
    if init != "scratch":
        save_file(create_encoder("test_resnet", 3, 32).body.state_dict(), file)
    run = begun_from(finished_run, tmp_path, "scratch" if init == "scratch" else file)
    evaluated = ssl_kit.evaluate(run, evaluation="knn")["knn"].results
    values = ssl_kit.compare(run, "random-frozen", evaluation="knn", budgets="all", seeds=1)
    compared = {row["arm"]: row["metrics"] for row in values["results"]}
    columns = COLUMNS | {"run": "run", f"start ({init})": "start"}
    assert {columns[name] for name in evaluated} == set(compared)
    for name, result in evaluated.items():
        shown = {metric: vars(estimate) for metric, estimate in result.metrics.items()}
        assert shown == compared[columns[name]], name


def test_descriptors_do_not_depend_on_the_run_beside_them(finished_run, tmp_path):
    run = begun_from(finished_run, tmp_path, "scratch")
    before = ssl_kit.evaluate(run, evaluation="knn")["knn"].results["hand-crafted"]
    facts = json.loads((run / "encoder.json").read_text())
    (run / "encoder.json").write_text(json.dumps(facts | {"mean": [0.9] * 3, "std": [0.9] * 3}))
    after = ssl_kit.evaluate(run, evaluation="knn")["knn"].results["hand-crafted"]
    assert after.metrics == before.metrics
