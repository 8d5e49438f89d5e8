"""Draws augmented views."""

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from ..core.errors import UsageError
from ..core.view import View
from ..reports.sheet import contact_sheet
from .open_data import opened


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
    domain: str,
    data: str | PathLike[str] = "",
    policy: str = "default",
    image_size: int = 64,
    seed: int = 0,
    out: str | PathLike[str] = "views.png",
    set: Mapping[str, Any] | None = None,
) -> ContactSheet:
    """Draws augmented views of a few images, and measures what each augmentation clips.

    The arguments are the flags of `ssl-kit views`; without `data`, images are the domain's demo.
    """
    if data and Path(data).is_dir() and Path(out).resolve().is_relative_to(Path(data).resolve()):
        raise UsageError(
            f"'{out}' lies in the folder of the images and would be taken for one of them. Choose "
            "another --out."
        )
    field, dataset = opened(domain, data, "", set)
    request = View(image_size, policy=policy)
    clips = contact_sheet(field, dataset, request, Path(out), seed=seed)
    return ContactSheet(Path(out), {clip.transform: clip.clipped for clip in clips})
