"""The run folder: what a training leaves, written so that a crash at any moment loses nothing."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..core.atomic import write_atomic
from ..core.config import validate
from ..core.errors import RunError, UsageError, explain_write_errors
from .settings import RunConfig, read_toml


class Run:
    """The folder of one training. It can stand wherever a path to the folder can.

    Args:
        folder: With at least `config.toml`.

    Attributes:
        config: All settings.
        command: What started the run, for manifest.json: as it was typed, or as Python; "" keeps
            what is there.

    Raises:
        UsageError: If it is no run folder.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = folder = Path(folder)
        self.command = ""
        self.metrics = folder / "metrics.jsonl"
        self.skipped = folder / "skipped.jsonl"
        self.encoder = folder / "encoder.safetensors"
        self.last = folder / "checkpoints" / "last.pt"
        self.best = folder / "checkpoints" / "best.safetensors"
        self.config = self._read_config()

    def _read_config(self) -> RunConfig:
        if not (self.folder / "config.toml").is_file():
            raise UsageError(
                f"'{self.folder}' is no run: it has no config.toml. Give the folder of a run."
            )
        return validate(RunConfig, read_toml(self.folder / "config.toml"))

    def __fspath__(self) -> str:
        return str(self.folder)

    def __repr__(self) -> str:
        return f"Run('{self.folder}')"

    @property
    def verdict(self) -> str:
        """Last verdict of the collapse watch: OK, SUSPECT, DIMENSIONAL or COLLAPSED.

        Raises:
            RunError: If the training has not begun.
        """
        return str(self.read_json("manifest.json").get("verdict", ""))

    @classmethod
    def create(cls, folder: Path, config: RunConfig) -> Run:
        """Makes a new run folder.

        Raises:
            UsageError: If the folder holds a run already.
            RunError: If it cannot be written.
        """
        cls.refuse_existing(folder)
        write_atomic(folder / "config.toml", config.to_toml().encode())
        return cls(folder)

    @staticmethod
    def refuse_existing(folder: Path) -> None:
        """Raises UsageError if the folder holds a run already."""
        if (folder / "config.toml").exists():
            raise UsageError(
                f"'{folder}' holds a run already. Go on with 'ssl-kit train --resume {folder}', or "
                "choose another --out."
            )

    def write_json(self, name: str, values: Mapping[str, Any]) -> None:
        """Writes a JSON file of the run."""
        write_atomic(self.folder / name, (json.dumps(values, indent=2) + "\n").encode())

    def read_json(self, name: str) -> dict[str, Any]:
        """Reads a JSON file of the run.

        Raises:
            RunError: If it is not there yet.
        """
        try:
            values: dict[str, Any] = json.loads((self.folder / name).read_text())
        except (OSError, ValueError) as error:
            raise RunError(
                f"'{self.folder}' has no readable {name}: its training has not got far enough. "
                f"Go on with 'ssl-kit train --resume {self.folder}'."
            ) from error
        return values

    def append(self, path: Path, values: Mapping[str, Any]) -> None:
        """Appends one object as a line of JSON."""
        with explain_write_errors(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")

    def lines(self, path: Path) -> list[dict[str, Any]]:
        """Reads the objects that `append` wrote; a half-written last line is left out."""
        if not path.exists():
            return []
        whole = path.read_text(encoding="utf-8").split("\n")[:-1]
        return [json.loads(line) for line in whole if line]

    def truncate_metrics(self, step: int) -> None:
        """Drops what was logged after `step`, and half-written lines; they come anew."""
        if self.metrics.exists():
            kept = [json.dumps(v) + "\n" for v in self.lines(self.metrics) if v["step"] <= step]
            write_atomic(self.metrics, "".join(kept).encode())

    def save_weights(
        self, path: Path, state: Mapping[str, Tensor], channels: tuple[str, ...]
    ) -> None:
        """Writes an encoder as safetensors that plain timm loads, with its channel names."""
        from safetensors.torch import save

        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
        metadata = {"format": "pt", "channels": ",".join(channels)}
        write_atomic(path, _in_order(save(tensors, metadata)))

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Writes the state that the run goes on from."""
        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        write_atomic(self.last, buffer.getvalue())

    def load_checkpoint(self) -> dict[str, Any] | None:
        """Reads the last state, None if there is none yet.

        Raises:
            RunError: If the file is damaged.
        """
        if not self.last.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(self.last, map_location="cpu", weights_only=True)
        except Exception as error:
            raise RunError(
                f"The checkpoint '{self.last}' is damaged ({type(error).__name__}). Delete it to "
                "start this run anew."
            ) from error
        return state


def _in_order(weights: bytes) -> bytes:
    """Sorts the metadata, which safetensors shuffles: the same weights are the same bytes."""
    end = 8 + int.from_bytes(weights[:8], "little")
    header = json.loads(weights[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return weights[:8] + text.ljust(end - 8) + weights[end:]
