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
    """What an objective gets.

    Attributes:
        views: One standardized tensor (B, C, H, W) per requested view.
        indices: (B,) position of each image in the dataset.
        groups: (B,) number of each image's patient, slide, scene, ...; -1 where there is none.
        positions: (B, P) place of each image in its slide, scene or recording; P may be 0.
        keys: Name of each image, for messages.
        frames: One per requested view: where it asked to be located, (B, 2, 3) affine maps from
            positions in the view (x, y, 1), in pixels, to those in the image, in shares of its
            width and height; else (B, 0, 3). Of a paired image they are its own.
        partner_positions: (B, P) those of the images that every second view shows; None where
            images are not paired.
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
    """What is known before the first step.

    Attributes:
        images: Number of images in the dataset; `Batch.indices` are below it.
        steps_per_epoch: Steps an epoch.
        mean: Per channel, of values in [0, 1]; views are (x - mean) / std.
        std: Per channel.
    """

    images: int
    steps_per_epoch: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


class Output(NamedTuple):
    """What an objective returns: a scalar loss, and detached scalars worth plotting."""

    loss: Tensor
    metrics: Mapping[str, Tensor] = {}


class Objective(nn.Module, ABC):
    """A self-supervised method on top of an encoder.

    Its state lives in parameters, submodules or buffers only, so that a saved and loaded run goes
    on exactly. It never touches optimizer, device, augmentation or files.

    Attributes:
        paper: Link to the paper.
        Config: Its options; the defaults are the paper's.
        needs: What the encoder must provide: "map", "levels", "tokens".
        defaults: Settings of the run that this method wants changed, nested as in config.toml.
        example: Options that checks build it with, where the defaults do not suffice.
        processes_differ: Why P processes cannot equal one with the joined batch; "" if they do.
        phases: Optimizer steps per batch. If more than one, the loop calls
            `forward(batch, phase)` for each and steps after each.
    """

    paper: ClassVar[str]
    Config: ClassVar[type[Config]] = Config
    needs: ClassVar[frozenset[str]] = frozenset()
    defaults: ClassVar[Mapping[str, Any]] = {}
    example: ClassVar[Mapping[str, Any]] = {}
    processes_differ: ClassVar[str] = ""
    phases: int = 1

    def __init__(self, encoder: Encoder, config: Any) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config

    @classmethod
    @abstractmethod
    def views(cls, config: Any, size: int) -> tuple[View, ...]:
        """Returns the views of one image that the method needs, at `size` pixels."""

    @abstractmethod
    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Returns the loss of a batch."""

    def prepare(self, training: TrainingInfo) -> None:
        """Called once before the first step, and before a saved state is loaded.

        Here an objective makes the buffers that have a row per image.
        """

    def project(self, features: Tensor) -> Tensor | None:
        """Maps features (B, D) to the space of the loss, for the collapse watch; None if none."""
        return None

    def after_step(self, step: int, steps: int) -> None:
        """Called after each optimizer step `step` (from 1) of `steps`: teachers, queues."""
