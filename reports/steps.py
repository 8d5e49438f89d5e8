"""Captions of augmented views: what each step of a policy did to an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..data.augment import Compose
from ..data.views import Step

_SYMMETRIES = {
    "e": "as it was",
    "r90": "turned by 90°",
    "r180": "turned by 180°",
    "r270": "turned by 270°",
    "v": "upside down",
    "h": "mirrored",
    "t": "transposed",
    "hvt": "transposed, turned by 180°",
}
_UNSAID = ("shape", "interpolation", "fill", "fill_mask", "output_shape", "order", "bbox_matrix")
_WHOLE = 10  # from here numbers have no decimal places
_LISTED = 3  # numbers of an array; of more, the range is given
_FEW = 20  # numbers of an array that are values of channels, not of pixels


def step_text(step: Step, channels: Sequence[str] = ()) -> str:
    """Writes the name of an augmentation with what it did: "Tone low 0.1, high 1, gamma 1.3".

    Arguments that are numbers are given by name; `Elastic` gives the mean displacement,
    `GaussianBlur` the standard deviation. A step without such arguments, such as noise that is
    drawn for each pixel, gives the mean absolute change of the values as a share of their range.

    Args:
        step: As it was applied.
        channels: Names of the image's channels.
    """
    words = [_words(key, step.parameters, channels) for key in step.parameters]
    said = ", ".join(filter(None, words))
    if not said and step.change is not None:
        said = f"±{_number(100 * step.change)} %"
    return f"{step.name} {said}".rstrip()


def steps_sentence(pipeline: Compose) -> str:
    """Names the augmentations of a pipeline with the share of the views that get them."""
    steps = ", ".join(
        type(step).__name__ + (f" ({100 * step.p:.0f} %)" if step.p < 1 else "")
        for step in pipeline.transforms
    )
    return f"Steps of the policy, in order, with the share of the views that get them: {steps}."


def _number(value: float) -> str:
    """Writes two digits or the whole number, and none behind the third decimal place."""
    return f"{value:.0f}" if abs(value) >= _WHOLE else f"{round(value, 3) + 0.0:.2g}"


def _words(key: str, parameters: Mapping[str, Any], channels: Sequence[str]) -> str:
    value = parameters[key]
    if key in _UNSAID or value is None or isinstance(value, bool):
        return ""
    if key == "channels":
        names = [channels[c] if len(channels) > 1 else str(c + 1) for c in value]
        more = [f"{len(names) - _LISTED} more"] if len(names) > _LISTED else []
        return ", ".join(names[:_LISTED] + more)
    if key in _SPECIAL:
        return _SPECIAL[key](value, parameters)
    if isinstance(value, slice):
        return f"{key} {value.start} to {value.stop} px" if value.stop > value.start else "nothing"
    if isinstance(value, str):
        return value if value.isalnum() else ""
    if isinstance(value, int | float | np.number):
        return f"{key} {_number(float(value))}"
    return _array_words(key, value) if isinstance(value, np.ndarray) else ""


def _array_words(key: str, values: np.ndarray[Any, Any]) -> str:
    """Lists a few numbers, gives the range of some, and leaves out what is drawn for pixels."""
    if values.ndim != 1 or not 0 < len(values) <= _FEW:
        return ""
    texts = [_number(number) for number in values.tolist()]
    if len(set(texts)) == 1:
        return f"{key} {texts[0]}"
    if len(texts) <= _LISTED:
        return f"{key} {'/'.join(texts)}"
    return f"{key} {_number(values.min())} to {_number(values.max())}"


def _area(crop: Any, parameters: Mapping[str, Any]) -> str:
    left, top, right, bottom = crop
    height, width, *_ = parameters["shape"]
    return f"{100 * (right - left) * (bottom - top) / (height * width):.0f} %"


def _sigma(kernel: Any, parameters: Mapping[str, Any]) -> str:
    """Standard deviation of a separable kernel; the length of another one."""
    if np.ndim(kernel) != 1:
        return f"{len(kernel)} px"
    offsets = np.arange(len(kernel)) - (len(kernel) - 1) / 2
    return f"sigma {_number(np.sqrt(np.average(offsets**2, weights=kernel)))} px"


def _displacement(map_x: Any, parameters: Mapping[str, Any]) -> str:
    rows, columns = np.indices(map_x.shape)
    moved = float(np.hypot(map_x - columns, parameters["map_y"] - rows).mean())
    return f"moved by {_number(moved)} px"


def _shift(matrix: Any, parameters: Mapping[str, Any]) -> str:
    """How far an affine map moves the center; nothing if less than half a pixel."""
    height, width, *_ = parameters["shape"]
    center = np.array([(width - 1) / 2, (height - 1) / 2, 1])
    moved = float(np.hypot(*(matrix @ center - center)[:2]))
    return f"shifted by {_number(moved)} px" if moved > 1 / 2 else ""


def _angle(degrees: float, parameters: Mapping[str, Any]) -> str:
    return f"turned by {_number(degrees)}°" if degrees else ""


_SPECIAL: Mapping[str, Callable[[Any, Mapping[str, Any]], str]] = {
    "crop_coords": _area,
    "group_element": lambda element, _: _SYMMETRIES[str(element)],
    "kernel": _sigma,
    "map_x": _displacement,
    "map_y": lambda *_: "",
    "matrix": _shift,
    "rotate": _angle,
}
