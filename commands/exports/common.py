"""What all formats share: the facts beside the weights, and images to compare features on."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import torch
from torch import Tensor

from ...core.atomic import write_atomic
from ...core.encoder import Encoder
from ...core.errors import RunError, UsageError
from ...evaluation.pretrained import Pretrained
from ...training.locks import LOCK, exclusive
from ...training.run import Run

PREPARATION = (
    "For each channel, with (low, high) its value_range: x = (value - low) / (high - low), cut to "
    "[0, 1], NaN as 0, complex values by magnitude; then (x - mean) / std. float32 (B, C, H, W)."
)


@dataclass(frozen=True)
class Loaded:
    """An exported encoder, read again from its files as another program would.

    Attributes:
        features: Maps images (B, C, H, W) to pooled features (B, D).
        maps: Maps images to the last feature maps of the pyramid, where the format is about them.
        any_size: Whether it takes images of other sizes than the encoder's own.
    """

    features: Callable[[Tensor], Tensor]
    maps: Callable[[Tensor], Sequence[Tensor]] | None = None
    any_size: bool = False


Writer = Callable[[Run, Pretrained, Path], Loaded]


@contextmanager
def new_folder(folder: Path) -> Iterator[None]:
    """Keeps a new or empty folder for this process while it is filled.

    Raises:
        UsageError: If the folder has something in it.
        RunError: If another process fills it, or it cannot be written.
    """
    made = not folder.exists()
    full = UsageError(f"'{folder}' is not empty. Choose another --out.")
    if not made and not folder.is_dir():
        raise full
    try:
        with exclusive(folder):
            if any(not file.name.startswith(LOCK) for file in folder.iterdir()):
                raise full
            yield
    finally:
        with suppress(OSError):  # it has something in it
            if made:
                folder.rmdir()


def facts_of(run: Run) -> dict[str, Any]:
    """Returns encoder.json, with a sentence on how to prepare an image."""
    return {**run.read_json("encoder.json"), "preparation": PREPARATION}


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Writes values to a new file."""
    write_atomic(path, (json.dumps(values, indent=2) + "\n").encode())


def view_size(encoder: Encoder) -> tuple[int, int]:
    """Returns (H, W) of what an encoder sees: square images, or signals of one row."""
    if "pyramid" in encoder.provides:
        _, h, w = encoder.pyramid_shapes(encoder.image_size)[0]
        if h < w:
            return 1, encoder.image_size
    return encoder.image_size, encoder.image_size


def draw(encoder: Encoder, batch: int, size: tuple[int, int]) -> Tensor:
    """Draws images (batch, C, H, W) of standardized noise, the same ones every time."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn((batch, encoder.channels, *size), generator=generator)


def other_size(encoder: Encoder) -> tuple[int, int]:
    """Returns (H, W) twice as wide as the encoder's own."""
    height, width = view_size(encoder)
    return height, 2 * width


@torch.inference_mode()
def takes_any_size(encoder: Encoder) -> bool:
    """Tells whether an encoder gives features of images of another size than its own."""
    try:
        encoder(draw(encoder, 1, other_size(encoder)))
    except (AssertionError, RuntimeError, ValueError):
        return False
    return True


@contextmanager
def tracing(encoder: Encoder) -> Iterator[None]:
    """Silences torch's tracer, and says in one line if it fails."""
    before = logging.root.manager.disable
    with catch_warnings():
        simplefilter("ignore")
        logging.disable()
        try:
            yield
        except Exception as error:
            raise RunError(
                f"torch cannot trace the encoder '{encoder.name}' ({type(error).__name__}). "
                "Use --format timm or safetensors."
            ) from error
        finally:
            logging.disable(before)
