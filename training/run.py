"""The run folder: what a training leaves, written so that a crash at any moment loses nothing."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..core.atomic import write_atomic
from ..core.config import validate
from ..core.errors import RunError, UsageError, explain_write_errors
from ..nn.checkpoints import is_whole
from .layers import read_toml
from .settings import RunConfig

ENCODER = "encoder.json"
SEARCH = "settings.json"  # of a search, in whose folder are runs but which is none
_MEND = (
    "another version of ssl-kit wrote it, or it was changed. 'ssl-kit train --resume RUN' writes "
    "it anew if the checkpoint is there."
)


class Run:
    """The folder of one training. It can stand wherever a path to the folder can.

    Args:
        folder: With at least `config.toml`.

    Attributes:
        config: All settings.
        command: What started the run, for manifest.json: as it was typed, or as Python; "" keeps
            what is there.
        steps: Number of the last optimizer step that was taken through this object; 0 before.

    Raises:
        UsageError: If it is no run folder.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = folder = Path(folder)
        self.command, self.steps = "", 0
        self.metrics = folder / "metrics.jsonl"
        self.skipped = folder / "skipped.jsonl"
        self.schedule = folder / "schedule.jsonl"
        self.encoder = folder / "encoder.safetensors"
        self.last = folder / "checkpoints" / "last.pt"
        self.best = folder / "checkpoints" / "best.safetensors"
        self.end = folder / "checkpoints" / "end.safetensors"
        self.selection = folder / "selection.json"
        self.config = self._read_config()

    def _read_config(self) -> RunConfig:
        _refuse_search(self.folder)
        if self.folder.is_file():
            raise UsageError(
                f"'{self.folder}' is a file and no run. Give the folder of a run; 'ssl-kit train "
                f"--init {self.folder}' makes one that begins from these weights."
            )
        if not (self.folder / "config.toml").is_file():
            raise UsageError(
                f"'{self.folder}' is no run: it has no config.toml. Give the folder of a run."
            )
        try:
            return validate(RunConfig, read_toml(self.folder / "config.toml"))
        except UsageError as error:
            raise UsageError(f"In '{self.folder / 'config.toml'}': {error}") from error

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

    @property
    def has_ended(self) -> bool:
        """Whether the training has come to its end.

        Raises:
            RunError: If the training has not begun.
        """
        return "seconds" in self.read_json("manifest.json")

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

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Refuses to make a folder that vanished anew, and says how to go on after an error."""
        if not (self.folder / "config.toml").is_file():
            raise RunError(
                f"The folder of the run is gone: '{self.folder}' was deleted, renamed or "
                "unmounted. Restore it with its checkpoint and resume it, or start a new run."
            )
        try:
            yield
        except RunError as error:
            kept = self.kept()
            raise RunError(
                f"{error} {kept[0].upper()}{kept[1:]}; go on with 'ssl-kit train --resume "
                f"{self.folder}'."
            ) from error

    def kept(self) -> str:
        """Returns a clause on the last checkpoint, for messages."""
        if not self.last.is_file():
            return "there is no checkpoint yet"
        saved = time.strftime("%H:%M:%S", time.localtime(self.last.stat().st_mtime))
        return f"the last checkpoint is of {saved}"

    def require_encoder(self) -> None:
        """Raises RunError if no encoder has been written yet."""
        if not self.encoder.is_file():
            raise RunError(
                f"The run has no encoder yet; go on with 'ssl-kit train --resume {self.folder}'."
            )

    def write_json(self, name: str, values: Mapping[str, Any]) -> None:
        """Writes a JSON file of the run."""
        with self._writing():
            write_atomic(self.folder / name, (json.dumps(values, indent=2) + "\n").encode())

    def read_json(self, name: str) -> dict[str, Any]:
        """Reads a JSON file of the run.

        Raises:
            RunError: If it is not there yet.
        """
        file = self.folder / name
        try:
            text = file.read_text(encoding="utf-8")
            values = json.loads(text, object_hook=lambda facts: _Facts(file, facts))
        except (OSError, ValueError) as error:
            raise RunError(
                f"'{self.folder}' has no readable {name}: its training has not got far enough. "
                f"Go on with 'ssl-kit train --resume {self.folder}'."
            ) from error
        if not isinstance(values, _Facts) or (name == ENCODER and not is_whole(values)):
            raise RunError(f"'{file}' is damaged: {_MEND}")
        return values

    def append(self, path: Path, values: Mapping[str, Any]) -> None:
        """Appends one object as a line of JSON."""
        with self._writing(), explain_write_errors(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")

    def lines(self, path: Path) -> list[dict[str, Any]]:
        """Reads the objects that `append` wrote; a half-written last line is left out.

        Raises:
            RunError: If the file is damaged.
        """
        if not path.exists():
            return []
        try:
            whole = path.read_text(encoding="utf-8").split("\n")[:-1]
            values = [
                json.loads(line, object_hook=lambda facts: _Facts(path, facts))
                for line in whole
                if line
            ]
        except ValueError as error:
            raise RunError(f"'{path}' is damaged ({error}). Remove its damaged lines.") from error
        if not all(isinstance(value, _Facts) for value in values):
            raise RunError(f"'{path}' is damaged. Remove the lines that are no objects.")
        return values

    def repair_lines(self) -> None:
        """Drops half-written last lines, so that what is appended begins a line of its own."""
        for path in (self.metrics, self.skipped, self.schedule):
            content = path.read_bytes() if path.exists() else b""
            if not content.endswith(b"\n") and content:
                write_atomic(path, content[: content.rfind(b"\n") + 1])

    @property
    def last_step(self) -> int:
        """The last step that was logged; 0 if there is none."""
        return max((int(line["step"]) for line in self.lines(self.metrics)), default=0)

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
        with self._writing():
            write_atomic(path, _in_order(save(tensors, metadata)))

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Writes the state that the run goes on from."""
        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        with self._writing():
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


def _refuse_search(folder: Path) -> None:
    """Refuses the folder of a search for settings, which has the config.toml of its winner."""
    if not ((folder / SEARCH).is_file() and (folder / "trials").is_dir()):
        return
    what = f"'{folder}' is a search for settings by 'ssl-kit tune' and no run."
    if not (folder / "tune.json").is_file():
        raise UsageError(f"{what} It has not ended: go on with 'ssl-kit tune --resume {folder}'.")
    trained = sorted(folder.glob("trials/*/encoder.safetensors"))  # those of its final
    with suppress(OSError, ValueError, KeyError, TypeError):
        winner = json.loads((folder / "tune.json").read_text(encoding="utf-8"))["winner"]
        trained = [file for file in trained if file.parent.name.startswith(f"{winner:03d}-")]
    run = f", or give a run of its winner: '{trained[0].parent}'" if trained else ""
    raise UsageError(
        f"{what} Train with the settings that it found, 'ssl-kit train --config "
        f"{folder / 'config.toml'}'{run}."
    )


class _Facts(dict[str, Any]):
    """Values by name; one that is missing is an error with one line."""

    def __init__(self, file: Path, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self._file = file

    def __missing__(self, key: str) -> Any:
        raise RunError(f"'{self._file}' has no '{key}': {_MEND}")


def _in_order(weights: bytes) -> bytes:
    """Sorts the metadata, which safetensors shuffles: the same weights are the same bytes."""
    end = 8 + int.from_bytes(weights[:8], "little")
    header = json.loads(weights[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return weights[:8] + text.ljust(end - 8) + weights[end:]
