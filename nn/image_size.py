"""Refuses image sizes that an architecture cannot take, and says which ones it can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from ..core.encoder import Encoder
from ..core.errors import UsageError
from .checkpoints import listed

NOT_TAKEN = (AssertionError, RuntimeError, ValueError, IndexError)
"""What architectures raise for an image size that they cannot take."""
NOT_BUILT = (AssertionError, IndexError)
"""What they raise where they are built for it."""


def patch_size(body: nn.Module) -> int:
    """Returns the side of a patch in pixels, the longer one; 1 if a network has no patches."""
    return int(np.max(getattr(getattr(body, "patch_embed", None), "patch_size", 1)))


def refuse_image_size(name: str, encoder: Encoder, channels: int, image_size: int) -> None:
    """Refuses an image size that the architecture cannot take, by a pass of an empty image.

    Args:
        name: Of the architecture, for the message.
        encoder: Built for that size.
        channels: C, the number of input channels.
        image_size: Height and width in pixels.

    Raises:
        UsageError: If it cannot take it.
    """
    mode = encoder.training
    try:
        with torch.inference_mode():
            if "pyramid" in encoder.provides:  # those of signals try a signal
                encoder.pyramid_shapes(image_size)
            else:
                encoder.eval()(torch.zeros(1, channels, image_size, image_size))
    except NOT_TAKEN as error:
        if "memory" in str(error):
            raise
        patch = patch_size(encoder.body)
        raise UsageError(
            f"The encoder '{name}' cannot take images of {image_size} pixels: {_reason(error)}. "
            f"Choose another --image-size{_others(image_size, patch)}."
        ) from error
    finally:
        encoder.train(mode)


def cannot_be_built(
    name: str, image_size: int, options: Mapping[str, Any], error: Exception
) -> UsageError:
    """Returns the error of an architecture that cannot be built for an image size.

    Args:
        name: Of the architecture.
        image_size: Height and width in pixels.
        options: Further arguments of the architecture, which may be the reason as well.
        error: What it raised.
    """
    given = f" with the arguments {listed(options)}" if options else ""
    return UsageError(
        f"The encoder '{name}' cannot be built for images of {image_size} pixels{given}: "
        f"{_reason(error)}. Choose another --image-size{_others(image_size)}."
    )


def _reason(error: Exception) -> str:
    """Returns the first line of an error, which may be empty."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else "it does not divide them evenly"


def _others(image_size: int, patch: int = 1) -> str:
    """Suggests the nearest sizes of whole patches, where the size is none."""
    if image_size % patch:
        below = image_size // patch * patch
        return f", such as {f'{below} or ' if below else ''}{below + patch}"
    return "; multiples of 32 suit most architectures"
