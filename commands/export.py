"""Exports the encoder of a run, or a fine-tuned classifier, to other programs."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from ..evaluation.tuned import open_run
from ..training.progress import Progress
from .exports.checked import write_checked


@dataclass(frozen=True)
class Export:
    """An exported encoder or classifier.

    Attributes:
        folder: Where its files are.
        format: Name of the format.
        largest_difference: Between a feature or logit of the export, read again, and the original.
    """

    folder: Path
    format: str
    largest_difference: float

    def __fspath__(self) -> str:
        return str(self.folder)


def export(
    run: str | PathLike[str],
    *,
    format: str = "timm",
    out: str | PathLike[str],
    quiet: bool = True,
) -> Export:
    """Writes an encoder or a classifier for other programs, and checks what was written.

    Args:
        run: A finished or stopped run, or the folder that `finetune` wrote.
        format: timm, safetensors, torchvision, onnx or torch_export.
        out: New or empty folder.
        quiet: Whether to say nothing of what is being done.

    Raises:
        UsageError: If the folder has something in it or the format does not suit the encoder.
        RunError: If the export gives other features or logits than the original.
    """
    folder, say = Path(out), Progress(quiet).say
    return Export(folder, format, write_checked(open_run(run), format, folder, say))
