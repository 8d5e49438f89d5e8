"""Datasets of Hugging Face, written by its library in three layouts."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ssl_kit
from ssl_kit import DataError, UsageError
from ssl_kit.data import split
from ssl_kit.plugins.datasets import hugging_face_sets
from ssl_kit.plugins.datasets.hugging_face import HuggingFace, HuggingFaceConfig

RNG = np.random.default_rng(0)


@pytest.fixture
def library():
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    return datasets


def rows(library, count, **columns):
    """Images of 12 x 10 pixels with a class and a patient; `columns` are further ones."""
    pictures = [Image.fromarray(RNG.integers(0, 255, (12, 10, 3), np.uint8)) for _ in range(count)]
    values = {"patient": [f"p{i // 2}" for i in range(count)], "picture": pictures}
    features = {"patient": library.Value("string"), "picture": library.Image()}
    for name, (feature, numbers) in columns.items():
        features[name], values[name] = feature, numbers
    return library.Dataset.from_dict(values, features=library.Features(features))


def labeled(library, count, label=None):
    kind = library.ClassLabel(names=["cat", "dog"])
    return rows(
        library, count, kind=(kind, [i % 2 if label is None else label for i in range(count)])
    )


def write(library, folder, layout, **splits):
    """Writes splits in a layout, and returns the folder."""
    parts = library.DatasetDict(splits)
    if layout == "saved":
        parts.save_to_disk(str(folder))
    for name, part in parts.items() if layout == "parquet" else ():
        (folder / "data").mkdir(parents=True, exist_ok=True)
        part.to_parquet(str(folder / "data" / f"{name}-00000-of-00001.parquet"))
    for name, part in parts.items() if layout == "imagefolder" else ():
        for i, row in enumerate(part):
            file = folder / name / ("cat", "dog")[row["kind"]] / f"{i}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            row["picture"].save(file)
    return folder


def opened(path, **options):
    cache = {} if "cache" in options else {"cache": str(path.parent / "cache")}
    return HuggingFace.open(path, HuggingFaceConfig(**cache, **options))


@pytest.mark.parametrize("layout", ["saved", "parquet", "imagefolder"])
def test_splits_images_and_labels_are_those_of_the_library(layout, library, tmp_path):
    parts = {"train": labeled(library, 8), "validation": labeled(library, 4)}
    parts["test"] = labeled(library, 4)
    dataset = opened(write(library, tmp_path / "set", layout, **parts))
    index = dataset.index
    assert [int((index.splits == number).sum()) for number in (1, 2, 3)] == [8, 4, 4]
    assert index.classes == ("cat", "dog")
    pixels = {np.asarray(each).tobytes(): i % 2 for i, each in enumerate(parts["test"]["picture"])}
    for i in split(index, 0.2).test.tolist():
        assert pixels[dataset.read(i).tobytes()] == index.labels[i]


def test_one_split_saved_to_disk_is_split_by_holdout(library, tmp_path):
    labeled(library, 20).save_to_disk(str(tmp_path / "set"))
    dataset = opened(tmp_path / "set")
    assert len(dataset) == 20
    assert len(split(dataset.index, 0.2).test) == 4


def test_groups_are_a_column_that_is_asked_for(library, tmp_path):
    folder = write(library, tmp_path / "set", "saved", train=labeled(library, 8))
    assert len(opened(folder).index.group_names) == 8
    index = opened(folder, group="patient").index
    assert index.group_names.tolist() == [b"p0", b"p1", b"p2", b"p3"]
    assert index.origins["group"] == "a column of set"


def test_a_test_split_without_labels_gives_way_to_the_validation_split(library, tmp_path):
    parts = {"train": labeled(library, 8), "validation": labeled(library, 4)}
    parts["test"] = labeled(library, 4, label=-1)
    index = opened(write(library, tmp_path / "set", "saved", **parts)).index
    assert (index.splits == 3).sum() == 8
    assert (index.labels[index.splits == 3] >= 0).sum() == 4
    assert "its validation part is the test part" in index.remarks[0]


def test_of_several_columns_of_classes_one_is_used_and_named(library, tmp_path):
    kind = library.ClassLabel(names=["x", "y", "z"])
    both = rows(library, 3, coarse=(kind, [0, 0, 1]), label=(kind, [0, 1, 2]))
    folder = write(library, tmp_path / "set", "saved", train=both)
    index = opened(folder).index
    assert index.classes == ("x", "y", "z")
    assert "label is used and not coarse" in index.remarks[0]
    assert opened(folder, label="coarse").index.classes == ("x", "y")


def test_labels_of_texts_are_classes(library, tmp_path):
    texts = rows(library, 3, label=(library.Value("string"), ["oak", None, "elm"]))
    index = opened(write(library, tmp_path / "set", "saved", train=texts)).index
    assert [index.label(i) for i in range(3)] == ["oak", "", "elm"]


def test_rows_that_were_chosen_and_formatted_keep_their_labels(library, tmp_path):
    part = labeled(library, 8).select([5, 2, 7]).with_format("numpy")
    part.save_to_disk(str(tmp_path / "set"))
    index = opened(tmp_path / "set").index
    assert [index.label(i) for i in range(3)] == ["dog", "cat", "dog"]


def test_no_image_is_decoded_for_the_index(library, tmp_path, monkeypatch):
    folder = write(library, tmp_path / "set", "saved", train=labeled(library, 40))
    monkeypatch.setattr("PIL.Image.open", lambda *_: pytest.fail("an image is decoded"))
    monkeypatch.setattr("ssl_kit.plugins.datasets.image_folder._LOOKED_AT", 2)
    reads = []
    read = hugging_face_sets._bytes
    monkeypatch.setattr(
        hugging_face_sets, "_bytes", lambda *given: reads.append(given[2]) or read(*given)
    )
    assert len(opened(folder)) == 40
    assert len(reads) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": "kin"}, "column data.options.label of set 'kin'. Did you mean 'kind'"),
        ({"group": "patents"}, "Did you mean 'patient'"),
        ({"splits": ("tran",)}, "Unknown split of set 'tran'. Did you mean 'train'"),
    ],
)
def test_a_wrong_request_is_refused_with_the_nearest_right_one(options, message, library, tmp_path):
    folder = write(library, tmp_path / "set", "saved", train=labeled(library, 4))
    with pytest.raises(UsageError, match=message):
        opened(folder, **options)


def test_a_dataset_without_images_is_refused(library, tmp_path):
    table = library.Dataset.from_dict({"text": ["a", "b"]})
    table.save_to_disk(str(tmp_path / "set"))
    with pytest.raises(DataError, match="has no column of images, only text"):
        opened(tmp_path / "set")


@pytest.mark.parametrize("content", [{}, {"data/train-0.parquet": b"garbage" * 9}, {"a.txt": b"x"}])
def test_a_folder_that_the_library_cannot_read_is_refused_in_one_line(content, library, tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    for name, text in content.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(text)
    with pytest.raises((DataError, UsageError)) as caught:
        opened(folder)
    assert len(str(caught.value).splitlines()) == 1


def test_a_name_is_found_in_the_cache_and_never_asked_of_the_network(
    library, tmp_path, monkeypatch
):
    def refuse(*_, **__):
        pytest.fail("the network is asked")

    monkeypatch.setattr("socket.socket.connect", refuse)
    folder = write(library, tmp_path / "owner" / "pets", "parquet", train=labeled(library, 6))
    cached = tmp_path / "cache"
    library.load_dataset(str(folder), cache_dir=str(cached))
    (cached / "pets").rename(cached / "owner___pets")  # as a download has it
    dataset = opened(Path("owner/pets"), cache=str(cached))
    assert len(dataset) == 6
    with pytest.raises(DataError, match=r"'owner/dogs' .*OfflineMode.*--download"):
        opened(Path("owner/dogs"), cache=str(cached))


def test_a_download_is_tried_after_the_cache(library, tmp_path, monkeypatch):
    asked = []

    def load(name, subset, cache_dir):
        asked.append(library.config.HF_HUB_OFFLINE)
        raise ConnectionError("no network\nat all")

    monkeypatch.setattr(library.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("socket.getaddrinfo", lambda *address: [])
    monkeypatch.setattr(library, "load_dataset", load)
    with pytest.raises(DataError, match=r"ConnectionError: no network at all\)") as caught:
        opened(Path("owner/pets"), cache=str(tmp_path), download=True)
    assert asked == [True, False]
    assert len(str(caught.value).splitlines()) == 1


def test_it_survives_being_sent_to_a_process(library, tmp_path):
    dataset = opened(write(library, tmp_path / "set", "saved", train=labeled(library, 6)))
    content = pickle.dumps(dataset)
    assert len(content) < 20_000
    assert np.array_equal(pickle.loads(content).read(3), dataset.read(3))


def test_without_the_library_the_message_names_the_extra(tmp_path, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(hugging_face_sets, "import_module", missing)
    with pytest.raises(UsageError, match=r"pip install 'ssl-kit\[hf\]'"):
        opened(tmp_path)
    assert HuggingFace.example(tmp_path) is None


def test_a_run_finds_the_dataset_again(library, tmp_path, monkeypatch):
    write(library, tmp_path / "set", "saved", train=labeled(library, 16), test=labeled(library, 8))
    monkeypatch.chdir(tmp_path)
    settings = {"encoder": "test_resnet", "image_size": 32, "batch_size": 8, "workers": 0}
    run = ssl_kit.train(
        domain="natural",
        data="hf:set",
        epochs=1,
        out=tmp_path / "run",
        precision="fp32",
        **settings,
    )
    assert run.config.data.path == f"hf:{tmp_path / 'set'}"
    monkeypatch.chdir("/")
    assert ssl_kit.evaluate(run, evaluation="knn")


def test_a_hub_that_is_unknown_is_not_asked_again_and_again(library, tmp_path, monkeypatch):
    asked = []

    def fail(*address):
        asked.append(address)
        raise OSError("no such host")

    monkeypatch.setattr("socket.getaddrinfo", fail)
    monkeypatch.setattr("ssl_kit.plugins.hub.getproxies", dict)
    for constants in (library.config, hugging_face_sets.constants):
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(DataError, match="download it on another computer"):
        opened(Path("owner/pets"), cache=str(tmp_path / "cache"), download=True)
    assert len(asked) == 1


def test_exif_orientations_are_known(library, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: a quarter turn to the right
    for label in ("cat", "dog"):
        (tmp_path / "set" / "train" / label).mkdir(parents=True)
        Image.new("RGB", (8, 6)).save(tmp_path / "set" / "train" / label / "0.jpg", exif=exif)
    dataset = opened(tmp_path / "set")
    assert (dataset.read(0).shape[:2], dataset.orientation(0)) == ((8, 6), 6)
