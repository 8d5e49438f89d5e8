"""Views: from a request and a policy to pixels, the same for any number of workers."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.dataset import Dataset, Image, Transform
from ..core.domain import Policy
from ..core.errors import DataError, PluginError, UnknownNameError
from ..core.index import evenly_spaced
from ..core.view import View
from ..nn.channel_names import listed_channels
from . import augment
from .pixels import full_scale

_log = logging.getLogger("ssl_kit")
_LOOKED_AT = 8  # images by which views are compared


def resized_crop(view: View) -> Transform:
    """Returns a random crop of `view.scale` of the area, resized to `view.size`."""
    return augment.ResizedCrop((view.size, view.size), scale=view.scale)


def plain(view: View, channels: Sequence[str]) -> list[Transform]:
    """A random crop only: the policies "weak" and "upright" of a domain that defines neither."""
    return [resized_crop(view)]


def whole_image(view: View, channels: Sequence[str]) -> list[Transform]:
    """Policy "eval": resizes the shorter side to `view.size` and takes the center crop."""
    return [
        augment.SmallestMaxSize(view.size, area_for_downscale="image"),
        augment.CenterCrop(view.size, view.size, pad_if_needed=True),
    ]


def if_channels(
    needed: Sequence[str], channels: Sequence[str], *transforms: Transform
) -> list[Transform]:
    """Returns the transforms if the image has exactly the `needed` channels, else none.

    What is left out is logged, so that an augmentation that is right for one kind of image is
    neither applied to another nor missing without a message. Nothing is said of color in gray
    images, and of what is for gray images only.
    """
    if tuple(needed) == tuple(channels):
        return list(transforms)
    if 1 in (len(needed), len(channels)):
        return []
    _log.info(
        "Left out of the augmentations: %s, for images with the channels %s; these have %s.",
        ", ".join(type(transform).__name__ for transform in transforms),
        ", ".join(needed),
        listed_channels(channels),
    )
    return []


@dataclass(frozen=True)
class Step:
    """A transform as it was applied to an image.

    Attributes:
        name: Of its class.
        parameters: Drawn for this image, by name.
        change: Mean absolute change of the values, as a share of their range; None if it moves
            pixels.
    """

    name: str
    parameters: Mapping[str, Any]
    change: float | None = None


def _mean_change(before: Image, after: Image) -> float:
    difference = after.astype(np.float32) - before.reshape(after.shape).astype(np.float32)
    return float(np.abs(difference).mean() / full_scale(before.dtype))


def changed(view: View, policy: str = "default", min_area: float | None = None) -> View:
    """Changes the request for a view, which objectives make without knowing the images.

    Args:
        view: Another policy than "default" is kept, because the objective depends on it.
        policy: Policy in place of "default".
        min_area: Smallest area of a crop as a share of the image's, for views that may show the
            whole image; None keeps the objective's. Local crops keep their scale.
    """
    if view.policy == "default":
        view = replace(view, policy=policy)
    if min_area is None or view.scale[1] < 1 or view.policy == "eval":
        return view
    return replace(view, scale=(min_area, 1.0))


def distinct(
    requests: Sequence[View], policies: Mapping[str, Policy], dataset: Dataset
) -> list[View]:
    """Returns the requests whose views differ in some images, the first of those that are alike.

    A policy need not do what is asked for: it may show more of an image than `view.scale` says.

    Args:
        requests: Single views.
        policies: The domain's, by name.
        dataset: Its images are looked at.
    """
    images = []
    for i in evenly_spaced(len(dataset), _LOOKED_AT).tolist():
        with suppress(DataError):
            images.append(dataset[i].image)
    found: dict[bytes, View] = {}
    for view in requests:
        render = Renderer(policies, [view], dataset.channels, seed=0)
        shown = b"".join(render(image, 0, i, 0).tobytes() for i, image in enumerate(images))
        found.setdefault(shown, view)
    return [*found.values()]


class Renderer:
    """Makes the views of an image.

    Randomness is a pure function of (seed, epoch, image, view): it does not depend on the number
    of workers or processes, or on where a run was resumed.

    Args:
        policies: The domain's, by name.
        views: The requests.
        channels: Names of the image's channels.
        seed: Of the run.
    """

    def __init__(
        self,
        policies: Mapping[str, Policy],
        views: Sequence[View],
        channels: Sequence[str],
        seed: int,
    ) -> None:
        policies = {"weak": plain, "upright": plain, "eval": whole_image, **policies}
        for view in views:
            if view.policy not in policies:
                raise UnknownNameError("augmentation policy", view.policy, policies)
        self._policies, self.views = policies, tuple(views)
        self._channels, self._seed = tuple(channels), seed

    @cached_property
    def pipelines(self) -> list[augment.Compose]:
        """One pipeline of transforms per view."""
        return [
            augment.Compose(
                self._policies[v.policy](v, self._channels),
                keypoint_params=_CORNERS if v.locate else None,
            )
            for v in self.views
        ]

    def __call__(self, image: Image, epoch: int, index: int, view: int) -> Image:
        """Renders view number `view` of an image; see `locate` for the arguments."""
        return self.locate(image, epoch, index, view)[0]

    def locate(
        self, image: Image, epoch: int, index: int, view: int
    ) -> tuple[Image, NDArray[np.float32]]:
        """Renders view number `view` of an image.

        Args:
            image: (H, W, C), uint8 or float32 in [0, 1].
            epoch: From 0.
            index: Position of the image in the dataset.
            view: Position of the view in the requests.

        Returns:
            (size, size, C), or (1, size, C) for signals, of the same type; and its frame (2, 3),
            (0, 3) where the view did not ask to be located. Pixel i reaches from i to i + 1.
        """
        targets = self._render(image, epoch, index, view)
        out: Image = targets["image"]
        out = out[..., None] if out.ndim == 2 else out
        size = self.views[view].size
        if out.shape not in ((size, size, image.shape[2]), (1, size, image.shape[2])):
            raise PluginError(
                f"The policy '{self.views[view].policy}' made a view of shape {out.shape}; "
                f"({size}, {size}, {image.shape[2]}) was asked for."
            )
        out = np.ascontiguousarray(out, dtype=np.uint8 if image.dtype == np.uint8 else np.float32)
        return out, _frame(targets["keypoints"], image) if "keypoints" in targets else _NOWHERE

    def applied(self, image: Image, epoch: int, index: int, view: int) -> list[Step]:
        """Returns the steps that make a view, with what they did; see `locate`."""
        pipeline = self.pipelines[view]
        for transform in pipeline.transforms:
            transform.params = {}
        self._render(image, epoch, index, view)
        steps = []
        for transform in pipeline.transforms:
            if transform.params:  # of those that were applied
                after = transform.apply_with_params(transform.params, image=image)["image"]
                moves = isinstance(transform, augment.MovesPixels)
                change = None if moves else _mean_change(image, after)
                steps.append(Step(type(transform).__name__, transform.params, change))
                image = after
        return steps

    def _render(self, image: Image, epoch: int, index: int, view: int) -> dict[str, Any]:
        """Returns what the pipeline of a view gives."""
        rng = np.random.default_rng((self._seed, epoch, index, view))
        pipeline = self.pipelines[view]
        pipeline.set_random_state(rng, random.Random(int(rng.integers(2**63))))  # noqa: S311
        corners = {"keypoints": _corners(image)} if self.views[view].locate else {}
        targets: dict[str, Any] = pipeline(image=image, **corners)
        return targets


_CORNERS = augment.KeypointParams("xy", remove_invisible=False)
_NOWHERE = np.zeros((0, 3), np.float32)
_UNIT = np.array([[0, 0], [1, 0], [0, 1]], np.float64)


def _corners(image: Image) -> NDArray[np.float64]:
    return _UNIT * [image.shape[1], image.shape[0]]


def _frame(corners: NDArray[np.float64], image: Image) -> NDArray[np.float32]:
    """Solves for the affine map (2, 3) from where three corners went back to where they were.

    Albumentations scales points as if pixel i reached from i to i + 1, but mirrors and turns them
    as if it were the point i: half a pixel is put right along each axis that was turned. What
    bends the image (elastic) is located as well as an affine map can.
    """
    sides = (corners[1:] - corners[0]).T / [image.shape[1], image.shape[0]]
    u, _, vt = np.linalg.svd(sides)
    corners_after = np.column_stack([corners + 0.5 - 0.5 * (u @ vt).sum(axis=1), np.ones(3)])
    return np.linalg.solve(corners_after, _UNIT).T.astype(np.float32)
