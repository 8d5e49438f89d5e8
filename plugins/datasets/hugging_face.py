"""Datasets of the library `datasets` of Hugging Face."""

from __future__ import annotations

from pathlib import Path

from ... import UsageError
from .hugging_face_sets import HuggingFaceConfig, find_parts, write_example
from .named_images import Found, NamedImages


class HuggingFace(NamedImages):
    """Hugging Face datasets: --data hf:FOLDER or hf:OWNER/NAME. Needs 'pip install ssl-kit[hf]'.

    A folder was written by save_to_disk, or it holds parquet files or images in the layout
    imagefolder. A name is looked up in the library's cache; nothing is downloaded without
    --download. The first time, the library copies parquet files to Arrow files in its cache, which
    data.options.cache names.

    Columns of images and of classes are found by their types. The splits train, validation and test
    are the declared splits; other splits join the training images. Where no test image has a
    label, the validation split is the test part. A dataset of one split is split by --holdout.
    """

    Config = HuggingFaceConfig
    options: HuggingFaceConfig
    takes_folders = True
    of_one_set = frozenset({"subset", "splits", "image", "label", "group"})

    @property
    def title(self) -> str:
        """Name of the dataset, or of its folder."""
        return self.path.name if self.path.is_dir() else self.path.as_posix()

    def find_parts(self) -> Found:
        """Opens the splits by the library, without decoding images.

        Raises:
            UsageError: If the library is not installed, or a column or split does not exist.
            DataError: If the dataset cannot be read.
        """
        if self.path == Path():
            raise UsageError("Which dataset? Say --data hf:FOLDER or --data hf:OWNER/NAME.")
        return find_parts(self.path, self.title, self.options)

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Tells whether the path is a folder that save_to_disk has written."""
        return any((path / name).is_file() for name in ("dataset_dict.json", "state.json"))

    @classmethod
    def example(cls, folder: Path) -> Path | None:
        """Writes two classes in two splits, as save_to_disk does; None without the library."""
        return write_example(folder)
