"""Sets of torchvision, in small files of the true layouts."""

import hashlib
import json
import pickle
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import torch
import torchvision.datasets as sets
from scipy.io import savemat

from ssl_kit import DataError, UsageError
from ssl_kit.data import LabelSource, split
from ssl_kit.plugins.datasets import named_images
from ssl_kit.plugins.datasets.torchvision import Torchvision, TorchvisionConfig

RNG = np.random.default_rng(0)


def pixels(*shape):
    return RNG.integers(0, 255, shape, np.uint8)


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def jpeg(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels(12, 10, 3))


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def write_cifar(root, monkeypatch, kind):
    fine = kind is sets.CIFAR100
    folder = root / kind.base_folder
    folder.mkdir()

    def pickled(name, content):
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
        return md5(folder / name)

    def batch(name, count):
        labels = {"fine_labels" if fine else "labels": [i % 3 for i in range(count)]}
        return [name, pickled(name, {"data": pixels(count, 3072), **labels})]

    monkeypatch.setattr(kind, "train_list", [batch(n, 6) for n, _ in kind.train_list])
    monkeypatch.setattr(kind, "test_list", [batch(n, 6) for n, _ in kind.test_list])
    meta = kind.meta
    checksum = pickled(meta["filename"], {meta["key"]: ["plane", "car", "bird"]})
    monkeypatch.setattr(kind, "meta", {**meta, "md5": checksum})


def write_stl10(root, monkeypatch, kind=sets.STL10):
    folder = root / kind.base_folder
    folder.mkdir()
    for name, count in (("train", 6), ("test", 4), ("unlabeled", 5)):
        pixels(count, 3, 96, 96).tofile(folder / f"{name}_X.bin")
        if name != "unlabeled":
            np.array([1 + i % 2 for i in range(count)], np.uint8).tofile(folder / f"{name}_y.bin")
    text(folder / "class_names.txt", "airplane\nbird\n")
    for name in ("train_list", "test_list"):
        files = [[file, md5(folder / file)] for file, _ in getattr(kind, name)]
        monkeypatch.setattr(kind, name, files)


def write_mnist(root, monkeypatch, kind=sets.MNIST):
    folder = root / kind.__name__ / "raw"
    folder.mkdir(parents=True)

    def idx(name, array):
        head = np.array([2048 + array.ndim, *array.shape], ">i4").tobytes()
        (folder / name).write_bytes(head + array.tobytes())

    for name, count in (("train", 6), ("t10k", 4)):
        idx(f"{name}-images-idx3-ubyte", pixels(count, 28, 28))
        idx(f"{name}-labels-idx1-ubyte", np.arange(count, dtype=np.uint8) % 3)


def write_svhn(root, monkeypatch, kind=sets.SVHN):
    files = {}
    for name, count in (("train", 6), ("test", 4), ("extra", 3)):
        address, file, _ = kind.split_list[name]
        digits = np.array([[10 if i % 2 else 3] for i in range(count)], np.uint8)
        savemat(root / file, {"X": pixels(32, 32, 3, count), "y": digits})
        files[name] = [address, file, md5(root / file)]
    monkeypatch.setattr(kind, "split_list", files)


def write_pcam(root, monkeypatch, kind=sets.PCAM):
    (root / "pcam").mkdir()
    for name, count in (("train", 6), ("val", 4), ("test", 4)):
        labels = (np.arange(count, dtype=np.uint8) % 2).reshape(-1, 1, 1, 1)
        for part, key, array in (
            ("images", "x", pixels(count, 96, 96, 3)),
            ("targets", "y", labels),
        ):
            with h5py.File(root / "pcam" / kind._FILES[name][part][0], "w") as file:
                file[key] = array


def write_eurosat(root, monkeypatch):
    for name in ("Forest", "River"):
        for i in range(10):
            jpeg(root / "eurosat" / "2750" / name / f"{name}_{i}.jpg")


def write_dtd(root, monkeypatch):
    for number, name in enumerate(("train", "val", "test")):
        files = [f"{c}/{c}_{number}{i}.jpg" for c in ("banded", "woven") for i in range(3)]
        for file in files:
            jpeg(root / "dtd" / "dtd" / "images" / file)
        for partition in (1, 2):
            chosen = files[::partition]
            text(root / "dtd" / "dtd" / "labels" / f"{name}{partition}.txt", "\n".join(chosen))


def write_imagenet(root, monkeypatch):
    names = {"n1": ("crane",), "n2": ("tench", "Tinca tinca"), "n3": ("crane",)}
    torch.save((names, []), root / "meta.bin")
    for part in ("train", "val"):
        for name in names:
            for i in range(5):
                jpeg(root / part / name / f"{part}_{name}_{i}.JPEG")


def write_food101(root, monkeypatch):
    for part in ("train", "test"):
        files = {c: [f"{c}/{part}{i}" for i in range(3)] for c in ("ramen", "waffles")}
        text(root / "food-101" / "meta" / f"{part}.json", json.dumps(files))
        for name in (name for names in files.values() for name in names):
            jpeg(root / "food-101" / "images" / f"{name}.jpg")


def write_pets(root, monkeypatch):
    for part in ("trainval", "test"):
        lines = [
            f"{c}_{part}{i} {n} 1 1" for n, c in ((1, "Abyssinian"), (2, "pug")) for i in (0, 1)
        ]
        text(root / "oxford-iiit-pet" / "annotations" / f"{part}.txt", "\n".join(lines))
        for line in lines:
            jpeg(root / "oxford-iiit-pet" / "images" / f"{line.split()[0]}.jpg")


def write_caltech101(root, monkeypatch):
    for name in ("BACKGROUND_Google", "Faces", "Motorbikes", "ant"):
        for i in range(1, 6):
            jpeg(root / "caltech101" / "101_ObjectCategories" / name / f"image_{i:04d}.jpg")
    (root / "caltech101" / "Annotations").mkdir()


def write_emnist(root, monkeypatch):
    folder = root / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    for part, count in (("train", 6), ("test", 4)):
        for name, array in (("images-idx3", pixels(count, 28, 28)), ("labels-idx1", None)):
            array = np.arange(count, dtype=np.uint8) % 2 if array is None else array
            head = np.array([2048 + array.ndim, *array.shape], ">i4").tobytes()
            (folder / f"emnist-digits-{part}-{name}-ubyte").write_bytes(head + array.tobytes())


SETS = {  # what writes it, then images of train, val, test and unlabeled ones, classes, channels
    "CIFAR10": (lambda root, m: write_cifar(root, m, sets.CIFAR10), (30, 0, 6, 0), 3, 3),
    "CIFAR100": (lambda root, m: write_cifar(root, m, sets.CIFAR100), (6, 0, 6, 0), 3, 3),
    "STL10": (write_stl10, (11, 0, 4, 5), 2, 3),
    "MNIST": (write_mnist, (6, 0, 4, 0), 3, 1),
    "FashionMNIST": (lambda root, m: write_mnist(root, m, sets.FashionMNIST), (6, 0, 4, 0), 3, 1),
    "SVHN": (write_svhn, (6, 0, 4, 0), 2, 3),
    "PCAM": (write_pcam, (6, 4, 4, 0), 2, 3),
    "EuroSAT": (write_eurosat, None, 2, 3),
    "DTD": (write_dtd, (6, 6, 6, 0), 2, 3),
    "ImageNet": (write_imagenet, (15, 0, 15, 0), 3, 3),
    "Food101": (write_food101, (6, 0, 6, 0), 2, 3),
    "OxfordIIITPet": (write_pets, (4, 0, 4, 0), 2, 3),
    "Caltech101": (write_caltech101, None, 3, 3),
}


def opened(name, root, **options):
    return Torchvision.open(Path(name), TorchvisionConfig(root=str(root), **options))


@pytest.mark.parametrize("name", SETS)
def test_the_parts_of_a_set_are_the_declared_splits(name, tmp_path, monkeypatch):
    write, counts, classes, channels = SETS[name]
    write(tmp_path, monkeypatch)
    dataset = opened(name, tmp_path)
    index = dataset.index
    assert len(index.classes) == classes
    assert len(dataset.channels) == channels
    if counts is None:  # a set without parts is split by group
        assert not index.splits.any()
    else:
        declared = [int((index.splits == number).sum()) for number in (1, 2, 3)]
        assert (*declared, int((index.labels < 0).sum())) == counts
        assert len(split(index, 0.2).test) == counts[2]
    assert len(set(index.keys.tolist())) == len(index)
    assert index.fingerprint() == opened(name, tmp_path).fingerprint()


@pytest.mark.parametrize("name", SETS)
def test_images_and_labels_are_those_of_torchvision(name, tmp_path, monkeypatch):
    write, _, _, channels = SETS[name]
    write(tmp_path, monkeypatch)
    dataset, kind = opened(name, tmp_path), getattr(sets, name)
    parts = {"CIFAR10": "train", "CIFAR100": "train", "MNIST": "train", "FashionMNIST": "train"}
    first = {"train": True} if name in parts else {"split": "train"}
    first = {"EuroSAT": {}, "Caltech101": {}, "OxfordIIITPet": {"split": "trainval"}}.get(
        name, first
    )
    theirs = kind(str(tmp_path), **first)
    for i in range(len(theirs)):
        picture, label = theirs[i]
        image = dataset[i]
        expected = np.asarray(picture.convert("RGB" if channels == 3 else "L"))
        difference = np.abs(image.image.astype(int).squeeze() - expected.astype(int))
        assert difference.max() <= 3  # two decoders of JPEG
        assert image.label == name_of(theirs, int(label))


def name_of(theirs, label):
    classes = getattr(theirs, "classes", None) or getattr(theirs, "categories", [])
    names = [each if isinstance(each, str) else ", ".join(each) for each in classes]
    if not names:
        return str(label)
    return f"{names[label]} ({label})" if names.count(names[label]) > 1 else names[label]


def test_a_wrong_checksum_is_refused_before_anything_is_unpickled(tmp_path, monkeypatch):
    write_cifar(tmp_path, monkeypatch, sets.CIFAR10)
    file = tmp_path / "cifar-10-batches-py" / sets.CIFAR10.test_list[0][0]
    file.write_bytes(pickle.dumps({"data": pixels(6, 3072), "labels": [0] * 6}))
    monkeypatch.setattr(pickle, "load", lambda *_, **__: pytest.fail("it is unpickled"))
    with pytest.raises(
        DataError, match=r"CIFAR10 in .*not found or corrupted.*--download"
    ) as caught:
        opened("CIFAR10", tmp_path)
    assert "\n" not in str(caught.value)


def test_a_wrong_checksum_of_the_class_names_is_refused_too(tmp_path, monkeypatch):
    write_cifar(tmp_path, monkeypatch, sets.CIFAR10)
    loaded = []
    load = pickle.load
    monkeypatch.setattr(
        pickle, "load", lambda file, **more: loaded.append(file.name) or load(file, **more)
    )
    (tmp_path / "cifar-10-batches-py" / "batches.meta").write_bytes(
        pickle.dumps({"label_names": []})
    )
    with pytest.raises(DataError, match="metadata file not found or corrupted"):
        opened("CIFAR10", tmp_path)
    assert not any(name.endswith("batches.meta") for name in loaded)


def test_keys_are_files_below_the_root_or_part_and_number(tmp_path, monkeypatch):
    write_dtd(tmp_path, monkeypatch)
    write_mnist(tmp_path, monkeypatch)
    assert opened("DTD", tmp_path).index.key(0) == "dtd/dtd/images/banded/banded_00.jpg"
    assert opened("MNIST", tmp_path).index.key(6) == "test/000000"


def test_images_of_two_sets_share_no_group(tmp_path, monkeypatch):
    write_mnist(tmp_path, monkeypatch)
    write_mnist(tmp_path, monkeypatch, sets.FashionMNIST)
    first, second = (opened(name, tmp_path).index for name in ("MNIST", "FashionMNIST"))
    assert not first.group_hashes() & second.group_hashes()


def test_other_parts_and_arguments_can_be_chosen(tmp_path, monkeypatch):
    write_svhn(tmp_path, monkeypatch)
    write_dtd(tmp_path, monkeypatch)
    write_emnist(tmp_path, monkeypatch)
    with_extra = opened("SVHN", tmp_path, splits=("train", "extra", "test")).index
    assert (with_extra.splits == 1).sum() == 9
    assert len(opened("DTD", tmp_path, arguments={"partition": 2})) == 9
    assert len(opened("EMNIST", tmp_path, arguments={"split": "digits"})) == 10


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cifar10", {}, "no set 'cifar10'.*Did you mean 'torchvision:CIFAR10'.*STL10"),
        ("VOCDetection", {}, "no set 'VOCDetection' of images with one class each"),
        ("MNIST", {"root": ""}, "Where is MNIST.*data.options.root=FOLDER"),
        ("MNIST", {"root": "nowhere"}, "'nowhere' does not exist"),
        ("SVHN", {"splits": ("extr",)}, "Unknown part of SVHN 'extr'. Did you mean 'extra'"),
        ("DTD", {"arguments": {"part": 1}}, "argument of DTD 'part'. Did you mean 'partition'"),
        ("EMNIST", {}, "EMNIST is several sets: byclass.*arguments.split=NAME"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_refused_with_the_nearest_right_one(name, options, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        opened(name, **{"root": tmp_path, **options})


@pytest.mark.parametrize("name", SETS)
def test_a_set_that_is_not_there_is_refused_and_nothing_is_written(name, tmp_path):
    with pytest.raises(DataError, match=f"cannot read .*{name} in.*--download") as caught:
        opened(name, tmp_path)
    assert "\n" not in str(caught.value)
    assert not any(tmp_path.iterdir())


def test_a_cut_file_of_arrays_is_refused(tmp_path, monkeypatch):
    write_stl10(tmp_path, monkeypatch)
    file = tmp_path / "stl10_binary" / "train_X.bin"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataError, match="the part train of STL10"):
        opened("STL10", tmp_path)


def test_torchvision_downloads_only_if_it_may_and_must(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(sets.MNIST, "download", lambda self: asked.append(self.root) or write(self))

    def write(self):
        if not (tmp_path / "MNIST").exists():
            write_mnist(tmp_path, monkeypatch)

    assert len(opened("MNIST", tmp_path, download=True)) == 10
    assert len(asked) == 1  # the second part is there already
    opened("MNIST", tmp_path, download=True)
    assert len(asked) == 1


def test_a_download_without_a_network_is_one_line(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError("<urlopen error no network>")

    monkeypatch.setattr("torchvision.datasets.eurosat.download_and_extract_archive", refuse)
    with pytest.raises(DataError, match=r"no network.*Download it on another computer"):
        opened("EuroSAT", tmp_path, download=True)


def test_gray_images_can_be_read_as_rgb(tmp_path, monkeypatch):
    write_mnist(tmp_path, monkeypatch)
    dataset = opened("MNIST", tmp_path)
    options = dataset.options_for(("red", "green", "blue"))
    assert opened("MNIST", tmp_path, **options).read(0).shape == (28, 28, 3)


def test_the_index_of_files_decodes_none_but_those_looked_at(tmp_path, monkeypatch):
    write_imagenet(tmp_path, monkeypatch)
    monkeypatch.setattr("PIL.Image.open", lambda *_: pytest.fail("an image is decoded"))
    monkeypatch.setattr("ssl_kit.plugins.datasets.image_folder._LOOKED_AT", 2)
    reads = []
    monkeypatch.setattr(
        "ssl_kit.plugins.datasets.torchvision_sets.read_file",
        lambda path, read=named_images.read_file: reads.append(path) or read(path),
    )
    assert len(opened("ImageNet", tmp_path)) == 30
    assert len(reads) <= 3


def test_an_unreadable_image_is_no_reason_to_refuse_the_set(tmp_path, monkeypatch):
    write_dtd(tmp_path, monkeypatch)
    (tmp_path / opened("DTD", tmp_path).index.key(0)).unlink()
    dataset = opened("DTD", tmp_path)
    assert dataset.read(1).shape == (12, 10, 3)
    with pytest.raises(DataError, match="cannot be opened"):
        dataset.read(0)


def test_labels_of_another_source_are_refused(tmp_path, monkeypatch):
    write_mnist(tmp_path, monkeypatch)
    with pytest.raises(UsageError, match="has labels and parts of its own"):
        Torchvision.open(
            Path("MNIST"), TorchvisionConfig(root=str(tmp_path)), LabelSource(layout="{label}/*")
        )


def test_a_set_survives_being_sent_to_a_process(tmp_path, monkeypatch):
    write_stl10(tmp_path, monkeypatch)
    write_dtd(tmp_path, monkeypatch)
    for name in ("STL10", "DTD"):
        dataset = opened(name, tmp_path)
        content = pickle.dumps(dataset)
        assert len(content) < 20_000
        assert np.array_equal(pickle.loads(content).read(3), dataset.read(3))
