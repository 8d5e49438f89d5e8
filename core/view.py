"""A view: the request for one augmented version of an image."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class View:
    """A request for one augmented version of an image; the policy of the domain fulfills it.

    Attributes:
        size: Height and width in pixels.
        scale: Range of the crop's area as a share of the image's area, as in RandomResizedCrop.
        policy: Name of an augmentation policy of the domain. Every domain has "default". "weak"
            (crop and flip at most), "upright" (no rotation, no vertical flip) and "eval" (the whole
            image, not augmented) exist in every domain as well.
        locate: Whether the objective needs the position of the view in the image, `Batch.frames`.
    """

    size: int
    scale: tuple[float, float] = (0.2, 1.0)
    policy: str = "default"
    locate: bool = False


def scaled_size(size: int, share: float) -> int:
    """Returns `share` times `size` pixels, as a multiple of 16, which most encoders accept."""
    return max(16, round(size * share / 16) * 16) if share < 1 else size


def two_views(size: int) -> tuple[View, View]:
    """Returns two views with the default augmentations, the usual input of a joint embedding.

    Args:
        size: Height and width in pixels.
    """
    return View(size), View(size)


def multi_crop(
    size: int, local_crops: int, cut: float = 0.14, policy: str = "default"
) -> tuple[View, ...]:
    """Returns two global crops and several local crops of 3/7 of their size (a multiple of 16).

    SwAV (Caron et al. 2020, https://arxiv.org/abs/2006.09882), section 3.2: 224 and 96 pixels.

    Args:
        size: Height and width of the global crops in pixels.
        local_crops: Number of local crops.
        cut: Share of the image's area that separates local crops (below) from global ones (above),
            0.14 in SwAV.
        policy: Augmentation policy of all crops.
    """
    large = (View(size, scale=(cut, 1.0), policy=policy),) * 2
    small = View(scaled_size(size, 3 / 7), scale=(0.05, cut), policy=policy)
    return large + (small,) * local_crops
