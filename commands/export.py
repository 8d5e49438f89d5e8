"""Exports the encoder of a run to other programs."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from ..training.run import Run
from .exports.checked import write_checked


@dataclass(frozen=True)
class Export:
    """An exported encoder.

    Attributes:
        folder: Where its files are.
        format: Name of the format.
        largest_difference: Between a feature of the export, read again, and the run's.
    """

    folder: Path
    format: str
    largest_difference: float

    def __fspath__(self) -> str:
        return str(self.folder)


def export(run: str | PathLike[str], *, format: str = "timm", out: str | PathLike[str]) -> Export:
    """Writes the encoder of a run for other programs, and checks what was written.

    Args:
        run: A finished or stopped run.
        format: timm, safetensors, torchvision, onnx or torch_export.
        out: New or empty folder.

    Raises:
        UsageError: If the folder has something in it or the format does not suit the encoder.
        RunError: If the features of the export differ from the run's.
    """
    folder = Path(out)
    return Export(folder, format, write_checked(Run(run), format, folder))
