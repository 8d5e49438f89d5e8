"""Datasets that are opened by a name: that of a reader, a colon, and the name of the set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator

from ..core.config import Config
from ..core.dataset import Dataset
from ..core.discovery import datasets
from ..core.errors import SslKitError


def absolute(path: str) -> str:
    """Makes an existing path absolute, so that a run can be resumed from any folder."""
    return str(Path(path).resolve()) if path and Path(path).exists() else path


def absolute_weights(init: str) -> str:
    """Makes an existing path of initial weights absolute.

    "scratch" and "imagenet" are none, even where a folder of that name exists.
    """
    return init if init in ("scratch", "imagenet") else absolute(init)


def absolute_anyway(path: str) -> str:
    """Makes a path absolute, whether it exists or will be written."""
    return str(Path(path).resolve()) if path else path


class NamedDataset(Dataset):
    """Base of datasets that are opened by a name, such as those of a library.

    `--data READER:NAME` opens one: READER is the name under which the class is registered, and
    `path` is what follows the colon. No folder is searched for such a dataset, so every domain can
    use it.

    Attributes:
        takes_folders: Whether the name may be a folder, which a run keeps as an absolute path.
        of_one_set: Options that are for one set, and left out where a run is used on another one.
    """

    takes_folders: ClassVar[bool] = False
    of_one_set: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def example_options(cls, folder: Path) -> Config:
        """Returns the options that open what `example` has written into a folder."""
        return cls.Config()

    def options_for(self, channels: Sequence[str]) -> Mapping[str, Any]:
        """Returns options that make the images have these channels; {} if none does it."""
        return {}


def parse_name(data: str) -> tuple[str, str]:
    """Splits the name of a set at its first colon; an existing path is no such name.

    Returns:
        The registered name of a `NamedDataset` and the name of the set, or "" and `data`.
    """
    reader, colon, name = data.partition(":")
    if not colon or reader not in datasets or Path(data).exists():
        return "", data
    return (reader, name) if issubclass(datasets[reader], NamedDataset) else ("", data)


def located(data: str) -> str:
    """Makes the path of images absolute, also one that follows the name of a reader."""
    reader, name = parse_name(data)
    if not reader:
        return absolute(data)
    return f"{reader}:{absolute(name)}" if datasets[reader].takes_folders else data


def with_absolute_paths(reader: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Makes options of a reader absolute that its `Config` declares as `LocalPath` or `OutPath`.

    Args:
        reader: Registered name of the reader; "" if it is not known yet.
        options: Of this reader.
    """
    changed = dict(options)
    try:
        fields = datasets[reader].Config.model_fields if reader and options else {}
    except SslKitError:  # opening the images says it, too
        return changed
    for name in fields.keys() & options.keys():
        for part in fields[name].metadata:
            if part in (_ABSOLUTE, _ANYWAY) and isinstance(options[name], str):
                changed[name] = part.func(options[name])
    return changed


_ABSOLUTE, _ANYWAY = AfterValidator(absolute), AfterValidator(absolute_anyway)
LocalPath = Annotated[str, _ABSOLUTE]
InitialWeights = Annotated[str, AfterValidator(absolute_weights)]
OutPath = Annotated[str, _ANYWAY]
DataPath = Annotated[str, AfterValidator(located)]
