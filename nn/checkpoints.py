"""Checkpoint files of other programs: reads them safely and finds the encoder's weights in them."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy._core import multiarray as _numpy
from torch import Tensor

from ..core.errors import RunError
from .transformers_names import in_timm_names

State = dict[str, Tensor]

_HARMLESS_CLASSES: tuple[Any, ...] = (
    *(argparse.Namespace, SimpleNamespace, datetime, timedelta),
    *((PurePosixPath, "pathlib.PosixPath"), (PureWindowsPath, "pathlib.WindowsPath")),
    *(np.ndarray, np.dtype, _numpy.scalar, _numpy._reconstruct),
    *(type(np.dtype(code)) for code in "?bBhHiIqQefdU"),
)
"""Classes that may stand beside weights; they hold plain values and run no code when loaded."""

_PREFERRED = re.compile(r"ema\b|teacher|_ema")
_SECOND_CHOICE = re.compile(r"momentum|target|encoder_k|student")


class Unwrapped(NamedTuple):
    """The weights that were found in a checkpoint.

    Attributes:
        state: State dict under the encoder's names.
        notes: What was unwrapped, one phrase each; empty for a plain state dict.
    """

    state: State
    notes: tuple[str, ...]


def read_checkpoint(path: Path) -> tuple[Mapping[str, Any], str]:
    """Reads a safetensors or torch file, never unpickling arbitrary objects.

    Returns:
        What the file holds, and the names of the input channels if the file tells them, as
        "red,green,blue", else "".

    Raises:
        RunError: If the file cannot be read without running code from it.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, framework="pt") as file:
                state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                return state, (file.metadata() or {}).get("channels", "")
        with torch.serialization.safe_globals(list(_HARMLESS_CLASSES)):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = re.search(r"Unsupported [^\n]*?(?:GLOBAL|class|operand) ([\w.]*\w)", str(error))
        raise RunError(
            f"'{path}' is no readable weights file ({type(error).__name__}"
            f"{f', it holds an object of {reason[1]}' if reason else ''}); "
            "give a .safetensors file or a torch state dict without pickled objects."
        ) from error
    if not isinstance(content, Mapping):
        raise RunError(
            f"'{path}' holds a {type(content).__name__}, not a state dict; save the encoder with "
            "torch.save(model.state_dict(), FILE)."
        )
    return content, ""


def unwrap(
    content: Mapping[str, Any], names: Collection[str], convert: Callable[[State], State]
) -> Unwrapped:
    """Finds the encoder's weights in a checkpoint, below any key and behind any prefix.

    Every state dict in the checkpoint is tried with every prefix of its keys; the one in which
    most of the encoder's names occur is taken. Where several fit equally well, such as a student
    and a teacher, the teacher or moving average is taken.

    Args:
        content: Of the file, mappings nested to any depth.
        names: Of the encoder's weights.
        convert: Renames the weights of another layout of the architecture.
    """
    candidates = [
        (path, prefix, count, state)
        for path, state in _state_dicts(content)
        for prefix, count in _prefixes(state, names, convert)
    ]
    if not candidates:
        return Unwrapped({}, ())
    best = max(count for _, _, count, _ in candidates)
    fitting = [one for one in candidates if one[2] == best]
    path, prefix, _, state = min(fitting, key=lambda one: _rank((*one[0], one[1])))
    notes = [f"unwrapped '{'.'.join(path)}'"] if path else []
    if prefix:
        notes.append(f"prefix '{prefix}' removed")
    if len(fitting) > 1:
        others = [
            ".".join((*p, q)).strip(".") for p, q, _, s in fitting if (p, q) != (path, prefix)
        ]
        notes.append(f"'{others[0]}' would fit as well")
    kept = {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
    if len(kept) < len(state):
        notes.append(f"{len(state) - len(kept)} tensors of other parts left out")
    return Unwrapped(kept, tuple(notes))


def _rank(path: tuple[str, ...]) -> int:
    text = ".".join(path)
    if _PREFERRED.search(text):
        return 0
    return 2 if _SECOND_CHOICE.search(text) else 1


def _state_dicts(
    content: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], State]]:
    """Yields every mapping that holds tensors, with the keys that lead to it."""
    state = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    for layout in _layouts(state) if state else ():
        yield path, layout
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _state_dicts(value, (*path, str(key)))


def _prefixes(
    state: State, names: Collection[str], convert: Callable[[State], State]
) -> list[tuple[str, int]]:
    """Returns prefixes of keys, and how many of the encoder's names occur behind each."""
    counts: Counter[str] = Counter()
    for key in state:
        parts = key.split(".")
        for start in range(len(parts)):
            if ".".join(parts[start:]) in names:
                counts[".".join([*parts[:start], ""]) if start else ""] += 1
    direct = max(counts.values(), default=0)
    if direct < 0.5 * len(names):  # the architecture's library may know the layout
        count = sum(key in names for key in converted(state, convert))
        if count > direct:
            return [("", count)]
    return list(counts.items())


def converted(state: State, convert: Callable[[State], State]) -> State:
    """Returns the state dict fitted by `convert`, or as it is where that fails on its shapes."""
    try:
        return convert(dict(state))
    except (KeyError, RuntimeError, AttributeError, ValueError, IndexError, TypeError):
        return state  # weights of another layout or architecture: the comparison names them


def _layouts(state: State) -> Iterator[State]:
    """Yields a state dict as it is, and under timm's names where it has those of another layout.

    Known are DINOv2's blocks in chunks, `blocks.CHUNK.NUMBER`, and Hugging Face's transformers.
    """
    yield state
    if any(re.search(r"blocks\.\d+\.\d+\.", key) for key in state):
        yield {re.sub(r"blocks\.\d+\.(\d+)\.", r"blocks.\1.", k): v for k, v in state.items()}
    named = in_timm_names(state)
    if named:
        yield named


def folders_of(init: str) -> list[Path]:
    """Returns the folders in which initial weights, and what is said of them, may lie.

    Args:
        init: As in `facts_beside`.
    """
    path = Path(init)
    if init in ("", "scratch", "imagenet") or not path.exists():  # "" would be "."
        return []
    folder = path if path.is_dir() else path.parent
    return [folder, *([folder.parent] if folder.name == "checkpoints" else [])]


def weights_file(init: str, name_of_run_weights: str = "encoder.safetensors") -> Path:
    """Returns the file that initial weights are read from: in a folder that of a run or classifier.

    Args:
        init: A folder or a weights file; it need not exist.
        name_of_run_weights: The file looked for first in a folder.
    """
    path = Path(init)
    if not path.is_dir():
        return path
    names = (name_of_run_weights, "model.safetensors")
    return next((path / name for name in names if (path / name).is_file()), path)


def digest_of_weights(init: str) -> str:
    """Returns the SHA-256 of the file of initial weights; "" if they are in no file.

    Args:
        init: "scratch", "imagenet", a folder or a weights file.
    """
    file = weights_file(init)
    if init in ("", "scratch", "imagenet") or not file.is_file():
        return ""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def facts_beside(init: str) -> dict[str, Any]:
    """Returns what a run or an export says of its encoder; {} if nothing lies beside the weights.

    It is the encoder.json of a run, of a classifier or of an export, or the config.json of an
    export to timm under the same keys.

    Args:
        init: A folder, or a weights file in it or in its folder `checkpoints`.

    Raises:
        RunError: If the file is damaged.
    """
    names = ("encoder.json", "config.json")
    files = [folder / name for folder in folders_of(init) for name in names]
    return next(filter(None, (_facts(file) for file in files if file.is_file())), {})


_DAMAGED = "'{}' is damaged. Restore it, or move the weights to another folder."


def _facts(file: Path) -> dict[str, Any]:
    """Reads what one file says of an encoder; {} if another program wrote it."""
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(_DAMAGED.format(file)) from error
    if not isinstance(facts, dict) or "channels" not in facts:
        return {}
    timm = facts.get("pretrained_cfg")
    if timm:
        size = timm["input_size"][-1]
        facts |= {"mean": timm["mean"], "std": timm["std"], "image_size": size}
    if not is_whole(facts):
        raise RunError(_DAMAGED.format(file))
    return facts


def is_whole(facts: Mapping[str, Any]) -> bool:
    """Tells whether the values of encoder.json have the shapes that fit its channels."""
    try:
        count = len(facts["channels"])
        shapes = [np.shape(np.asarray(facts[name], float)) for name in ("mean", "std")]
        ends = np.shape(np.asarray(facts["value_range"], float))
        named = isinstance(facts["architecture"], str) and isinstance(facts["image_size"], int)
        return named and shapes == [(count,), (count,)] and ends == (count, 2)
    except (TypeError, ValueError, KeyError):
        return False


def options_beside(init: str, name: str) -> dict[str, Any]:
    """Returns the arguments that the encoder of initial weights was built with.

    They say, for example, what it pools, and an encoder that continues from it needs them too.

    Args:
        init: A run folder or a weights file; there are none beside anything else.
        name: Name of the encoder to be built; {} if the weights are of another one.
    """
    facts = facts_beside(init)
    same = facts.get("architecture") in (name, name.partition("/")[2])
    return dict(facts.get("options", {})) if same else {}


def listed(options: Mapping[str, Any]) -> str:
    """Lists arguments as in a call."""
    return ", ".join(f"{key}={value!r}" for key, value in options.items())
