"""The rules that every recipe must keep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..core.config import validate
from ..core.discovery import datasets, domains
from ..core.domain import Domain
from ..data.standardize import Standardize, to_batch
from ..evaluation.comparing.arms import KINDS, evaluations_of
from ..evaluation.comparing.plan import parse_budgets
from ..evaluation.requests import choose
from ..training.recipe import Recipe, read_recipe
from ..training.settings import RunConfig
from ..training.setup import build, resolve
from .kit import explaining, require

_IMAGES = 8


def can_be_read(file: Path) -> None:
    """It is a TOML file with the keys of a recipe, also with its small settings."""
    for _ in _sizes(file):
        pass


def says_what_is_unknown(file: Path) -> None:
    """It names what the paper leaves open, and which choice was made and why."""
    recipe = read_recipe(str(file))
    require(bool(recipe.unknown), "there is no [[unknown]]; every paper leaves something open")


def has_small_settings(file: Path) -> None:
    """It has settings for two cores: a table [small] that changes something."""
    paper, small = _sizes(file)
    require(paper != small, "[small] is missing or changes nothing")


def names_what_exists(file: Path) -> None:
    """Its objectives, evaluations, arms, budgets and options exist."""
    for recipe in _sizes(file):
        for run in recipe.runs:
            with explaining(f"see runs.{run} and settings"):
                resolve(recipe.settings_of(run))
        for name, comparison in recipe.comparisons.items():
            with explaining(f"see comparisons.{name}"):
                choose(evaluations_of(comparison.evaluation), comparison.options)
                parse_budgets(comparison.budgets)
            odd = sorted(set(comparison.arms) - set(KINDS))
            require(not odd, f"comparisons.{name} has the arm {', '.join(odd)}; none is called so")


def small_runs_can_be_built(file: Path) -> str:
    """Its small runs can be built on the demo of the domain, and record the pretext metric."""
    recipe, remarks = read_recipe(str(file), small=True), []
    for run in recipe.runs:
        config = _on_demo(recipe, run)
        if config.encoder.init != "scratch":
            remarks.append(f"{run} starts from weights, and was built from random ones")
            encoder = config.encoder.model_copy(update={"init": "scratch"})
            config = config.model_copy(update={"encoder": encoder})
        with explaining(f"see runs.{run} and settings"):
            recorded = {"loss", *_metrics(config)}
        pretext = recipe.runs[run].pretext
        for metric in (pretext.metric, pretext.reference):
            known = not isinstance(metric, str) or metric in recorded
            require(known, f"runs.{run} records {sorted(recorded)} and no '{metric}'")
    return "; ".join(remarks)


def _sizes(file: Path) -> Iterator[Recipe]:
    """Yields the recipe of the paper and the small one."""
    yield read_recipe(str(file))
    yield read_recipe(str(file), small=True)


def _on_demo(recipe: Recipe, run: str) -> RunConfig:
    """Returns the settings of a run on the demo of its domain, with other options and classes."""
    config = resolve(recipe.settings_of(run))
    domain: Domain = domains[config.domain]
    known = datasets[domain.demo].Config.model_fields
    options = {key: value for key, value in config.data.options.items() if key in known}
    values: dict[str, Any] = {**config.data.model_dump(), "path": "", "labels": ""}
    data = {**values, "reader": "", "layout": "", "classes": (), "until": 1, "options": options}
    return validate(RunConfig, {**config.model_dump(), "data": data})


def _metrics(config: RunConfig) -> set[str]:
    """Returns the names of the metrics of the objective on a few images."""
    setup = build(config)
    raw = setup.view_dataset(setup.views, config.data.pair_by)[0, setup.pool[:_IMAGES]]
    standardize = Standardize(setup.statistics.mean, setup.statistics.std, "cpu")
    batch = to_batch(raw, setup.dataset, standardize)
    phases = range(setup.objective.phases)
    return {name for phase in phases for name in setup.objective(batch, phase).metrics}


RULES = (
    can_be_read,
    says_what_is_unknown,
    has_small_settings,
    names_what_exists,
    small_runs_can_be_built,
)
