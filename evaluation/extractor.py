"""An encoder that takes images as they are in their files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.dataset import Dataset, Image
from ..core.discovery import domains
from ..core.domain import Domain
from ..core.errors import DataError, UsageError
from ..core.index import Index
from ..data.earlier import for_other_images
from ..data.opening import DataConfig, open_dataset
from ..nn.checkpoints import facts_beside
from ..training.resume import warn_of_unfinished
from .pretrained import Pretrained, embed, from_facts, from_run
from .tuned import WEIGHTS, is_run, open_run

Source = Image | str | PathLike[str]


@dataclass(frozen=True, eq=False)
class FeatureExtractor:
    """An encoder with its preprocessing: call it with images to get their features.

    An image is scaled by the value range that the encoder was trained with, goes through the
    "eval" view of the domain and is standardized, as everywhere in ssl-kit.

    Attributes:
        model: The encoder, its channels, image size, mean and standard deviation.
        domain: Its policies make the "eval" view.
        value_range: (C, 2) physical values that map to the ends of the range of an image.
        config: How files are read.
    """

    model: Pretrained
    domain: Domain
    value_range: NDArray[np.float64]
    config: DataConfig

    @classmethod
    def load(cls, folder: Path) -> FeatureExtractor:
        """Loads the encoder of a run, or of an export of the formats timm and safetensors.

        Raises:
            UsageError: If the folder is neither.
            RunError: If the run has no encoder yet.
        """
        config = DataConfig()
        if is_run(folder):
            run = open_run(folder)
            model, facts, config = from_run(run), run.read_json("encoder.json"), run.config.data
            warn_of_unfinished(run)
        else:
            facts, weights = _exported(folder)
            model = from_facts(folder.name, facts, weights)
        return cls(model, domains[facts["domain"]], np.array(facts["value_range"]), config)

    def __call__(self, images: Sequence[Source]) -> NDArray[np.float32]:
        """Maps n images to features (n, D).

        Args:
            images: Arrays (H, W, C), or (H, W) of one channel, in physical values as the files
                hold them; or paths of files that hold one image each.

        Raises:
            DataError: If an image cannot be read or has other channels.
            UsageError: If `images` is no list, or a file holds several images.
        """
        if isinstance(images, str | PathLike) or not len(images):
            raise UsageError("Give a list of images: arrays (H, W, C), or paths of files.")
        pixels = [self._read(image) for image in images]
        dataset = Images(pixels, self.model.channels, self.value_range)
        return embed(self.model, dataset, np.arange(len(pixels)), self.domain, workers=0)[0]

    def _read(self, image: Source) -> Image:
        if isinstance(image, str | PathLike):
            config, _ = for_other_images(self.domain, self.config, fspath(image))
            dataset = open_dataset(self.domain, config, self.value_range)
            self.model.check(dataset)
            if len(dataset) != 1:
                raise UsageError(
                    f"'{fspath(image)}' holds {len(dataset)} images. Use ssl_kit.embed for it."
                )
            return dataset.read(0)
        array = np.asarray(image)
        array = array[..., None] if array.ndim == 2 else array
        channels = self.model.channels
        if array.ndim != 3 or array.shape[2] != len(channels) or 0 in array.shape:
            raise DataError(
                f"An image of shape {array.shape} is not (H, W, {len(channels)}), with the "
                f"channels {'/'.join(channels)} that the encoder was trained on."
            )
        return self._as_stored(array)

    def _as_stored(self, array: Image) -> Image:
        """Returns whole numbers of an 8-bit range as uint8: views are rendered in that type."""
        if not (self.value_range == [0, 255]).all() or np.iscomplexobj(array):
            return array
        whole = np.nan_to_num(array).clip(0, 255).astype(np.uint8)
        return whole if (array == whole).all() else array


def _exported(folder: Path) -> tuple[dict[str, Any], Path]:
    """Returns the facts and the weights file of an export."""
    facts = facts_beside(fspath(folder))
    files = (folder / name for name in ("encoder.safetensors", WEIGHTS))
    weights = next((file for file in files if file.is_file()), None)
    if weights and "domain" in facts:
        return facts, weights
    raise UsageError(
        f"'{folder}' is no run, and no export of the formats timm and safetensors. Give one."
    )


class Images(Dataset):
    """Images in memory, in physical values.

    Args:
        images: Arrays (H, W, C).
        channels: Names of the C channels.
        value_range: (C, 2).
    """

    def __init__(
        self, images: Sequence[Image], channels: tuple[str, ...], value_range: ArrayLike
    ) -> None:
        self._images, self.channels = images, channels
        self.index = Index.build([str(i) for i in range(len(images))])
        super().__init__(value_range=value_range)

    def read(self, i: int) -> Image:
        """Returns image i."""
        return self._images[i]
