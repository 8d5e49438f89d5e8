"""The contract of a domain: how images of one kind are read and how they may be altered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .view import View

if TYPE_CHECKING:
    from .dataset import Transform
    from .index import Index
    from .pairing import Pairing

Policy = Callable[[View, Sequence[str]], "list[Transform]"]
"""Makes the transforms of a view from the request and the channel names. They get uint8 or float32
in [0, 1], (H, W, C), and the last of them returns an image of `view.size`."""

PairingRule = Callable[["Index"], "Pairing"]
"""Tells which images show the same thing as an image: neighbors, seasons, one patient."""


@dataclass(frozen=True)
class Corruption:
    """A corruption typical of the domain, used to measure how robust features are.

    Attributes:
        transform: Makes the transform from strength and channel names; None where it cannot occur.
        strengths: Strengths to test, from mild to severe, in the unit that is usual in the field.
        unit: Unit of the strengths: "dB", "quality", ...
    """

    transform: Callable[[float, Sequence[str]], Transform | None]
    strengths: tuple[float, ...]
    unit: str


@dataclass(frozen=True)
class Domain:
    """The knowledge of one field.

    Attributes:
        name: What the user types.
        summary: One plain sentence.
        datasets: Names of the registered datasets that can open its files, the best first.
        demo: Name of a registered dataset that needs no files and no network.
        policies: Augmentation policies by name; "default" is required.
        defaults: Settings of a run that suit the field, nested as in config.toml.
        pretrained_defaults: What differs in them where the encoder starts from weights.
        pairings: Rules that find positives that are not augmentations, by name.
        objectives: Names of the objectives that come with the domain.
        corruptions: Corruptions that are typical of its images, by name.
        channel_names: Its names of channels by spellings, in lower case without marks.
    """

    name: str
    summary: str
    datasets: tuple[str, ...]
    demo: str
    policies: Mapping[str, Policy]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    pretrained_defaults: Mapping[str, Any] = field(default_factory=dict)
    pairings: Mapping[str, PairingRule] = field(default_factory=dict)
    objectives: tuple[str, ...] = ()
    corruptions: Mapping[str, Corruption] = field(default_factory=dict)
    channel_names: Mapping[str, str] = field(default_factory=dict)
