import json
import shutil

import numpy as np
import pytest

import ssl_kit
from ssl_kit import DataError
from ssl_kit.evaluation import Estimate, Result, records
from ssl_kit.evaluation.records import load_evaluations, name_of_images, save_evaluation
from ssl_kit.evaluation.side_by_side import SideBySide
from ssl_kit.training.run import Run

DATA = {"path": "tiles", "fingerprint": "f", "domain": "natural"}


def result(right):
    labels = np.arange(40) % 2
    predictions = np.where(np.arange(40) < right, labels, 1 - labels)
    return Result.of_classification(labels, predictions, np.arange(40), ("a", "b"))


@pytest.fixture
def run(finished_run, tmp_path):
    fresh = shutil.ignore_patterns("evaluations")  # of other tests
    return Run(shutil.copytree(finished_run.folder, tmp_path / "run", ignore=fresh))


def save(run, name="probe", data=DATA, **results):
    results = results or {"mine": result(30), "untrained": result(10)}
    evaluation = SideBySide.of(name, results)
    return save_evaluation(run, evaluation, command="ssl-kit evaluate", data=data, shared=2)


def test_what_is_saved_is_loaded_with_its_draws(run):
    save(run)
    (stored,) = load_evaluations(run)
    expected = SideBySide.of("probe", {"mine": result(30), "untrained": result(10)})
    assert stored.results.gains == expected.gains
    assert stored.results.p == expected.p
    mine = stored.results.results["mine"]
    assert mine.to_json() == result(30).to_json()
    assert mine.jackknife["accuracy"].estimate() == result(30).metrics["accuracy"]
    assert (stored.command, stored.data, stored.shared) == ("ssl-kit evaluate", DATA, 2)
    assert not stored.stale


def test_the_file_is_plain_json(run):
    def no_constant(name):
        raise AssertionError(f"{name} is no JSON")

    file = save(run, mine=Result({"rank": Estimate(3.0, np.nan, np.nan)}))
    values = json.loads(file.read_text(), parse_constant=no_constant)
    assert set(values) == {
        "evaluation", "command", "time", "encoder", "arrays", "data", "overlapping_groups",
        "models", "gain", "gains", "over_descriptors", "p_value", "verdict", "pretraining",
    }  # fmt: skip
    assert values["models"]["mine"]["metrics"]["rank"] == {"value": 3.0, "low": None, "high": None}


def test_evaluations_are_sorted_and_a_newer_one_replaces_an_older_one(run):
    for name in ("probe", "knn", "probe"):
        save(run, name)
    assert [stored.results.evaluation for stored in load_evaluations(run)] == ["knn", "probe"]


def test_results_on_other_images_are_kept_beside_those_on_the_images_of_the_training(run):
    own = DATA | {"fingerprint": run.read_json("manifest.json")["data"]["fingerprint"]}
    other = DATA | {"path": "in/Dr. Who: tiles/", "fingerprint": "1f3a08c2ffffffff"}
    names = [save(run, data=data).name for data in (other, own)]
    assert names == ["probe.Dr_Who_tiles-1f3a08c2.json", "probe.json"]
    assert [stored.data for stored in load_evaluations(run)] == [own, other]


def test_results_on_the_same_images_in_another_folder_replace_older_ones(run):
    save(run, data=DATA | {"path": "before"})
    save(run, data=DATA | {"path": "after"})
    assert [stored.data["path"] for stored in load_evaluations(run)] == ["after"]
    assert len(list((run.folder / "evaluations").glob("*.npz"))) == 1


def test_images_that_were_read_otherwise_are_kept_beside_those_of_the_run(run):
    kept = run.folder / "evaluations"
    for settings in (None, {"data.options.guess_nodata": False}):
        ssl_kit.evaluate(run, evaluation="knn", set=settings)
    own, other = sorted(kept.glob("*.json"), key=lambda file: len(file.name))
    assert own.name == "knn.json"
    assert json.loads(own.read_text())["data"].keys() == DATA.keys()
    reading = {"reader": "", "options": {"guess_nodata": False}}
    assert json.loads(other.read_text())["data"]["reading"] == reading
    names = [name_of_images(stored.data) for stored in load_evaluations(run)]
    assert len(names) == 2
    assert names[1] == f"{names[0]} (guess_nodata=False)"


def test_another_image_size_and_holdout_are_kept_beside_those_of_the_run(run):
    size = 2 * run.config.encoder.image_size
    for asked in ({}, {"image_size": size}, {"holdout": 0.4, "allow_overlap": True}):
        ssl_kit.evaluate(run, evaluation="knn", **asked)
    own, *others = (name_of_images(stored.data) for stored in load_evaluations(run))
    assert sorted(others) == [f"{own} ({size} px)", f"{own} (holdout 0.4)"]


def test_a_run_without_evaluations_has_none(run):
    assert load_evaluations(run) == []


def test_another_encoder_makes_them_stale(run):
    save(run)
    run.encoder.write_bytes(run.encoder.read_bytes() + b"x")
    assert load_evaluations(run)[0].stale
    run.encoder.unlink()
    assert load_evaluations(run)[0].stale


def damage_json(file):
    file.write_text("{")


def damage_draws(file):
    file.with_suffix(".npz").write_bytes(b"PK")


def remove_draws(file):
    file.with_suffix(".npz").unlink()


def remove_command(file):
    values = json.loads(file.read_text())
    del values["command"]
    file.write_text(json.dumps(values))


def of_an_earlier_version(file):
    values = json.loads(file.read_text())
    file.write_text(json.dumps({**values, "draws": values["arrays"]}))


def not_an_object(file):
    file.write_text("[]")


@pytest.mark.parametrize(
    "damage",
    [
        damage_json,
        damage_draws,
        remove_draws,
        remove_command,
        of_an_earlier_version,
        not_an_object,
    ],
)
def test_a_damaged_file_is_named_in_one_line(run, damage):
    file = save(run)
    damage(file)
    with pytest.raises(DataError, match="run 'ssl-kit evaluate") as error:
        load_evaluations(run)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_the_lock_of_another_process_is_no_evaluation(run):
    file = save(run)
    file.with_name(".lock.json").write_text("{}")
    assert len(load_evaluations(run)) == 1


def test_an_evaluation_that_is_being_replaced_is_read_again(run, monkeypatch):
    file = save(run)
    arrays = file.with_suffix(".npz")
    before = arrays.read_bytes()
    arrays.write_bytes(b"newer")
    monkeypatch.setattr(records.time, "sleep", lambda seconds: arrays.write_bytes(before))
    assert [stored.results.evaluation for stored in load_evaluations(run)] == ["probe"]
