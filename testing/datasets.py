"""What every dataset must keep to."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from ..core.dataset import Dataset
from ..core.errors import SslKitError
from ..core.index import SPLITS
from ..data.named import NamedDataset
from .kit import explaining, require

Kind = type[Dataset]
_NOTHING = "not checked: give the class a classmethod `example(folder)` that writes a few files"


def declares_itself(kind: Kind) -> None:
    """It is a Dataset with a docstring and documented options."""
    require(issubclass(kind, Dataset), f"{kind} is no subclass of ssl_kit.Dataset")
    require(bool((kind.__doc__ or "").strip()), "the class has no docstring")
    bare = [name for name, f in kind.Config.model_fields.items() if not f.description]
    require(not bare, f"options without Field(description=...): {', '.join(bare)}")


def accepts_no_foreign_folder(kind: Kind) -> None:
    """It does not claim an empty folder or one with foreign files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cure = "`accepts` looks for the endings of its own files"
        require(not kind.accepts(folder), f"it accepts an empty folder; {cure}")
        (folder / "notes.docx").write_bytes(b"words")
        require(not kind.accepts(folder), f"it accepts a folder with notes.docx only; {cure}")


def rejects_garbage(kind: Kind) -> None:
    """Garbage and empty files under endings it accepts give an ssl-kit error, nothing else."""
    with tempfile.TemporaryDirectory() as name:
        for suffix in _accepted_suffixes(kind, Path(name)):
            for content in (b"", b"garbage" * 100):
                folder = Path(tempfile.mkdtemp(dir=name))
                (folder / f"bad{suffix}").write_bytes(content)
                _must_refuse(kind, folder, f"{len(content)} bytes of garbage in bad{suffix}")


_SUFFIXES = """
.jpg .png .bmp .webp .tif .tiff .jp2 .pgm .ppm .pfm .exr .hdr .npy .npz .mat .h5 .hdf5 .nc .zarr
.dcm .nii .nii.gz .mgz .mha .mhd .nrrd .svs .ndpi .mrxs .edf .bdf .gdf .fif .vhdr .set .txt .csv
.wav .flac .tar .ntf .nitf .raw .bin .dat .fits .parquet
"""


def _accepted_suffixes(kind: Kind, folder: Path) -> list[str]:
    accepted = []
    for suffix in _SUFFIXES.split():
        probe = Path(tempfile.mkdtemp(dir=folder))
        (probe / f"bad{suffix}").write_bytes(b"garbage")
        if kind.accepts(probe):
            accepted.append(suffix)
    return accepted


def _must_refuse(kind: Kind, folder: Path, what: str) -> None:
    try:
        dataset = kind.open(folder, kind.Config())
        dataset[0]
    except SslKitError as error:
        require(len(str(error).splitlines()) == 1, f"{what}: the message has several lines")
        return
    except Exception as error:
        require(False, f"{what} raises {type(error).__name__}: {error}; raise ssl_kit.DataError")
        raise
    require(False, f"{what} is read as an image; raise ssl_kit.DataError")


@contextmanager
def _example(kind: Kind) -> Iterator[partial[Dataset] | None]:
    """Yields what opens the files of its `example`, or a demo without files; None for neither."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = kind.example(folder) or folder
        if any(folder.iterdir()):
            require(kind.accepts(path), "it does not accept the files of its `example`")
            options = kind.Config()
            if issubclass(kind, NamedDataset):
                options = kind.example_options(folder)
            yield partial(kind.open, path, options, None)
        else:
            yield (
                partial(kind.open, folder, kind.Config(), None) if _is_demo(kind, folder) else None
            )


def _is_demo(kind: Kind, folder: Path) -> bool:
    """Tells whether it opens without files."""
    try:
        kind.open(folder, kind.Config())
    except SslKitError:
        return False
    return True


def index_is_consistent(kind: Kind) -> str:
    """Names, labels, groups and splits fit together, and are the same when opened again."""
    with _example(kind) as opened:
        if opened is None:
            return _NOTHING
        dataset, again = opened(), opened()
        index, n = dataset.index, len(dataset)
        require(n > 0, "there are no images")
        columns = ("labels", "groups", "splits", "positions")
        uneven = [name for name in columns if len(getattr(index, name)) != n]
        require(not uneven, f"{', '.join(uneven)} and keys differ in length; use Index.build")
        require(len(set(index.keys.tolist())) == n, "two images have the same key")
        for name, column, low, count in (
            ("labels", index.labels, -1, len(index.classes)),
            ("groups", index.groups, 0, len(index.group_names)),
            ("splits", index.splits, 0, len(SPLITS)),
        ):
            within = low <= column.min() and column.max() < count
            require(bool(within), f"{name} are not from {low} to {count - 1}; use Index.build")
        same = dataset.fingerprint() == again.fingerprint()
        require(same, "opened again, the index differs; sort the files")
        require(len(dataset.channels) == len(set(dataset.channels)), "two channels have one name")
    return ""


def images_keep_to_the_contract(kind: Kind) -> str:
    """An image is (H, W, C), uint8 or float32 in [0, 1], and the same when read again."""
    with _example(kind) as opened:
        if opened is None:
            return _NOTHING
        dataset = opened()
        require(
            dataset.value_range.shape == (len(dataset.channels), 2),
            f"value_range is {dataset.value_range.shape}, not (C, 2)",
        )
        for i in sorted({0, len(dataset) // 2, len(dataset) - 1}):
            with explaining(f"reading image {i}; `read` returns (H, W, C) in physical values"):
                image, again = dataset[i].image, dataset[i].image
            known = image.dtype in (np.uint8, np.float32)
            require(known, f"image {i} is {image.dtype}; leave the scaling to ssl_kit.Dataset")
            right = image.dtype == np.uint8 or (image.min() >= 0 and image.max() <= 1)
            require(
                bool(right), f"image {i} is not within [0, 1]; leave the scaling to ssl_kit.Dataset"
            )
            require(
                np.array_equal(image, again),
                f"image {i} differs when it is read again; leave "
                "what is random to the domain's policies",
            )
    return ""


def keeps_the_value_range(kind: Kind) -> str:
    """The value range that a run hands back is used instead of being measured again."""
    with _example(kind) as opened:
        if opened is None:
            return _NOTHING
        if not kind.accepts(opened.args[0]):
            return "not checked: it opens no files"
        width = len(opened().channels)
        asked = np.tile([-3.0, 1234.0], (width, 1))
        kept = opened(asked).value_range
        require(
            np.array_equal(kept, asked),
            "an encoder would see other values than it was "
            "trained on; pass `value_range` to super().__init__",
        )
    return ""


RULES = (
    declares_itself,
    accepts_no_foreign_folder,
    rejects_garbage,
    index_is_consistent,
    images_keep_to_the_contract,
    keeps_the_value_range,
)
