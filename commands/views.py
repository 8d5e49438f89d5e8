"""Draws augmented views."""

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from ..core.errors import UsageError
from ..core.view import View
from ..data.opening import open_dataset
from ..reports.sheet import contact_sheet
from .config_file import below_flags
from .open_data import settings_of

_SIZE = 64  # pixels


@dataclass(frozen=True)
class ContactSheet:
    """A picture of augmented views, which a notebook shows.

    Attributes:
        file: PNG file: a row for each image, the whole image first.
        clipped: Mean share of pixel values that each augmentation clips, by its name.
    """

    file: Path
    clipped: Mapping[str, float]

    def _repr_png_(self) -> bytes:
        return self.file.read_bytes()


def views(
    *,
    domain: str = "",
    data: str | PathLike[str] = "",
    policy: str = "default",
    image_size: int | None = None,
    seed: int | None = None,
    out: str | PathLike[str] = "views.png",
    config: str | PathLike[str] | None = None,
    set: Mapping[str, Any] | None = None,
) -> ContactSheet:
    """Draws augmented views of a few images, and measures what each augmentation clips.

    The arguments are the flags of `ssl-kit views`; without `data`, images are the domain's demo.
    """
    given = below_flags(locals())
    if data and Path(data).is_dir() and Path(out).resolve().is_relative_to(Path(data).resolve()):
        raise UsageError(
            f"'{out}' lies in the folder of the images and would be taken for one of them. Choose "
            "another --out."
        )
    field, settings = settings_of({"domain": domain, "data": data}, config, set)
    request = View(given["image_size"] or _SIZE, policy=policy)
    dataset = open_dataset(field, settings.data)
    clips = contact_sheet(field, dataset, request, Path(out), seed=given["seed"] or 0)
    return ContactSheet(Path(out), {clip.transform: clip.clipped for clip in clips})
