"""Images that a run was pre-trained on are found in a folder above or below that of the run."""

import cv2
import numpy as np
import pytest

from ssl_kit import UsageError
from ssl_kit.data.splits import split
from ssl_kit.evaluation import EvaluationData
from ssl_kit.evaluation.leakage import groups_of, refuse_overlap, seen_by, until_of
from ssl_kit.evaluation.own_predictions import OwnPredictions
from ssl_kit.evaluation.requests import open_images
from ssl_kit.reports.html.sections import leak
from ssl_kit.training.manifest import short
from ssl_kit.training.run import Run
from ssl_kit.training.settings import RunConfig


@pytest.fixture
def folders(tmp_path):
    """A folder of images with labeled/{cat,dog} and more, and files of other names in a third."""
    for part in ("labeled/cat", "labeled/dog", "more"):
        folder = tmp_path / "images" / part
        folder.mkdir(parents=True)
        for i in range(10):
            image = np.full((8, 8, 3), 10 * i, np.uint8)
            cv2.imwrite(str(folder / f"{folder.name}{i}.png"), image)
    return tmp_path / "images"


def opened(path):
    domain, dataset, config = open_images("", "natural", str(path), "")
    return EvaluationData(dataset, split(dataset.index, config.holdout), domain)


@pytest.fixture
def pretrained(tmp_path):
    def make(path, keep=lambda key: True, name="run", **more):
        """A run that was pre-trained on all images of a folder whose keys are kept."""
        index = opened(path).dataset.index
        kept = np.array([i for i in range(len(index)) if keep(index.key(i))])
        run = Run.create(tmp_path / name, RunConfig(domain="natural", data={"path": str(path)}))
        manifest = {
            "config": {"data": {"path": str(path)}},
            "groups": sorted(index.group_hashes(kept)),
            "groups_from": index.origins.get("group", ""),
        }
        run.write_json("manifest.json", {**manifest, **more})
        return run

    return make


def test_labeled_images_in_a_subfolder_of_the_images_of_pretraining_are_refused(
    folders, pretrained
):
    run, data = pretrained(folders), opened(folders / "labeled")
    with pytest.raises(UsageError, match="4 groups of the test part were pre-trained on"):
        refuse_overlap(run, data, allow=False)
    assert refuse_overlap(run, data, allow=True) == 4


def test_labeled_images_above_the_images_of_pretraining_are_refused(folders, pretrained):
    run, data = pretrained(folders / "labeled"), opened(folders)
    with pytest.raises(UsageError, match="groups of the test part were pre-trained on"):
        refuse_overlap(run, data, allow=False)


def test_images_of_a_subfolder_that_were_not_pretrained_on_are_not_refused(folders, pretrained):
    data = opened(folders / "labeled")
    tested = {f"labeled/{data.dataset.index.key(i)}" for i in data.splits.test}
    run = pretrained(folders, lambda key: key not in tested)
    assert refuse_overlap(run, data, allow=False) == 0
    other = pretrained(folders / "more", name="other")
    assert refuse_overlap(other, opened(folders), allow=True) > 0
    assert refuse_overlap(other, data, allow=False) == 0


def test_groups_in_part_and_of_earlier_runs_are_found_in_a_subfolder_too(folders, pretrained):
    first, dataset = pretrained(folders, name="first"), opened(folders / "labeled").dataset
    hashes = sorted(groups_of(first))
    until = {"until": {key: [3.0] for key in hashes}}
    known = dataset.index.group_hashes()
    assert known <= groups_of(first, dataset=dataset)
    assert not known & groups_of(first)
    partly = pretrained(folders, name="partly", **until)
    found = until_of(partly, dataset=dataset)
    assert all(found[key] == [3.0] for key in known)
    earlier = [short(first.read_json("manifest.json"))]
    later = pretrained(folders / "more", name="later", started_from=earlier)
    assert known <= seen_by(later, dataset=dataset)[0]


def test_the_report_and_a_classifier_find_them_too(folders, pretrained):
    run, data = pretrained(folders), opened(folders / "labeled")
    manifest, index = run.read_json("manifest.json"), data.dataset.index
    assert leak(manifest, index, data.splits, data.dataset.path).bad
    assert not len(OwnPredictions(run).tested(data))


def test_groups_that_folders_of_another_level_name_are_refused(tmp_path, pretrained):
    for site in ("north", "south", "east", "west"):
        for folder in (f"{patient}/{kind}" for patient in ("p1", "p2", "p3") for kind in "ab"):
            inner = tmp_path / "sites" / site / folder
            inner.mkdir(parents=True)
            cv2.imwrite(str(inner / "1.png"), np.zeros((8, 8, 3), np.uint8))
    whole, data = tmp_path / "sites", opened(tmp_path / "sites" / "north")
    run = pretrained(whole)  # whose groups are the sites, and not the patients
    manifest = run.read_json("manifest.json")
    assert manifest["groups_from"] == data.dataset.index.origins["group"] == "names of folders"
    with pytest.raises(UsageError, match="is not the folder of pre-training"):
        refuse_overlap(run, data, allow=False)
