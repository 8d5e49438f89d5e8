"""Encoders that are trained on smaller images than they are used on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..core.encoder import Encoder
from ..core.errors import UsageError
from ..core.view import scaled_size
from .weights import create_encoder


def encoder_of_views(
    name: str, channels: int, image_size: int, relative_size: float, **arguments: Any
) -> Encoder:
    """Builds an encoder for views, whose weights give the same features of images as its own do.

    Random crops show objects enlarged, so that an encoder that was trained on crops does best on
    larger images: FixRes (Touvron et al. 2019, https://arxiv.org/abs/1906.06423). Encoders whose
    weights depend on the image size, such as position embeddings, are built for whole images.

    Args:
        name: Architecture.
        channels: C.
        image_size: Height and width in pixels of the images that it will be used on.
        relative_size: Size of the views relative to that of images, above 0 to 1.
        arguments: Further arguments of the architecture.

    Returns:
        The encoder; its `image_size` is that of the views.

    Raises:
        UsageError: If the architecture cannot take images of this size.
    """
    encoder = create_encoder(name, channels, image_size, **arguments)
    smaller = scaled_size(image_size, relative_size)
    if smaller >= image_size:
        return encoder
    try:
        of_views = create_encoder(name, channels, smaller, **arguments)
        of_views.body.load_state_dict(encoder.body.state_dict())
        alike = torch.allclose(
            _features(of_views, image_size), _features(encoder, image_size), atol=1e-5
        )
    except (UsageError, AssertionError, RuntimeError, ValueError) as error:
        if "memory" in str(error):
            raise
        return encoder
    return of_views if alike else encoder


def _features(encoder: Encoder, size: int) -> Tensor:
    """Returns the features of a random image, or of a signal, whose feature maps have height 1."""
    maps = encoder.pyramid_shapes(size) if "pyramid" in encoder.provides else []
    height = 1 if maps and maps[0][1] == 1 else size
    generator = torch.Generator().manual_seed(0)
    x = torch.rand((1, encoder.channels, height, size), generator=generator)
    mode = encoder.training
    with torch.no_grad():
        features: Tensor = encoder.eval()(x)
    encoder.train(mode)
    return features
