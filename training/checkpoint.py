"""Saves what an exact resume needs, and restores it."""

from __future__ import annotations

import time
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from ..core.errors import RunError
from ..core.objective import Objective
from .run import Run

_FIRST = 60.0  # seconds, so that a run that is interrupted early can go on


class HasState(Protocol):
    """An object whose state can be saved and restored."""

    def state_dict(self) -> dict[str, Any]:
        """Returns the state as plain values and tensors."""

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Restores the state."""


class Checkpoint:
    """The checkpoint of a run: weights, optimizer, records and random states.

    Args:
        run: The run folder.
        accelerator: Tells the processes apart, each of which has a random state.
        objective: Its weights and buffers are saved.
        parts: What else has a state, by name.
    """

    def __init__(
        self, run: Run, accelerator: Accelerator, objective: Objective, **parts: HasState
    ) -> None:
        self._run, self._accelerator = run, accelerator
        self._objective, self._parts = objective, parts
        if accelerator.scaler is not None:  # of fp16
            self._parts["scaler"] = accelerator.scaler

    def is_due(self, saved_at: float, every: float) -> bool:
        """Tells whether to save now; the first checkpoint comes after a minute at the latest.

        Args:
            saved_at: Time of the last checkpoint or of the start, in seconds of a monotonic clock.
            every: Seconds between two checkpoints.
        """
        limit = every if self._run.last.is_file() else min(every, _FIRST)
        return time.monotonic() - saved_at > limit

    def save(self, **progress: Any) -> None:
        """Writes the checkpoint; all processes must call it.

        Args:
            progress: Plain values that tell how far the training is.
        """
        cuda = [torch.cuda.get_rng_state()] if torch.cuda.is_available() else []
        state = {"cpu": torch.get_rng_state(), "cuda": cuda}
        states = gather_object([state])
        if self._accelerator.is_main_process:
            parts = {name: part.state_dict() for name, part in self._parts.items()}
            weights = self._objective.state_dict()
            self._run.save_checkpoint({"objective": weights, **parts, "rng": states, **progress})

    def load(self) -> dict[str, Any] | None:
        """Restores the last checkpoint.

        Returns:
            The values that `save` was given, among others; None if there is no checkpoint.

        Raises:
            RunError: If the checkpoint does not fit the configuration.
        """
        state = self._run.load_checkpoint()
        if state is None:
            return None
        try:
            self._objective.load_state_dict(state["objective"])
            for name, part in self._parts.items():
                part.load_state_dict(state[name])
        except (RuntimeError, KeyError, ValueError, TypeError) as error:
            raise RunError(
                f"The checkpoint '{self._run.last}' is of another encoder, objective or optimizer "
                "than config.toml says. Restore config.toml, or delete the checkpoint to start "
                "anew."
            ) from error
        index = self._accelerator.process_index
        if index < len(state["rng"]):  # further processes keep the state of their seed
            torch.set_rng_state(state["rng"][index]["cpu"])
            if state["rng"][index]["cuda"] and torch.cuda.is_available():
                torch.cuda.set_rng_state(state["rng"][index]["cuda"][0])
        return state
