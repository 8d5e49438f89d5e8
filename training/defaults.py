"""Defaults of the kit, the domain and the objective, and which of them a run takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.discovery import domains, objectives
from ..core.domain import Domain
from ..core.objective import Objective
from ..nn.checkpoints import facts_beside
from .layers import flatten, merge
from .settings import OptimizerConfig, RunConfig

_PAGE = "docs/defaults.md"
_SECTIONS = ("objective.", "optimizer.", "encoder.")
_ALWAYS = ("objective.name", "optimizer.lr", "encoder.image_size")
_WORDS = {
    "objective.name": "objective {}",
    "optimizer.lr": "learning rate {:g} for 256 images per step",
    "encoder.image_size": "image size {} px",
}
_SLOWER = 4  # from pre-trained weights; docs/defaults.md

Layers = dict[str, Mapping[str, Any]]


def objective_defaults(objective: type[Objective], name: str, init: str) -> Layers:
    """Returns the settings of an objective and of the kit, by where they come from.

    An encoder that starts from weights has a lower learning rate and keeps the statistics of batch
    normalization.

    Args:
        objective: The class.
        name: Of the objective.
        init: Initial weights; "scratch" for random ones.
    """
    layers: Layers = {f"objective {name}": objective.defaults}
    if init != "scratch":
        usual = OptimizerConfig.model_fields["lr"].default
        lr = objective.defaults.get("optimizer", {}).get("lr", usual) / _SLOWER
        layers["ssl-kit for pre-trained weights"] = {
            "encoder": {"frozen_statistics": True},
            "optimizer": {"lr": lr},
        }
    return layers


def domain_defaults(domain: Domain, asked: Mapping[str, Any]) -> Layers:
    """Returns the settings of a domain that a run stands on, by where they come from.

    A run that starts from a run or an export takes its architecture and image size as well.

    Args:
        domain: Of the images.
        asked: What the user has set, nested.
    """
    layers: Layers = {f"domain {domain.name}": domain.defaults}
    encoder = merge(domain.defaults, asked).get("encoder", {})
    init = encoder.get("init", "scratch") if isinstance(encoder, Mapping) else "scratch"
    if init != "scratch":
        layers[f"domain {domain.name} for pre-trained weights"] = domain.pretrained_defaults
    if facts := facts_beside(init) if isinstance(init, str) else {}:
        known = {"name": facts.get("architecture"), "image_size": facts.get("image_size")}
        layers[f"the weights '{init}'"] = {"encoder": known}
    return layers


def explain_defaults(asked: Mapping[str, Any], config: RunConfig) -> str:
    """Returns a sentence on the defaults that a run takes, "" if the user has set all.

    It names objective, learning rate and image size, and what else the domain, or the start from
    weights, sets of objective, optimizer and encoder, each with where it comes from.

    Args:
        asked: What the user has set, nested.
        config: What was resolved from it.
    """
    given, taken, name = flatten(merge(asked)), flatten(config.model_dump()), config.objective.name
    own, *gentle = objective_defaults(objectives[name], name, config.encoder.init).items()
    origins = dict.fromkeys(_ALWAYS, "ssl-kit")
    for origin, settings in (own, *gentle, *domain_defaults(domains[config.domain], asked).items()):
        flat = flatten(merge(settings))  # of an objective not chosen: no effect
        wanted = _ALWAYS if origin == own[0] else _SECTIONS
        chosen = [key for key in flat if key.startswith(wanted) and taken.get(key) == flat[key]]
        origins |= dict.fromkeys(chosen, origin)
    parts: dict[str, list[str]] = {}
    for key, origin in origins.items():
        if key not in given:
            parts.setdefault(origin, []).append(_WORDS.get(key, f"{key}={{}}").format(taken[key]))
    texts = [
        f"{', '.join(p)}: default{'s'[: len(p) - 1]} of {origin}" for origin, p in parts.items()
    ]
    if not texts:
        return ""
    sentence = "; ".join(texts)
    word = sentence.split()[0]
    first = word if "." in word else word.capitalize()  # a key has no capital
    return f"{first}{sentence[len(word) :]} ({_PAGE})."
