"""Configuration: defaults < objective < domain < --config < flags < --set, strictly checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import UsageError, did_you_mean

C = TypeVar("C", bound=BaseModel)


class Config(BaseModel):
    """Base of every configuration: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def validate(
    model: type[C], values: Mapping[str, Any], where: str = "", lead: str = "Known here"
) -> C:
    """Checks `values` against a model.

    Args:
        model: The pydantic model.
        values: Nested plain values.
        where: Dotted prefix of the keys, for the message.
        lead: Words before the list of known keys, for the message.

    Raises:
        UsageError: At the first wrong key or value, with the nearest right one.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        *parents, key = [str(part) for part in first["loc"]] or ["configuration"]
        name = ".".join([*filter(None, [where]), *parents, key])
        if first["type"] == "extra_forbidden":
            raise unknown_key(name, key, _keys(model, parents), lead) from error
        raise UsageError(
            f"Wrong value for '{name}': {first['msg'].removeprefix('Value error, ')}, "
            f"not {first['input']!r}."
            if first["type"] != "missing"
            else f"The key '{name}' is required."
        ) from error


def unknown_key(name: str, key: str, known: Iterable[str], lead: str = "Known here") -> UsageError:
    """Returns the error about an unknown key, with the nearest right one.

    Args:
        name: The key with its dotted prefix.
        key: The key alone.
        known: The keys that there are.
        lead: Words before the list of them.
    """
    keys = sorted(known)
    parts = [f"Unknown key '{name}'.", did_you_mean(key, keys)]
    return UsageError(" ".join([*filter(None, parts), f"{lead}: {', '.join(keys) or 'none'}."]))


def _keys(model: type[BaseModel], parents: Iterable[str]) -> list[str]:
    for parent in parents:
        model = model.model_fields[parent].annotation  # type: ignore[assignment]
    return list(model.model_fields)
