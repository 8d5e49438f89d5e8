"""A view: the request for one augmented version of an image."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class View:
    """A request for one augmented version of an image; the domain's policy fulfills it.

    Attributes:
        size: Height and width in pixels.
        scale: Range of the share of the image's area that a crop covers.
        policy: Name of the domain's policy. Every domain has "default"; "weak" (hardly altered),
            "upright" (not turned or mirrored upside down) and "eval" (the whole image) exist
            without its doing.
        locate: Whether the objective must know where in the image the view lies: `Batch.frames`.
    """

    size: int
    scale: tuple[float, float] = (0.2, 1.0)
    policy: str = "default"
    locate: bool = False


def scaled_size(size: int, share: float) -> int:
    """Returns a share of `size` pixels as a multiple of 16: the sides that most encoders take."""
    return max(16, round(size * share / 16) * 16) if share < 1 else size


def multi_crop(
    size: int, small: int, cut: float = 0.25, policy: str = "default"
) -> tuple[View, ...]:
    """Two large views and `small` small ones of 3/7 of their size (a multiple of 16 pixels).

    SwAV (Caron et al. 2020, https://arxiv.org/abs/2006.09882), section 3.2: 224 and 96 pixels.

    Args:
        size: Pixels of the large views.
        small: Number of small views.
        cut: Share of the image's area above which a crop is a large view.
        policy: Of all of them.
    """
    large = (View(size, scale=(cut, 1.0), policy=policy),) * 2
    return large + (View(scaled_size(size, 3 / 7), scale=(0.05, cut), policy=policy),) * small
