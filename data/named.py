"""Datasets that are opened by a name: that of a reader, a colon, and the name of the set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator

from ..core.config import Config
from ..core.dataset import Dataset
from ..core.discovery import datasets


def absolute(path: str) -> str:
    """Makes an existing path absolute, so that a run can be resumed from any folder."""
    return str(Path(path).resolve()) if path and Path(path).exists() else path


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


def with_absolute_paths(data: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Makes those options of a named dataset absolute that its `Config` declares as `LocalPath`.

    Args:
        data: Path or name of the images.
        options: Of their reader.
    """
    reader, _ = parse_name(data)
    fields = datasets[reader].Config.model_fields if reader else {}
    paths = {name for name, field in fields.items() if _ABSOLUTE in field.metadata}
    return {k: absolute(v) if k in paths and isinstance(v, str) else v for k, v in options.items()}


_ABSOLUTE = AfterValidator(absolute)
LocalPath = Annotated[str, _ABSOLUTE]
DataPath = Annotated[str, AfterValidator(located)]
