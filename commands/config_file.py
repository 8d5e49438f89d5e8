"""Settings of the file that --config names, below the flags of a command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from ..core.config import validate
from ..training.flags import FLAGS
from ..training.layers import expand, merge, read_toml
from ..training.settings import RunConfig

_ENCODER = ("encoder", "image_size")


def read_config(config: str | PathLike[str] | None) -> dict[str, Any]:
    """Reads the settings of a run from a TOML file; {} without a file.

    Raises:
        UsageError: If the file cannot be read, or has a wrong key or value.
    """
    if not config:
        return {}
    values = merge(read_toml(Path(config)))
    validate(RunConfig, {"domain": "", **values})
    return values


def below_flags(arguments: Mapping[str, Any], models: Iterable[Any] = ()) -> dict[str, Any]:
    """Completes the arguments of a command from the file that its argument `config` names.

    The file says which images: what has a flag fills it where it was not given, and the rest of
    "data" goes below `set`. Architecture and image size are taken too, unless weights come with
    theirs. Settings of the training have no influence.

    Args:
        arguments: All arguments of the command by name, `config` and `set` among them.
        models: The runs or weights that the command is about.

    Raises:
        UsageError: If the file cannot be read, or has a wrong key or value.
    """
    from ..nn.checkpoints import facts_beside  # torch takes seconds, and checks do without it

    values = read_config(arguments["config"])
    own = any(facts_beside(fspath(model)) for model in models)
    filled, data = dict(arguments), dict(values.get("data", {}))
    for name, (*section, key) in FLAGS.items():
        if name not in arguments or (own and name in _ENCODER):
            continue
        inner = values if not section else values.get(section[0], {})
        table = data if section == ["data"] else inner
        value = table.pop(key, None) if table is data else table.get(key)
        if arguments[name] in (None, "") or (name == "image_size" and not arguments[name]):
            filled[name] = arguments[name] if value is None else value
    filled["set"] = merge({"data": data}, expand(arguments["set"])) if data else arguments["set"]
    return filled
