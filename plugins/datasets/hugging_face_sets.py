"""Opens datasets of the library `datasets`, without decoding images."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from huggingface_hub import constants
from numpy.typing import NDArray
from PIL import Image as Pillow
from pydantic import Field

from ... import DataError, UnknownNameError, UsageError
from ...data import LocalPath
from ..hub import network
from .image_files import Bytes
from .image_folder import ImageFolderConfig
from .named_images import Found, Part, numbered, read_file

_LABELS = ("label", "labels", "target", "class")


class HuggingFaceConfig(ImageFolderConfig):
    """Options of Hugging Face datasets."""

    subset: Annotated[
        str, Field(description="name of the configuration, where a dataset has several")
    ] = ""
    splits: Annotated[
        tuple[str, ...], Field(description="names of the splits to read (default: all)")
    ] = ()
    image: Annotated[
        str, Field(description="name of the column of images; '' is the first of this type")
    ] = ""
    label: Annotated[
        str,
        Field(description="name of the column of classes; '' is the first of this type, or label"),
    ] = ""
    group: Annotated[
        str, Field(description="name of the column of groups, such as patients; '' for none")
    ] = ""
    cache: Annotated[
        LocalPath,
        Field(description="folder of the library's cache; '' is its default, below HF_HOME"),
    ] = ""
    download: Annotated[
        bool, Field(description="permission to download what is missing, as --download gives")
    ] = False


def find_parts(path: Path, title: str, options: HuggingFaceConfig) -> Found:
    """Returns the splits of a dataset.

    Args:
        path: Folder, or name of a dataset.
        title: Name of the dataset.
        options: Of the reader.

    Raises:
        UsageError: If the library is not installed, or a column or split does not exist.
        DataError: If the dataset cannot be read.
    """
    library = _library()
    splits = _opened(library, path, options)
    for name in options.splits:
        if name not in splits:
            raise UnknownNameError(f"split of {title}", name, splits)
    chosen = {name: splits[name].with_format(None) for name in options.splits or splits}
    if not chosen:
        raise DataError(f"'{title}' has no splits. Give another dataset.")
    features = next(iter(chosen.values())).features
    image = _column(options.image, "image", _of_type(features, library.Image), features, title)
    if not image:
        raise DataError(
            f"'{title}' has no column of images, only {_listed(features)}. Give another dataset."
        )
    kinds = _of_type(features, library.ClassLabel) or [n for n in _LABELS if n in features]
    first = [name for name in _LABELS if name in kinds]
    label = _column(options.label, "label", first or kinds, features, title)
    group = _column(options.group, "group", [], features, title)
    raw = library.Image(decode=False)
    parts = [
        _part(name, rows.cast_column(image, raw), image, label) for name, rows in chosen.items()
    ]
    groups = [text for rows in chosen.values() for text in _texts(rows, group)] if group else None
    others = [name for name in kinds if name != label]
    remark = f"Of the columns of classes, {label} is used and not {_listed(others)}; "
    remark += "data.options.label chooses."
    return Found(parts, groups, (remark,) if others and not options.label else ())


def _library() -> Any:
    try:
        return import_module("datasets")
    except ImportError as error:
        raise UsageError(
            "hf: needs the library 'datasets' of Hugging Face: pip install 'ssl-kit[hf]'."
        ) from error


def _opened(library: Any, path: Path, options: HuggingFaceConfig) -> Mapping[str, Any]:
    """Opens a dataset: what is on the disk first, and then that of the hub if it is allowed.

    Raises:
        DataError: If it cannot be read.
    """
    for offline in (True, False) if options.download and not path.exists() else (True,):
        try:
            with _quietly(library, offline):
                opened = _load(library, path, options)
        except Exception as error:  # noqa: BLE001  the library and those below it raise many kinds
            reason, cause = " ".join(str(error).split())[:300].rstrip("."), error
        else:
            if isinstance(opened, library.DatasetDict):
                return dict(opened)
            return {str(opened.split or ""): opened}
    if path.exists():
        advice = "It reads folders of save_to_disk, parquet files and the layout imagefolder."
    elif options.download:
        advice = "Give its name at the hub, or download it on another computer and give its folder."
    elif path.is_absolute() or len(path.parts) > 2:  # a name at the hub is OWNER/NAME
        advice = "There is no such folder."
    else:
        advice = "Give a folder, or say --download to ask the hub."
    raise DataError(
        f"The library datasets cannot read '{path.as_posix()}' "
        f"({type(cause).__name__}: {reason}). {advice}"
    ) from cause


def _load(library: Any, path: Path, options: HuggingFaceConfig) -> Any:
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        return library.load_from_disk(str(path))
    name = str(path) if path.exists() else path.as_posix()
    subset, cache = options.subset or None, options.cache or None
    return library.load_dataset(name, subset, cache_dir=cache)


@contextmanager
def _quietly(library: Any, offline: bool) -> Iterator[None]:
    """Lets the library ask the network for nothing, and write nothing to the terminal."""
    config, logging = library.config, library.utils.logging
    before, verbosity = config.HF_HUB_OFFLINE, logging.get_verbosity()
    bars = library.are_progress_bars_disabled()
    logging.set_verbosity_error()
    library.disable_progress_bars()
    try:
        with network(allowed=not offline):
            config.HF_HUB_OFFLINE = before or constants.HF_HUB_OFFLINE
            yield
    finally:
        config.HF_HUB_OFFLINE = before
        logging.set_verbosity(verbosity)
        if not bars:
            library.enable_progress_bars()


def _of_type(features: Mapping[str, Any], kind: type) -> list[str]:
    return [name for name, feature in features.items() if isinstance(feature, kind)]


def _column(
    asked: str, option: str, candidates: Sequence[str], features: Mapping[str, Any], title: str
) -> str:
    """Returns the column that was asked for, else the first candidate, "" if there is none."""
    if asked and asked not in features:
        raise UnknownNameError(f"column data.options.{option} of {title}", asked, features)
    return asked or next(iter(candidates), "")


def _listed(names: Sequence[str] | Mapping[str, Any]) -> str:
    return ", ".join(names) or "none"


def _part(name: str, rows: Any, image: str, label: str) -> Part:
    count = len(rows)
    numbers, classes = _classes(rows, label) if label else (np.full(count, -1), ())
    read = partial(_bytes, rows.select_columns([image]), image)
    return Part(_usual(name), numbered(name, count), numbers, classes, read, encoded=True)


def _usual(name: str) -> str:
    """Returns "train" for "train[:10%]", as the library names a part of a split."""
    return name.partition("[")[0]


def _values(rows: Any, column: str) -> list[Any]:
    values: list[Any] = rows.select_columns([column]).with_format("arrow")[:][column].to_pylist()
    return values


def _texts(rows: Any, column: str) -> list[str]:
    return ["" if value is None else str(value) for value in _values(rows, column)]


def _classes(rows: Any, column: str) -> tuple[NDArray[np.int64], Sequence[str]]:
    """Returns class numbers, -1 where a label is missing, and the names of the classes."""
    names = getattr(rows.features[column], "names", None)
    if names is not None:
        numbers = [-1 if value is None else value for value in _values(rows, column)]
        return np.array(numbers, dtype=np.int64), tuple(names)
    texts = _texts(rows, column)
    known = sorted({*texts} - {""})
    places = {"": -1} | {text: place for place, text in enumerate(known)}
    return np.array([places[text] for text in texts], dtype=np.int64), tuple(known)


def _bytes(rows: Any, image: str, i: int, key: str) -> Bytes:
    stored = rows[i][image]
    if stored is None:
        raise DataError("the row has no image")
    if stored["bytes"] is not None:
        return np.frombuffer(stored["bytes"], np.uint8)
    return read_file(Path(stored["path"] or ""))


def write_example(folder: Path) -> Path | None:
    """Writes a dataset of two splits, as save_to_disk does; None without the library."""
    try:
        library = _library()
    except UsageError:
        return None
    rng = np.random.default_rng(0)
    splits = {}
    for name, count in (("train", 6), ("test", 4)):
        pictures = [rng.integers(0, 255, (24, 20, 3), np.uint8) for _ in range(count)]
        rows = {"image": [{"bytes": _png(each), "path": None} for each in pictures]}
        labels = [i % 2 for i in range(count)]
        features = {"image": library.Image(), "label": library.ClassLabel(names=["a", "b"])}
        splits[name] = library.Dataset.from_dict(
            {**rows, "label": labels}, features=library.Features(features)
        )
    with _quietly(library, offline=True):
        library.DatasetDict(splits).save_to_disk(str(folder / "saved"))
    return folder / "saved"


def _png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
