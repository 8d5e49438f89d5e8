"""What every dataset must keep to."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ssl_kit.core.dataset import Dataset
from ssl_kit.core.errors import SslKitError

from .kit import require

Kind = type[Dataset]


def declares_itself(kind: Kind) -> None:
    """It is a Dataset with a docstring and documented options."""
    require(issubclass(kind, Dataset), f"{kind} is no subclass of ssl_kit.Dataset")
    require(bool((kind.__doc__ or "").strip()), "the class has no docstring")
    bare = [name for name, f in kind.Config.model_fields.items() if not f.description]
    require(not bare, f"options without Field(description=...): {', '.join(bare)}")


def accepts_no_foreign_folder(kind: Kind) -> None:
    """It does not claim an empty folder or one with foreign files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        require(not kind.accepts(folder), "it accepts an empty folder")
        (folder / "notes.docx").write_bytes(b"words")
        require(not kind.accepts(folder), "it accepts a folder with nothing but notes.docx")


def rejects_garbage(kind: Kind) -> None:
    """Garbage and empty files under endings it accepts give an ssl-kit error, nothing else."""
    with tempfile.TemporaryDirectory() as name:
        for suffix in _accepted_suffixes(kind, Path(name)):
            for content in (b"", b"garbage" * 100):
                folder = Path(tempfile.mkdtemp(dir=name))
                (folder / f"bad{suffix}").write_bytes(content)
                _must_refuse(kind, folder, f"{len(content)} bytes of garbage in bad{suffix}")


_SUFFIXES = """
.jpg .png .bmp .webp .tif .tiff .npy .npz .dcm .nii .nii.gz .mgz .svs .ndpi .mrxs .edf .bdf .gdf
.fif .vhdr .set .txt .csv .wav .tar .ntf .nitf .raw .parquet
"""


def _accepted_suffixes(kind: Kind, folder: Path) -> list[str]:
    accepted = []
    for suffix in _SUFFIXES.split():
        probe = Path(tempfile.mkdtemp(dir=folder))
        (probe / f"bad{suffix}").write_bytes(b"garbage")
        if kind.accepts(probe):
            accepted.append(suffix)
    return accepted


def _must_refuse(kind: Kind, folder: Path, what: str) -> None:
    try:
        dataset = kind.open(folder, kind.Config())
        dataset[0]
    except SslKitError as error:
        require(len(str(error).splitlines()) == 1, f"{what}: the message has several lines")
        return
    except Exception as error:
        require(False, f"{what} raises {type(error).__name__}: {error}; raise ssl_kit.DataError")
        raise
    require(False, f"{what} is read as an image")


RULES = (declares_itself, accepts_no_foreign_folder, rejects_garbage)
