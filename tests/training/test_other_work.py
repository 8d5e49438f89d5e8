"""Results of one command are not written into the folder of another."""

import pytest

from ssl_kit import UsageError, compare
from ssl_kit.training.other_work import refuse_other_work
from ssl_kit.training.progress import Progress
from ssl_kit.training.start import start


@pytest.mark.parametrize("name", ["config.toml", "tune.json", "compare.json", "recipe.json"])
def test_a_folder_of_another_command_is_refused(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(UsageError, match=r"holds a \w+\. Choose another --out"):
        refuse_other_work(tmp_path)
    refuse_other_work(tmp_path, (name,))


def test_a_folder_with_other_files_is_accepted(tmp_path):
    (tmp_path / "log.txt").touch()
    refuse_other_work(tmp_path)
    refuse_other_work(tmp_path / "new", data=str(tmp_path))


def test_a_run_is_not_written_into_the_folder_of_the_images(tiny, shared_images):
    settings = tiny | {"data": {"path": str(shared_images)}}
    with pytest.raises(UsageError, match="is the folder of the images"):
        start([settings], shared_images, Progress(quiet=True))


def test_a_comparison_is_not_written_into_a_run(finished_run):
    run = finished_run.folder
    with pytest.raises(UsageError, match="holds a run"):
        compare(str(run), evaluation="knn", budgets="all", seeds=1, controls=False, out=run)
    assert not (run / "compare.json").exists()
