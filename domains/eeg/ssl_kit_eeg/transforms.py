"""Augmentations of windows of EEG and of their pictures, for any number of channels."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from scipy.signal import hilbert

from ssl_kit import Image
from ssl_kit.data import ZERO, augment, from_unit, to_unit

_TIME = 1


class DropChannels(augment.ImageTransform):
    """Replaces some channels by their mean, as those of loose electrodes.

    Args:
        axis: 0 if each row is a channel, 2 if the image has channels.
        most: Largest share of the channels.
        p: Probability of the transform.
    """

    def __init__(self, axis: Literal[0, 2], most: float, p: float = 0.3) -> None:
        super().__init__(p=p)
        self.axis, self.most = axis, most

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the channels; at least one stays."""
        size = image.shape[self.axis] if image.ndim > self.axis else 1
        count = min(size - 1, max(1, self.py_random.randint(0, round(self.most * size))))
        return {"channels": self.py_random.sample(range(size), count)}

    def apply(self, img: Image, channels: list[int], **params: Any) -> Image:
        """Replaces the channels by their mean."""
        unit = to_unit(img)
        if channels and self.axis == 0:
            unit[channels] = unit[channels].mean(axis=1, keepdims=True)
        elif channels:
            unit[..., channels] = unit[..., channels].mean(axis=(0, 1), keepdims=True)
        return from_unit(unit, img)


class FrequencyShift(augment.ImageTransform):
    """Shifts all frequencies by the same amount, because rhythms differ between persons.

    The analytic signal is rotated, as by Rommel et al. 2021, https://arxiv.org/abs/2106.13695.

    Args:
        most: Largest shift in cycles per sample; 1/256 at 128 Hz is half a hertz.
        p: Probability of the transform.
    """

    def __init__(self, most: float = 1 / 256, p: float = 0.3) -> None:
        super().__init__(p=p)
        self.most = most

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the shift."""
        return {"by": self.py_random.uniform(-self.most, self.most)}

    def apply(self, img: Image, by: float, **params: Any) -> Image:
        """Multiplies the analytic signal by a rotation."""
        unit = to_unit(img) - ZERO
        turn = np.exp(2j * np.pi * by * np.arange(unit.shape[_TIME]))
        turn = turn.reshape(1, -1, *[1] * (unit.ndim - 2))
        moved = (hilbert(unit, axis=_TIME) * turn).real
        return from_unit(moved.astype(np.float32) + ZERO, img)
