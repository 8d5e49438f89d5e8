"""How the channels of weights fit those of images, by name and in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

_LISTED = 20  # names in a message


def spelled_alike(name: str, names: Iterable[str]) -> str:
    """Returns the name that differs only in capitals, blanks and marks; "" if there is none.

    "swir2" is spelled like "swir_2". Names that are merely similar, such as "swir_1" and "swir_2",
    mean different channels and are not spelled alike.
    """
    plain = _plain(name)
    return next((other for other in names if other != name and _plain(other) == plain), "")


def listed_channels(names: Sequence[str]) -> str:
    """Lists names of channels, the first 20 of them."""
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def channels_in_words(source: Sequence[str], target: Sequence[str], width: int) -> str:
    """Says which channels of an encoder take the weights of which channels of a file.

    Args:
        source: Channel names of the file.
        target: Channel names of the encoder.
        width: Number of input channels of the file's weights.

    Returns:
        Phrases such as "matched by name: red; new: nir (mean of the others)"; where no name is that
        of the file, that its filters were averaged; "" if all channels are the same in the same
        order.
    """
    if len(source) != width:
        taken = f"each of the {len(target)} channels takes the mean of them"
        return "" if width == len(target) else f"its {width} channels have no names: {taken}"
    if tuple(source) == tuple(target):
        return ""
    matched = [name for name in target if name in source]
    new = [name for name in target if name not in source]
    unused = [name for name in source if name not in target]
    alike = {name: spelled_alike(name, unused) for name in new}
    asked = [f"'{name}' for '{other}'" for name, other in alike.items() if other]
    if not matched and not asked:
        filters = f"the filters of {listed_channels(unused)} were averaged"
        return f"{filters} for {'each of ' if len(new) > 1 else ''}{listed_channels(new)}"
    phrases = [f"matched by name: {listed_channels(matched) or 'no channel'}"]
    if new:
        doubt = f"; is {', '.join(asked)} a slip?" if asked else ""
        phrases.append(f"new: {listed_channels(new)} (mean of the others{doubt})")
    if unused:
        phrases.append(f"not in the images: {listed_channels(unused)}")
    return "; ".join(phrases)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()


def adapt_channels(weight: Tensor, source: Sequence[str], target: Sequence[str]) -> Tensor:
    """Adapts the weight (out, N, ...) of an input layer to other channels (out, M, ...).

    A target channel takes the weights of the source channel of that name, or the mean over all
    channels; the factor N / M keeps the scale of the response.
    """
    if tuple(source) == tuple(target) or len(source) != weight.shape[1]:
        if weight.shape[1] == len(target):
            return weight
        source = [""] * weight.shape[1]
    mean = weight.mean(dim=1)
    names = list(source)
    columns = [weight[:, names.index(name)] if name in names else mean for name in target]
    return torch.stack(columns, dim=1) * (len(names) / len(target))
