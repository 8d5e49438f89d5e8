"""The contract of an objective: which views it needs, and a loss over them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from .config import Config
from .encoder import Encoder
from .view import View


@dataclass
class Batch:
    """One batch of images, each as the views that the objective asked for.

    Attributes:
        views: One standardized tensor (B, C, H, W) per requested view.
        indices: (B,) index of each image in the dataset.
        groups: (B,) number of each image's patient, slide, scene, ...; -1 where there is none.
        positions: (B, P) position of each image in its slide, scene or recording; P may be 0.
        keys: Name of each image, for messages.
        frames: One per requested view. For a view with `locate` it is (B, 2, 3), the affine maps
            from pixels of the view (x, y, 1) to positions in the image, as shares of the image's
            width and height; for any other view it is (B, 0, 3). The second view of a pair refers
            to the partner image.
        partner_positions: (B, P) positions of the partner images, which the second view of each
            pair shows; None where images are not paired.
    """

    views: tuple[Tensor, ...]
    indices: Tensor
    groups: Tensor
    positions: Tensor
    keys: tuple[str, ...]
    frames: tuple[Tensor, ...] = ()
    partner_positions: Tensor | None = None

    def __len__(self) -> int:
        return len(self.indices)


@dataclass(frozen=True)
class TrainingInfo:
    """Facts about the training data that are known before the first step.

    Attributes:
        images: Number of images in the dataset; all `Batch.indices` are smaller.
        steps_per_epoch: Number of optimizer steps in an epoch.
        mean: Mean of each channel, of values in [0, 1]; views are (x - mean) / std.
        std: Standard deviation of each channel.
    """

    images: int
    steps_per_epoch: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


class Output(NamedTuple):
    """The result of `Objective.forward`: a scalar loss, and detached scalars to be logged."""

    loss: Tensor
    metrics: Mapping[str, Tensor] = {}


class Objective(nn.Module, ABC):
    """A self-supervised method on top of an encoder.

    All state lives in parameters, submodules and buffers, so that a training that was saved and
    loaded continues exactly. An objective never touches optimizer, device, augmentations or files.

    Attributes:
        paper: Link to the paper, or to the repository of a method without one; may be "".
        Config: Class of the options; the defaults are those of the paper.
        needs: What the encoder must provide: any of "map", "pyramid" and "tokens".
        trains: What of the encoder the loss is computed from: "features" (pooled), "map" (the last
            feature map) or "tokens" (all tokens). The encoder then pools nothing else.
        defaults: Settings of the run that this method changes, nested as in config.toml.
        example: Options for the conformance checks, where the defaults do not suffice.
        processes_differ: Reason why P processes cannot give the result of one process with the
            joined batch; "" if they do.
        phases: Number of optimizer steps per batch. With more than one, the training loop calls
            `forward(batch, phase)` and steps the optimizer once for each phase.
        projector: Head that maps features (B, D) to the space of the loss, an `nn.Module`, or
            None. It is typed `Any` so that a subclass can call it without declaring it again.
    """

    paper: ClassVar[str] = ""
    Config: ClassVar[type[Config]] = Config
    needs: ClassVar[frozenset[str]] = frozenset()
    trains: ClassVar[str] = "features"
    defaults: ClassVar[Mapping[str, Any]] = {}
    example: ClassVar[Mapping[str, Any]] = {}
    processes_differ: ClassVar[str] = ""
    phases: int = 1
    projector: Any

    def __init__(self, encoder: Encoder, config: Any) -> None:
        super().__init__()
        if self.trains != "features":
            encoder.pool_from(self.trains)
        self.encoder = encoder
        self.config = config
        self.projector = None

    @classmethod
    @abstractmethod
    def views(cls, config: Any, size: int) -> tuple[View, ...]:
        """Returns the views of each image that the method needs, at `size` pixels."""

    @abstractmethod
    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the loss of a batch."""

    def prepare(self, training: TrainingInfo) -> None:
        """Allocates what depends on the dataset, such as a buffer with one row per image.

        It is called once before the first step, and before a saved state is loaded.
        """

    def project(self, features: Tensor) -> Tensor | None:
        """Maps features (B, D) to the space of the loss, which the collapse watch monitors.

        By default it applies `projector`. Override it only where the loss lives in another space.

        Returns:
            The projections (B, D'), or None if there is no projector.
        """
        return None if self.projector is None else self.projector(features)

    def after_step(self, step: int, steps: int) -> None:
        """Updates teachers and schedules after optimizer step `step` (from 1) of `steps`."""
