"""The flags of the command line: each sets a field of `RunConfig`, which has its type and text.

A help page needs the fields and nothing of pydantic, whose import takes as long as all the rest.
So they are read from the source of the settings; a test compares them with `RunConfig`.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FLAGS: Mapping[str, tuple[str, ...]] = {
    "domain": ("domain",),
    "data": ("data", "path"),
    "labels": ("data", "labels"),
    "layout": ("data", "layout"),
    "objective": ("objective",),
    "encoder": ("encoder", "name"),
    "init": ("encoder", "init"),
    "image_size": ("encoder", "image_size"),
    "epochs": ("train", "epochs"),
    "max_time": ("train", "max_time"),
    "batch_size": ("train", "batch_size"),
    "seed": ("seed",),
    "workers": ("train", "workers"),
    "precision": ("train", "precision"),
    "pair_by": ("data", "pair_by"),
    "holdout": ("data", "holdout"),
    "max_skip": ("data", "max_skip"),
    "on_collapse": ("train", "on_collapse"),
}
"""Keys of the field that each flag sets, in the order of the help page."""


_SECTIONS = {
    "data": "DataConfig",
    "encoder": "EncoderConfig",
    "train": "TrainConfig",
    "": "RunConfig",
}
_NUMBERS = {"int": int, "float": float, "Epochs": float}
_SOURCES = ("training/settings.py", "data/opening.py")


@dataclass(frozen=True)
class Flag:
    """What the command line says of a field.

    Attributes:
        kind: int, float or str. A duration is a text here.
        choices: What a text may be; () for anything.
        least: Smallest whole number, None for no limit.
        text: The description, as a sentence.
        default: As it is written, "" if there is none.
    """

    kind: type
    choices: tuple[str, ...]
    least: int | None
    text: str
    default: str

    @classmethod
    def of(cls, name: str) -> Flag:
        """Describes the flag of that name in `FLAGS`."""
        *section, key = FLAGS[name]
        annotation, default = _fields()[_SECTIONS["".join(section)], key]
        kind, facts = annotation.slice.elts
        written = ast.unparse(kind)
        bounds = {word.arg: ast.literal_eval(word.value) for word in facts.keywords}
        whole, text = written.startswith("int"), bounds["description"]
        return cls(
            _NUMBERS.get(written.split()[0], str),
            ast.literal_eval(kind.slice) if written.startswith("Literal") else (),
            bounds.get("ge") if whole else None,
            f"{text[:1].upper()}{text[1:]}.",
            _text(default),
        )


@cache
def _fields() -> Mapping[tuple[str, str], tuple[Any, ast.expr | None]]:
    """Returns annotation and default of each field, by class and name."""
    root = Path(__file__).parents[1]
    return {
        (model.name, node.target.id): (node.annotation, node.value)
        for source in _SOURCES
        for model in ast.parse((root / source).read_text(encoding="utf-8")).body
        if isinstance(model, ast.ClassDef)
        for node in model.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def _text(default: ast.expr | None) -> str:
    """Writes a default; that of an objective is its name."""
    if isinstance(default, ast.Call):
        default = default.keywords[0].value
    value = None if default is None else ast.literal_eval(default)
    return "" if value is None else str(value)
