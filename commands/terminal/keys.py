"""Refuses wrong keys of --set before torch is imported, which takes seconds.

Names of options are read from the source of plugins; where that is not enough, the command finds
the mistake itself, later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...core.config import unknown_key, validate
from ...core.discovery import datasets, domains, evaluations, objectives
from ...core.registry import Registry
from ...data.named import parse_name
from ...data.opening import DataConfig
from ...training.flags import FLAGS
from ...training.layers import from_flags, lead_of_objective, merge, read_toml, refuse_strays
from ...training.settings import RunConfig
from ..config_file import read_config
from ..listings import facts

Options = Mapping[str, Any]


def check_run(options: Options) -> None:
    """Checks the settings of `ssl-kit train`.

    Raises:
        UsageError: At the first wrong name, key or value.
    """
    if options.get("resume"):
        return
    layers = [read_toml(options["config"])] if options.get("config") else []
    flags = {name: options[name] for name in FLAGS if name in options}
    asked = merge(*layers, from_flags(flags), options.get("set") or {})
    domain = asked.get("domain")
    if not isinstance(domain, str):  # the command asks for it
        return
    own = facts.read(domains.entry(domain))
    ours = {"objective": RunConfig.model_fields["objective"].default.model_dump()}
    below = own.get("defaults", {})
    encoder = merge(below, asked).get("encoder", {})
    if isinstance(encoder, Mapping) and encoder.get("init", "scratch") != "scratch":
        below = merge(below, own.get("pretrained_defaults", {}))
    config = validate(RunConfig, merge(ours, below, asked))
    name, options = config.objective.name, config.objective.options
    _check(objectives, name, "objective", options, lead=lead_of_objective(name, domain, asked))
    _check_reader(config.data, own.get("datasets", ()))


def check_images(options: Options) -> None:
    """Checks the settings of commands that only open images: keys below "data".

    Raises:
        UsageError: At the first wrong name, key or value.
    """
    given, file = options.get("set") or {}, read_config(options.get("config"))
    for key in given:
        if key != "data":
            raise unknown_key(key, key, ["data"])
    images = {"path": str(options["data"])} if options.get("data") else {}
    below = {"data": {**file.get("data", {}), **images}}
    config = validate(DataConfig, merge(below, given).get("data", {}), "data")
    domain = options.get("domain") or file.get("domain")
    if domain:
        own = facts.read(domains.entry(domain))
        _check_reader(config, own.get("datasets", ()))


def check_evaluations(options: Options) -> None:
    """Checks the settings of evaluations, and of their images.

    Raises:
        UsageError: At the first wrong name, key or value.
    """
    given = dict(options.get("set") or {})
    check_images({**options, "set": {"data": given.pop("data", {})}})
    names = (options.get("evaluation") or "knn,linear").split(",")
    refuse_strays(given, names)
    for name in names:
        if isinstance(given.get(name), Mapping):
            _check(evaluations, name, name, given[name])


def check_finetuning(options: Options) -> None:
    """Checks the settings of `ssl-kit finetune`: those of the evaluation, and "data".

    Raises:
        UsageError: At the first wrong name, key or value.
    """
    given = dict(options.get("set") or {})
    images = {"data": given.pop("data", {})}
    settings = {"finetune": given, **images}
    check_evaluations({**options, "evaluation": "finetune", "set": settings})


def check_comparison(options: Options) -> None:
    """Checks the settings of `ssl-kit compare`, which fine-tunes as well.

    Raises:
        UsageError: At the first wrong name, key or value.
    """
    asked = options["evaluation"]
    further = "linear" if asked == "finetune" else "finetune"  # as `evaluations_of` has it
    check_evaluations({**options, "evaluation": f"{asked},{further}"})


def _check(
    registry: Registry,
    name: str,
    where: str,
    given: Any,
    besides: Iterable[str] = (),
    lead: str = "",
) -> None:
    """Checks the options of a plugin, and tables of options of other plugins in them.

    Args:
        registry: Where the plugin is looked up.
        name: Of the plugin.
        where: Dotted prefix of the options, for the message.
        given: The options; the command refuses what is no table of them.
        besides: Keys that are no options of the plugin, and right nevertheless.
        lead: Words before the known keys, for the message; they name the plugin if empty.
    """
    known = facts.read(registry.entry(name)).get("options")
    if known is None or not isinstance(given, Mapping):
        return
    for key, value in given.items():
        if key in besides:
            continue
        if key not in known:
            lead = lead or f"The {registry.kind} {name} has"
            raise unknown_key(f"{where}.{key}", key, [*known, *besides], lead)
        inner, of = f"{where}.{key}", known[key].get("options_of")
        if of == "objectives" and isinstance(value, Mapping):
            for part, options in value.items():
                _check(objectives, part, f"{inner}.{part}", options, known[key]["besides"])
        elif of == "evaluation":
            _check(evaluations, given.get(of, known[of]["default"]), inner, value)


def _check_reader(config: DataConfig, readers: Iterable[str]) -> None:
    """Checks options of the dataset, which may be any that the domain opens."""
    in_path = config.path if config.path in datasets else parse_name(config.path)[0]
    named = config.reader or in_path
    known: set[str] = set()
    for name in [named] if named else readers:
        options = facts.read(datasets.entry(name)).get("options")
        if options is None:
            return
        known |= set(options)
    for key in config.options:
        if known and key not in known:
            lead = f"The reader {named} has" if named else f"The readers {', '.join(readers)} have"
            raise unknown_key(f"data.options.{key}", key, known, lead)
