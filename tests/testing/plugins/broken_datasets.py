"""Datasets that break one rule each: a reader of .pgm files with a mistake that people make."""

from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from ssl_kit import Config, DataError, Index
from ssl_kit.data import FileDataset


class Sound(FileDataset):
    """None: all rules hold."""

    suffixes = (".pgm",)
    channels = ("gray",)

    @classmethod
    def example(cls, folder):
        for label in "ab":
            (folder / label).mkdir()
            for i in range(3):
                image = np.full((8, 8), 10000 * i + 99, np.uint16)
                image[:4] += 100
                cv2.imwrite(str(folder / label / f"{i}.pgm"), image)
        return folder

    def read(self, i):
        return self.decode(self.path_of(i))

    def decode(self, file):
        data = np.frombuffer(file.read_bytes(), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
        if image is None:
            raise DataError("is no graymap")
        return image[..., None]


class SilentOption(Sound):
    """Has an option that nobody explains."""

    class Config(Config):
        scale: Annotated[int, Field(ge=1)] = 1


class AcceptsAll(Sound):
    """Claims whatever it is shown."""

    @classmethod
    def accepts(cls, path):
        return path.is_dir()


class LetsErrorsThrough(Sound):
    """Does not look at what the decoder returns."""

    def decode(self, file):
        return cv2.imread(str(file), cv2.IMREAD_UNCHANGED)[..., None]


class ReadsGarbage(Sound):
    """Makes an image of anything."""

    def decode(self, file):
        return np.full((8, 8, 1), len(file.read_bytes()), np.uint16)


class LabelsAstray(Sound):
    """Numbers its classes from 1."""

    def prepare(self):
        super().prepare()
        self.index.labels[:] += 1

    def __getitem__(self, i):
        self.index.labels[:] -= 1
        sample = super().__getitem__(i)
        self.index.labels[:] += 1
        return sample


class SameKeys(Sound):
    """Calls the files of two folders by the same names."""

    def prepare(self):
        super().prepare()
        self.index = Index.build([self.path_of(i).name for i in range(len(self.files))])


class Augments(Sound):
    """Augments where it should read."""

    reads = 0

    def decode(self, file):
        self.reads += 1
        return np.roll(super().decode(file), self.reads, axis=0)


class ScalesItself(Sound):
    """Hands out values below 0."""

    def scale(self, image):
        return (image.astype(np.float32) - 20000) / 20000


class ForgetsTheRange(Sound):
    """Measures its values again each time."""

    @classmethod
    def open(cls, path, options, labels=None, value_range=None):
        return cls(path)


class NotItsOwn(Sound):
    """Writes examples that it does not open."""

    @classmethod
    def example(cls, folder):
        Path(folder, "readme.txt").write_text("nothing")
        return folder


class NoExample(Sound):
    """None, but nobody can tell."""

    example = classmethod(lambda cls, folder: None)
