"""Opens the images of a configuration with the reader that accepts them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from numpy.typing import ArrayLike
from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from ..core.config import Config, validate
from ..core.dataset import Dataset
from ..core.discovery import datasets
from ..core.domain import Domain
from ..core.errors import DataError, SslKitError, UnknownNameError, UsageError, did_you_mean
from ..core.index import LabelSource
from ..core.pairing import Pairing
from .channel_spellings import unknown_names, with_standard_names
from .companions import counted_by_ending
from .files import walk
from .named import DataPath, LocalPath, parse_name, with_absolute_paths
from .pairings import same_group
from .targets import Kind


def _listed(names: Any) -> Any:
    """Lets a single name stand for a list of one."""
    return (names,) if isinstance(names, str | int) else names


class DataConfig(Config):
    """Which images, and which of them are kept away from pre-training."""

    path: Annotated[
        DataPath,
        Field(
            description="images: a folder, a file or the name of a dataset, such as "
            "torchvision:CIFAR10; '' is a demo"
        ),
    ] = ""
    reader: Annotated[
        str, Field(description="dataset class that opens the images; '' is the first that can")
    ] = ""
    labels: Annotated[
        LocalPath, Field(description="CSV file with the columns path, label, group, split")
    ] = ""
    holdout: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="share of groups in the test split, from 0 to 1, if labels declare none",
        ),
    ] = 0.2
    keep_out: Annotated[
        Literal["test", "val"],
        Field(description="parts kept out of pre-training: test alone, or val for val and test"),
    ] = "test"
    classes: Annotated[
        tuple[str, ...],
        BeforeValidator(_listed),
        Field(
            description="names of the classes to pre-train on, such as ['parasitized']; by default "
            "all images, labeled or not"
        ),
    ] = ()
    groups: Annotated[
        tuple[Annotated[int, Field(ge=0)], ...],
        BeforeValidator(_listed),
        Field(
            description="numbers of the groups to pre-train on, as results within groups have "
            "them; all by default"
        ),
    ] = ()
    share: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="share of the groups to pre-train on, drawn, to see how much unlabeled "
            "images gain; a larger share holds a smaller one",
        ),
    ] = 1.0
    until: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="share of each group's images (of the labeled ones, if there are any), the "
            "earliest, to pre-train on; no group is left out for testing then; 1 is off",
        ),
    ] = 1.0
    gap: Annotated[
        float,
        Field(
            ge=0,
            description="minimum time between images that until chooses and later ones, in units "
            "of the last column of positions (seconds); at least a window's length if windows "
            "overlap",
        ),
    ] = 60.0
    layout: Annotated[
        str,
        Field(description="folders of the images, such as {group}/{label}/*; '' to find out"),
    ] = ""
    masks: Annotated[
        bool, Field(description="inclusion of masks and segmentations beside the images")
    ] = False
    targets: Annotated[
        Kind,
        Field(description="kind of the labels: classes, several an image, numbers, or to find out"),
    ] = "auto"
    pair_by: Annotated[
        str, Field(description="pairing that gives positives: one of the domain's, or group")
    ] = ""
    max_skip: Annotated[
        float, Field(ge=0, le=1, description="share of unreadable images tolerated, from 0 to 1")
    ] = 0.01
    options: dict[str, Any] = Field(
        default={}, description="options of the dataset class; see 'ssl-kit datasets'"
    )

    @field_validator("options")
    @classmethod
    def _with_absolute_paths(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        named, _ = parse_name(info.data.get("path", ""))
        return with_absolute_paths(named or info.data.get("reader", ""), options)


def with_absolute_options(domain: Domain, config: DataConfig) -> DataConfig:
    """Makes paths in the options of the reader absolute where the domain chooses the reader.

    A run keeps these settings, so that it can be resumed from any folder.

    Args:
        domain: Says which datasets can open its files.
        config: The `data` section; it is returned unchanged if its images cannot be opened.
    """
    try:
        reader = reader_of(domain, config) if config.options else ""
    except SslKitError:  # opening the images says it, too
        return config
    options = with_absolute_paths(reader, config.options)
    return config.model_copy(update={"options": options})


def open_dataset(
    domain: Domain, config: DataConfig, value_range: ArrayLike | None = None
) -> Dataset:
    """Opens the images of a configuration; without a path, the domain's demo.

    Args:
        domain: Says which datasets can open its files.
        config: The `data` section.
        value_range: That of an earlier run, or None to measure it.

    Raises:
        UsageError: If the path or reader does not exist.
        DataError: If nothing in it can be read.
    """
    path, name = Path(parse_name(config.path)[1]), reader_of(domain, config)
    reader: type[Dataset] = datasets[name]
    given, remarks = with_standard_names(domain, reader, config.options)
    options = validate(reader.Config, given, "data.options", f"The reader {name} has")
    labels = Path(config.labels) if config.labels else None
    if labels and not labels.is_file():
        what = "are a folder" if labels.is_dir() else "do not exist"
        raise UsageError(f"The labels '{labels}' {what}. Give --labels a CSV file.")
    source = LabelSource(labels, config.layout, config.masks, config.targets)
    dataset = reader.open(path, options, source, value_range)
    remarks += unknown_names(domain, dataset)
    if remarks:
        every = (*dataset.index.remarks, *remarks)
        dataset.index = replace(dataset.index, remarks=every)
    return dataset


def reader_of(domain: Domain, config: DataConfig) -> str:
    """Returns the name of the dataset class that opens the images of a configuration.

    Raises:
        UsageError: If the path does not exist, or the name of a set is for another reader.
        DataError: If no reader of the domain accepts it.
    """
    path = Path(config.path)
    if not config.path:
        return config.reader or domain.demo
    named, _ = parse_name(config.path)
    if named and config.reader not in ("", named):
        raise UsageError(
            f"'{config.path}' is opened by the reader {named}, not by {config.reader}. Leave out "
            "data.reader."
        )
    if config.path in datasets and not path.exists():
        return config.path
    if not named and not path.exists():
        raise UsageError(_no_data(config.path))
    return named or config.reader or _reader_for(domain, path)


def _no_data(path: str) -> str:
    reader, colon, name = path.partition(":")
    nearest = did_you_mean(reader, datasets) if colon else ""
    parts = [f"The data '{path}' do not exist.", nearest.replace("'?", f":{name}'?")]
    return " ".join([*filter(None, parts), "Give --data a folder or a file."])


_ARCHIVES = {
    ".zip": "unzip",
    **dict.fromkeys((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz"), "tar xf"),
    ".7z": "7z x",
    ".rar": "unrar x",
}


def _reader_for(domain: Domain, path: Path) -> str:
    for name in domain.datasets:
        reader: type[Dataset] = datasets[name]
        if reader.accepts(path):
            return name
    names = [*walk(path)]
    for name in names:
        tool = next((_ARCHIVES[end] for end in _ARCHIVES if name.lower().endswith(end)), "")
        if tool:
            file = path if path.is_file() else path / name
            raise DataError(
                f"'{file}' is an archive. Unpack it, '{tool} {file}', and give the folder."
            )
    raise DataError(
        f"The domain '{domain.name}' finds no file it can read in '{path}', which has "
        f"{counted_by_ending(names) or 'nothing'}; it reads "
        f"{', '.join(_with_endings(name) for name in domain.datasets)}. Convert the files, or "
        "choose another --domain."
    )


def _with_endings(name: str, most: int = 5) -> str:
    """Returns the name of a dataset with the endings of the files that it reads."""
    endings = getattr(datasets[name], "suffixes", ())
    more = ", ..." if len(endings) > most else ""
    return f"{name} ({', '.join(endings[:most])}{more})" if endings else name


def partners_of(domain: Domain, dataset: Dataset, name: str) -> Pairing | None:
    """Returns the pairing of that name, "" for none; every domain has "group"."""
    if not name:
        return None
    pairings = {"group": same_group, **domain.pairings}
    if name not in pairings:
        raise UnknownNameError("pairing", name, pairings)
    return pairings[name](dataset.index)
