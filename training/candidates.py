"""The encoders that a run may hand back: its start, some along the way, its end, and mixtures."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .run import Run

State = Mapping[str, Tensor]
_SAVED = (0.0, 0.5)
_MIXED = (0.25, 0.5, 0.75)
COUNT = len(_SAVED) + 1 + len(_MIXED)
"""Number of candidates of a run that has been judged."""


@dataclass(frozen=True)
class Candidate:
    """An encoder that a run may hand back.

    Attributes:
        kind: "checkpoint" of the training, or "interpolation" between the weights of its start and
            of its end.
        share: Of the schedule that was done, or of the end's weights; from 0 to 1.
    """

    kind: str
    share: float

    def facts(self) -> dict[str, Any]:
        """Returns the attributes by name."""
        return asdict(self)


START, END = Candidate("checkpoint", 0.0), Candidate("checkpoint", 1.0)


def is_start(manifest: Mapping[str, Any]) -> bool:
    """Tells whether a run hands back the very encoder that it started from.

    The weights of the start are another encoder where the objective changed what is pooled.

    Args:
        manifest: Content of manifest.json.
    """
    return manifest.get("kept") == START.facts() and not manifest.get("pooling")


class Candidates:
    """Keeps the weights of a run's start and of its middle in files until its end.

    Which steps are kept follows from the schedule alone, so that a run that was killed and resumed
    has the same files. One encoder is in memory at a time, beside the one in training.

    Args:
        run: The run folder.
        channels: Names of the encoder's input channels.
    """

    def __init__(self, run: Run, channels: tuple[str, ...]) -> None:
        self._run, self._channels = run, channels
        self._folder = run.last.parent / "candidates"

    def passed(self, before: float, now: float) -> float | None:
        """Returns the share of the schedule at which a step is to be kept; None for most steps.

        Args:
            before: Share that was done before the step.
            now: Share that is done after it.
        """
        return next((share for share in _SAVED if before < share <= now < 1), None)

    def save(self, share: float, weights: State) -> None:
        """Writes the weights of a checkpoint."""
        self._run.save_weights(self._file(share), weights, self._channels)

    def has(self, share: float) -> bool:
        """Returns whether the weights of a checkpoint are kept."""
        return self._file(share).is_file()

    def load(self, share: float) -> dict[str, Tensor]:
        """Reads the weights of a checkpoint."""
        from safetensors.torch import load_file

        return load_file(self._file(share))

    def all(self, end: State) -> list[tuple[Candidate, Callable[[], State]]]:
        """Returns the candidates, the start first, each with what gives its weights.

        Args:
            end: Weights at the end of the training.
        """
        found: list[tuple[Candidate, Callable[[], State]]] = [
            (Candidate("checkpoint", share), partial(self.load, share))
            for share in _SAVED
            if self.has(share)
        ]
        found.append((END, lambda: end))
        for share in _MIXED:
            found.append((Candidate("interpolation", share), partial(self._mixed, end, share)))
        return found

    def _mixed(self, end: State, share: float) -> State:
        return interpolate(self.load(0.0), end, share)

    def remove(self) -> None:
        """Deletes the files."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _file(self, share: float) -> Path:
        return self._folder / f"{100 * share:.0f}.safetensors"


def interpolate(start: State, end: State, share: float) -> dict[str, Tensor]:
    """Mixes the weights of two encoders: (1 - share) start + share end.

    WiSE-FT (Wortsman et al. 2022, https://arxiv.org/abs/2109.01903), eq. 1. Running statistics of
    batch normalization are mixed as well; whole numbers, such as their counts, are those of the
    end.

    Args:
        start: State dict.
        end: State dict with the same keys.
        share: From 0 to 1.
    """
    return {
        key: torch.lerp(start[key].to(value), value, share) if value.is_floating_point() else value
        for key, value in end.items()
    }
