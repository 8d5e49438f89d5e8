import os

import pytest

from ssl_kit import DataError, UsageError
from ssl_kit.data import FileDataset, index_files


@pytest.fixture
def folder(tmp_path):
    """Makes empty files by name below a folder, and returns it."""

    def make(*names):
        for name in names:
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / "data"

    return make


def table(index):
    labels = [index.classes[label] if label >= 0 else "" for label in index.labels]
    return {index.key(i): label for i, label in enumerate(labels)}


def splits(index):
    return {index.key(i): ("", "train", "val", "test")[s] for i, s in enumerate(index.splits)}


def test_a_flat_folder_has_no_labels(folder):
    assert table(index_files(folder("b.png", "a.PNG", "c.txt"), [".png"])) == {
        "a.PNG": "",
        "b.png": "",
    }


def test_class_folders(folder):
    index = index_files(folder("cat/1.png", "dog/1.png", "dog/old/2.png"), [".png"])
    assert table(index) == {"cat/1.png": "cat", "dog/1.png": "dog", "dog/old/2.png": "dog"}


@pytest.mark.parametrize("val", ["val", "valid", "Validation"])
def test_split_folders_with_classes(folder, val):
    names = ["train/cat/1.png", "train/dog/1.png", f"{val}/cat/2.png", "test/dog/3.png"]
    index = index_files(folder(*names), [".png"])
    assert [table(index)[name] for name in names] == ["cat", "dog", "cat", "dog"]
    assert [splits(index)[name] for name in names] == ["train", "train", "val", "test"]


def test_split_folders_without_classes(folder):
    index = index_files(folder("train/1.png", "test/2.png"), [".png"])
    assert set(table(index).values()) == {""}
    assert splits(index) == {"train/1.png": "train", "test/2.png": "test"}


@pytest.mark.parametrize("names", [("cat/1.png", "cat/2.png"), ("cat/1.png", "2.png", "3.png")])
def test_one_folder_or_loose_files_are_no_labeling(folder, names):
    assert set(table(index_files(folder(*names), [".png"])).values()) == {""}


def test_hidden_files_and_folders_are_left_out(folder):
    root = folder("a.png", ".b.png", ".cache/c.png")
    assert list(table(index_files(root, [".png"]))) == ["a.png"]


def test_one_file_is_a_dataset_too(folder):
    root = folder("a.tif", "b.tif")
    assert list(table(index_files(root / "a.tif", [".tif"]))) == ["a.tif"]


def test_an_empty_folder_is_an_error_that_tells_what_is_there(folder):
    with pytest.raises(DataError, match=r"no .jpg, .png files .found: 2 .txt, 1 without ending"):
        index_files(folder("a.txt", "b.txt", "README"), [".png", ".jpg"])


def test_a_folder_with_nothing_in_it(tmp_path):
    with pytest.raises(DataError, match="found: nothing"):
        index_files(tmp_path, [".png"])


def test_labels_csv_in_the_folder_is_used(folder):
    root = folder("x/1.png", "y/2.png", "3.png")
    (root / "labels.csv").write_text(
        "path,label,group,split\nx/1.png,cat,p1,train\ny/2.png,dog,p1,\n"
    )
    index = index_files(root, [".png"])
    assert table(index) == {"3.png": "", "x/1.png": "cat", "y/2.png": "dog"}
    assert splits(index) == {"3.png": "", "x/1.png": "train", "y/2.png": ""}
    assert index.groups[1] == index.groups[2] != index.groups[0]


def test_a_given_csv_wins_and_needs_only_some_columns(folder, tmp_path):
    root = folder("x/1.png", "y/2.png", "labels.csv")
    mine = tmp_path / "mine.csv"
    mine.write_text("\ufeffsplit,path\nVALID,x/1.png\n", encoding="utf-8")
    index = index_files(root, [".png"], mine)
    assert splits(index) == {"x/1.png": "val", "y/2.png": ""}
    assert index.classes == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\ngone.png,cat\n", "names 1 file not there, the first 'gone.png'"),
        ("path,split\na.png,trian\n", "line 2: split is train, val or test, not 'trian'"),
        ("name,label\na.png,cat\n", "needs a column of paths, .* it has name, label"),
        ("", "needs a header with path"),
        ("path,label\n", "has a header and no rows"),
        ("label,path\ncat\n", "names 1 file not there"),
    ],
)
def test_a_wrong_csv_says_what_is_wrong(folder, tmp_path, text, message):
    mine = tmp_path / "mine.csv"
    mine.write_text(text)
    with pytest.raises(UsageError, match=message):
        index_files(folder("a.png"), [".png"], mine)


def test_a_csv_that_is_no_text(folder, tmp_path):
    mine = tmp_path / "mine.csv"
    mine.write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(UsageError, match="Cannot read the labels"):
        index_files(folder("a.png"), [".png"], mine)


def test_an_image_is_known_by_name_and_size(folder):
    root = folder("a.png", "b.png")
    before = index_files(root, [".png"]).group_hashes()
    (root / "a.png").write_bytes(b"more")
    after = index_files(root, [".png"]).group_hashes()
    assert len(before & after) == 1


def test_a_broken_link_is_listed_like_any_unreadable_file(folder):
    root = folder("a.png")
    (root / "b.png").symlink_to(root / "gone.png")
    assert len(index_files(root, [".png"])) == 2


def test_a_name_that_is_no_unicode(folder):
    root = folder("a.png")
    with open(os.fsencode(root) + b"/\xe9.png", "wb"):
        pass
    index = index_files(root, [".png"])
    assert os.path.exists(root / index.key(1))


def test_each_reason_is_listed_with_the_first_of_its_files(tmp_path):
    class Texts(FileDataset):
        suffixes = (".txt",)
        channels = ("gray",)

        def prepare(self):
            super().prepare()
            self.inspect(lambda file: (_ for _ in ()).throw(DataError(f"is {'bad' * (file < 2)}")))

        def read(self, i):
            raise NotImplementedError

    for name in "abc":
        (tmp_path / f"{name}.txt").touch()
    with pytest.raises(DataError, match=r"'a\.txt' \(and 1 more\) is bad; 'c\.txt' is \.$"):
        Texts(tmp_path)
