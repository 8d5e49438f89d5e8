"""The flags of the command line: each sets a field of `RunConfig`, which has its type and text."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Annotated, Any, Literal, get_args, get_origin

from .settings import Named, RunConfig, merge, nest

FLAGS: Mapping[str, tuple[str, ...]] = {
    "domain": ("domain",),
    "data": ("data", "path"),
    "labels": ("data", "labels"),
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
        *sections, key = FLAGS[name]
        model = reduce(lambda model, part: model.model_fields[part].annotation, sections, RunConfig)  # type: ignore[arg-type, return-value]
        field = model.model_fields[key]
        kinds = [kind for kind in _alternatives(field.annotation) if kind is not type(None)]
        kind = kinds[0] if kinds[0] in (int, float) else str
        least = (
            [bound.ge for bound in field.metadata if hasattr(bound, "ge")] if kind is int else []
        )
        default = None if field.is_required() else field.default
        default = default.name if isinstance(default, Named) else default
        text = field.description or ""
        return cls(
            kind,
            get_args(field.annotation) if get_origin(field.annotation) is Literal else (),
            next(iter(least), None),
            f"{text[:1].upper()}{text[1:]}.",
            "" if default is None else str(default),
        )


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """Returns the members of a union; what is no union stands for itself."""
    if get_origin(annotation) in (Annotated, Literal, dict):
        return (annotation,)
    return get_args(annotation) or (annotation,)


def from_flags(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Turns the flags that were given into nested settings; None was not given.

    Args:
        flags: By their names in `FLAGS`. A path, or a run, counts as its text.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    return merge(*(nest(FLAGS[name], _plain(value)) for name, value in given.items()))


def _plain(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value
