"""Masked image modeling: masks over a grid of patches, and what replaces the masked patches."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate, layer_norm, pad
from torch.nn.modules.batchnorm import _BatchNorm

from ..core.encoder import Encoder
from ..core.errors import UsageError
from .distributed import rand_per_sample, rand_shared

_log = logging.getLogger("ssl_kit")


def patchify(x: Tensor, patch: int | tuple[int, int]) -> Tensor:
    """Cuts (B, C, H, W) into patches (B, N, P C), in row-major order; a margin is left out.

    Args:
        x: Images or feature maps.
        patch: Side of a patch in pixels, or its height and width; P is the number of its pixels.
    """
    tall, wide = (patch, patch) if isinstance(patch, int) else patch
    b, c, height, width = x.shape
    h, w = height // tall, width // wide
    x = x[..., : h * tall, : w * wide].reshape(b, c, h, tall, w, wide)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(b, h * w, tall * wide * c)


def pixel_features(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """Describes each patch of a grid by its pixels, resampled to 8 x 8.

    Patches of images are normalized separately; signals, of height 1, have 64 values per patch and
    are not normalized.

    Args:
        x: (B, C, H, W) images or signals.
        grid: h, w, the number of patches along each side.

    Returns:
        (B, h w, 64 C) features in row-major order.
    """
    fine = (8, 8) if x.shape[2] > 1 else (1, 64)
    patches = patchify(adaptive_avg_pool2d(x, (grid[0] * fine[0], grid[1] * fine[1])), fine)
    return layer_norm(patches, patches.shape[-1:]) if x.shape[2] > 1 else patches


def check_patches(count: int) -> None:
    """Refuses images of one patch; objectives call it before the training.

    Args:
        count: Number of patches of an image, or of those along its width.

    Raises:
        UsageError: If there are fewer than two patches.
    """
    if count < 2:
        raise UsageError(
            "An image of one patch cannot be masked in part. Give a larger --image-size, or "
            "smaller patches."
        )


def check_whole_patches(encoder: Encoder) -> None:
    """Refuses an image size that the patches of a transformer do not divide, or that is one patch.

    The encoder pads such images, so that its patches are not those of the pixels to predict.

    Args:
        encoder: With tokens; others are accepted.

    Raises:
        UsageError: With the next smaller size that fits, or if there are fewer than two patches.
    """

    def count(size: int) -> int:
        return encoder.pyramid_shapes(size)[-1][2]

    size = encoder.image_size
    if "tokens" not in encoder.provides:
        return
    check_patches(math.prod(encoder.pyramid_shapes(size)[-1][1:]))
    if count(size + 1) > count(size):
        return
    fitting = next(s for s in range(size - 1, 0, -1) if count(s + 1) > count(s))
    raise UsageError(
        f"Images of {size} px cannot be divided into the patches of '{encoder.name}', whose pixels "
        f"this objective predicts. Give --image-size {fitting}, or another multiple of its patches."
    )


def refuse_signals(encoder: Encoder, name: str) -> None:
    """Refuses an encoder for signals, where an objective needs images of more than one row.

    Args:
        encoder: One whose finest map is a row is for signals.
        name: Of the objective.

    Raises:
        UsageError: If it is for signals.
    """
    if "pyramid" not in encoder.provides:
        return  # those for signals have one
    _, height, width = encoder.pyramid_shapes(encoder.image_size)[0]
    if height == 1 < width:
        raise UsageError(
            f"'{name}' needs images, and '{encoder.name}' is for signals. Choose another "
            "objective, such as simclr or masked_clusters, or another --encoder."
        )


def random_mask(batch: int, patches: int, ratio: float, like: Tensor) -> Tensor:
    """Draws masks (B, N), True where a patch is masked, with as many masked in every image.

    At least one patch is masked and at least one stays visible.

    Args:
        batch: B, the number of images.
        patches: N, the number of patches.
        ratio: Share of the patches that are masked.
        like: Tensor that gives the device.

    Raises:
        UsageError: If there are fewer than two patches.
    """
    check_patches(patches)
    masked = min(max(1, round(ratio * patches)), patches - 1)
    order = rand_per_sample(batch, patches, like=like).argsort(dim=1).argsort(dim=1)
    return order < masked


def span_mask(batch: int, frames: int, start: float, span: int, like: Tensor) -> Tensor:
    """Draws masks (B, T), True where masked: spans that begin at random frames and may overlap.

    wav2vec 2.0 (https://arxiv.org/abs/2006.11477), section 3.1. At least one frame is masked, and
    at least one stays visible.

    Args:
        batch: B.
        frames: T.
        start: Probability that a span begins at a frame.
        span: Length of a span in frames, at most a quarter of T.
        like: Tensor that gives the device.
    """
    draws = rand_per_sample(batch, frames, like=like)
    begins = (draws < start) | (draws == draws.amin(dim=1, keepdim=True))
    length = min(span, _longest(frames))
    counts = pad(begins.float(), (length - 1, 0)).unfold(1, length, 1)
    masked = counts.amax(dim=2) > 0
    visible = draws == draws.amax(dim=1, keepdim=True)
    return masked & ~(visible & masked.all(dim=1, keepdim=True))


def warn_of_short_spans(frames: int, span: int) -> None:
    """Warns where `span_mask` draws shorter spans than were asked for.

    Args:
        frames: T, the number of frames of a view.
        span: Length of a span that was asked for.
    """
    if span > _longest(frames):
        _log.warning(
            "Warning: a view has %d frames, so that masked spans have %d and not "
            "objective.span=%d. Longer views, by --image-size, have more.",
            *(frames, _longest(frames), span),
        )


def _longest(frames: int) -> int:
    return max(1, frames // 4)


def inpainting_mask(x: Tensor, shape: str) -> Tensor:
    """Draws masks (B, 1, H, W), True on about a quarter of each image, for inpainting.

    Context encoders (Pathak et al. 2016, https://arxiv.org/abs/1604.07379), section 3.3.

    Args:
        x: (B, C, H, W) images.
        shape: "center" for a square; "blocks" for five squares of a quarter of the side, which may
            overlap; "region" for arbitrary shapes, where a smooth random field is high.
    """
    b, _, *size = x.shape
    if shape == "region":
        field = interpolate(rand_per_sample(b, 1, 6, 6, like=x), size, mode="bicubic")
        edge = field.flatten(1).kthvalue(round(0.75 * field[0].numel()), dim=1).values
        return field > edge.view(-1, 1, 1, 1)
    corner, side = x.new_full((b, 1, 2, 1), 0.25), 0.5  # as shares of height and width
    if shape == "blocks":
        corner, side = 0.75 * rand_per_sample(b, 5, 2, 1, like=x), 0.25
    grids = [(torch.arange(n, device=x.device) + 0.5) / n for n in size]
    down, right = (
        (g >= corner[:, :, i]) & (g < corner[:, :, i] + side) for i, g in enumerate(grids)
    )
    return (down[..., :, None] & right[..., None, :]).any(dim=1, keepdim=True)


def upsample_mask(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Upsamples masks (B, h, w) to (B, 1, H, W) by nearest-neighbor interpolation."""
    return interpolate(mask[:, None].float(), size=size, mode="nearest").bool()


@contextmanager
def _batches_counted(network: nn.Module, times: int) -> Iterator[None]:
    """Makes a batch count `times`-fold in the running statistics of batch normalization."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1 - (1 - (norm.momentum or 0.1)) ** times
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


class MaskPatch(nn.Module):
    """A learned patch of pixels that replaces the masked patches of an image.

    Before a linear patch embedding it is equivalent to a learned mask token behind the embedding,
    and it works for convolutional networks as well.

    Args:
        encoder: Gives the size of the images and their number of channels.
        size: Width of a masked patch in pixels.
        height: Its height; the same if left out.

    Raises:
        UsageError: If an image is one patch.
    """

    def __init__(self, encoder: Encoder, size: int, height: int | None = None) -> None:
        super().__init__()
        check_patches(math.ceil(encoder.image_size / size))
        # not constant, because max pooling over equal values has no unique gradient
        self.pixels = nn.Parameter(0.02 * torch.randn(encoder.channels, height or size, size))

    def no_weight_decay(self) -> set[str]:
        """Names the patch, which has no weight decay, as mask tokens have none."""
        return {"pixels"}

    @classmethod
    def fitting(cls, encoder: Encoder, grid: int) -> MaskPatch:
        """Makes a patch of about 1 / `grid` of the image's side.

        Its side is a multiple 2^k of the stride of the encoder's finest feature map; for a ViT
        that is one patch or more.
        """
        _, _, w = encoder.pyramid_shapes(encoder.image_size)[0]
        stride = math.ceil(encoder.image_size / w)
        size = stride * 2 ** max(0, round(math.log2(encoder.image_size / grid / stride)))
        return cls(encoder, size)

    def draw(self, x: Tensor, ratio: float) -> Tensor:
        """Draws masks (B, h, w) for images (B, C, H, W), True where a patch is masked."""
        h, w = (math.ceil(a / b) for a, b in zip(x.shape[2:], self.pixels.shape[1:], strict=True))
        return random_mask(len(x), h * w, ratio, like=x).view(-1, h, w)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Replaces the masked patches of images by the learned patch.

        Args:
            x: (B, C, H, W) images.
            mask: (B, h, w), True where masked. If H and W are no multiples of the patch, masked
                patches are a little smaller than it.
        """
        height, width = x.shape[2:]
        tiles = self.pixels.repeat(1, mask.shape[1], mask.shape[2])[:, :height, :width]
        return torch.where(upsample_mask(mask, (height, width)), tiles.to(x.dtype), x)

    def forward_pyramid(self, encoder: Encoder, x: Tensor, mask: Tensor) -> list[Tensor]:
        """Encodes masked images and returns the pyramid of feature maps, the finest first.

        Running statistics of batch normalization are taken from unmasked images, for which the
        encoder is used later: a quarter of the batches is encoded once more, without gradient.

        Args:
            encoder: Encoder to be trained.
            x: (B, C, H, W) images.
            mask: (B, h, w), True where masked.
        """
        normalized = any(isinstance(module, _BatchNorm) for module in encoder.modules())
        if normalized and self.training and float(rand_shared(1, like=x)) < 0.25:
            with _batches_counted(encoder, 4), torch.no_grad():
                encoder(x)
        with _batches_counted(encoder, 0):
            return encoder.forward_pyramid(self(x, mask))
