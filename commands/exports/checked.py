"""Writes an encoder in one of the formats, and compares its features with the run's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from ...core.errors import RunError, UnknownNameError
from ...training.run import Run
from .common import Loaded, Say, Source, Writer, draw, new_folder, other_size, view_size
from .graphs import write_onnx, write_torch_export
from .torchvision_resnet import write_torchvision
from .weights import write_safetensors, write_timm

FORMATS: dict[str, Writer] = {
    "onnx": write_onnx,
    "safetensors": write_safetensors,
    "timm": write_timm,
    "torch_export": write_torch_export,
    "torchvision": write_torchvision,
}
_TOLERANCE = {"onnx": 1e-4}  # it computes with kernels of its own, the others with torch's
_SAME = 1e-6


def write_checked(run: Run, kind: str, out: Path, say: Say = lambda text: None) -> float:
    """Exports the encoder of a run, or a fine-tuned classifier, and compares what it gives.

    They are compared on batches of 4 and 1, on images of another size if the format takes them,
    and so are the feature maps of a format that is about them.

    Args:
        run: A finished or stopped run, or a fine-tuned classifier.
        kind: A key of `FORMATS`.
        out: Folder to write to; it must be new or empty.
        say: Tells what is being done.

    Returns:
        Largest difference of a feature or logit, loaded again from `out` by the program it is for.

    Raises:
        UsageError: If the folder has something in it or the format does not suit the encoder.
        RunError: If features differ by more than 1e-6 of the largest, 1e-4 for onnx. What was
            written stays, to be looked at.
    """
    if kind not in FORMATS:
        raise UnknownNameError("export format", kind, FORMATS)
    with new_folder(out):
        return _write_checked(Source.of(run, say), kind, out, say)


def _write_checked(source: Source, kind: str, out: Path, say: Say) -> float:
    loaded = FORMATS[kind](source, out)
    say("Comparing what the export gives, read again, with what the original gives.")
    largest = 0.0
    with torch.inference_mode():
        for exported, expected in _pairs(loaded, source):
            gap = float((exported - expected).abs().max())
            if not gap <= _TOLERANCE.get(kind, _SAME) * float(expected.abs().max()):
                raise RunError(
                    f"The export to '{out}' gives other {source.output} (by {gap:.2g}); do not "
                    "use it."
                )
            largest = max(largest, gap)
    return largest


def _pairs(loaded: Loaded, source: Source) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields what an export gives and what the original gives, for images of noise."""
    encoder = source.encoder
    size = view_size(encoder)
    shapes = [(4, size), (1, size)] + ([(2, other_size(encoder))] if loaded.any_size else [])
    for batch, size in shapes:
        x = draw(encoder, batch, size)
        yield loaded.outputs(x), source.network(x)
        if loaded.maps:
            maps = loaded.maps(x)
            yield from zip(maps, encoder.forward_pyramid(x)[-len(maps) :], strict=True)
