"""Recipes: complete experiments of papers, each a TOML file that a plugin ships.

A recipe names the claim of a paper, the settings of its pre-training, the comparisons that test
the claim, and what the paper leaves unknown. Nothing here imports torch, so that listings are fast.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from ..core.config import Config, unknown_key, validate
from ..core.discovery import recipes
from ..core.errors import PluginError, UsageError
from .layers import expand, merge, read_toml

Table = dict[str, Any]
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_SMALL, _OWN = "small", ("runs", "comparisons")
_FIXED = {"seed": "--seed", "domain": "another recipe"}


class Paper(Config):
    """The publication that an experiment is of."""

    title: Annotated[str, Field(min_length=1, description="title of the paper")]
    authors: Annotated[str, Field(min_length=1, description="authors, separated by commas")]
    year: Annotated[int, Field(ge=1900, le=2100, description="year of the publication")]
    url: Annotated[str, Field(description="address of the paper; '' if there is none")] = ""


class Images(Config):
    """Which images an experiment is for."""

    paper: Annotated[str, Field(min_length=1, description="data sets of the paper, with splits")]
    here: Annotated[
        str, Field(min_length=1, description="data set and layout that the recipe expects here")
    ]


class Unknown(Config):
    """Something that the paper leaves open, or that differs here."""

    what: Annotated[str, Field(min_length=1, description="detail that the paper does not state")]
    choice: Annotated[str, Field(min_length=1, description="choice made here, and its reason")]


class Recommendation(Config):
    """One line of a guideline that an experiment is checked against."""

    text: Annotated[str, Field(min_length=1, description="what the guideline recommends")]
    check: Annotated[
        Literal[
            "",
            "strategies",
            "references",
            "natural-weights",
            "adaptation",
            "label-shares",
            "repeats",
            "metrics",
            "groups-apart",
            "record",
        ],
        Field(description="what the kit looks up in the results; '' if only a reader can tell"),
    ] = ""
    advice: Annotated[
        str, Field(min_length=1, description="how a reader checks it, or what to do to keep it")
    ]


class Pretext(Config):
    """How one sees that the pretext task was learned: a metric of the training, and a reference."""

    metric: Annotated[str, Field(description="name of a metric in metrics.jsonl, or loss")] = "loss"
    better: Annotated[
        Literal["higher", "lower"], Field(description="direction of better values of the metric")
    ] = "higher"
    reference: Annotated[
        float | str,
        Field(
            description="value of the reference: chance, persistence or the mean image; or the "
            "name of a metric of the same run, such as the accuracy of a constant guess"
        ),
    ]
    about: Annotated[str, Field(min_length=1, description="description of the reference")]
    learned: Annotated[
        float, Field(description="value that must be reached for the task to count as learned")
    ]
    measured_on: Annotated[
        Literal["training", "later"],
        Field(
            description="images that the metric is measured on: those of the last epoch, or those "
            "after data.until, which tell whether the task was learned beyond the training images"
        ),
    ] = "training"
    holds_for: Table = Field(
        default={}, description="settings of the run that the reference holds for"
    )

    @model_validator(mode="after")
    def _beyond_the_reference(self) -> Pretext:
        sign = 1 if self.better == "higher" else -1
        known = not isinstance(self.reference, str)
        if known and sign * self.learned <= sign * float(self.reference):
            raise ValueError("'learned' must be better than 'reference'")
        return self


class Pretraining(Config):
    """One pre-training of an experiment."""

    pretext: Annotated[Pretext, Field(description="measure of whether the task was learned")]
    settings: Table = Field(
        default={}, description="settings of this run, above those of the recipe"
    )
    each: Annotated[
        Literal["", "group"],
        Field(
            description="group makes a run for each labeled group, and comparisons within groups "
            "test each group with its own run; '' is one run for all"
        ),
    ] = ""


class Comparison(Config):
    """One comparison, as `ssl-kit compare` takes it."""

    about: Annotated[str, Field(min_length=1, description="question that the comparison answers")]
    runs: Annotated[
        tuple[str, ...], Field(description="names of the runs to compare; all if empty")
    ] = ()
    arms: Annotated[
        tuple[str, ...], Field(description="arms beside the runs, such as scratch and imagenet")
    ] = ()
    evaluation: Annotated[str, Field(description="name of the evaluation")] = "linear"
    budgets: Annotated[
        str, Field(coerce_numbers_to_str=True, description="label budgets, such as 10,50,all")
    ] = "10,50,all"
    seeds: Annotated[int, Field(ge=1, description="number of draws of labels and weights")] = 3
    options: Table = Field(default={}, description="options of the evaluations, a table for each")
    gradcam: Annotated[
        int,
        Field(
            ge=0,
            description="number of test images whose Grad-CAM is drawn: each run is fine-tuned "
            "once more, on all labels, with the options of the comparison",
        ),
    ] = 0

    @model_validator(mode="after")
    def _of_a_classifier(self) -> Comparison:
        if self.gradcam and self.evaluation != "finetune":
            raise ValueError("'gradcam' is that of a classifier; it needs evaluation = 'finetune'")
        return self


class Recipe(Config):
    """A complete experiment of a paper."""

    claim: Annotated[
        str, Field(min_length=1, description="claim of the paper, in one or two sentences")
    ]
    domain: Annotated[str, Field(description="domain of the images")]
    needs: Annotated[str, Field(min_length=1, description="requirements: images, labels, weights")]
    paper: Annotated[Paper, Field(description="publication that the experiment is of")]
    images: Annotated[Images, Field(description="images of the paper, and images here")]
    settings: Table = Field(
        default={}, description="settings of all runs, as 'ssl-kit train --config' takes them"
    )
    runs: Annotated[
        dict[str, Pretraining], Field(min_length=1, description="pre-trainings by their names")
    ]
    comparisons: Annotated[
        dict[str, Comparison], Field(min_length=1, description="comparisons by their names")
    ]
    unknown: Annotated[
        tuple[Unknown, ...], Field(description="details that the paper leaves open")
    ] = ()
    checklist: Annotated[
        tuple[Recommendation, ...], Field(description="a guideline to check the results against")
    ] = ()

    def settings_of(self, run: str, *further: Mapping[str, Any]) -> Table:
        """Returns the nested settings of a run.

        Args:
            run: Its name.
            further: Settings above those of the recipe.
        """
        own = self.runs[run].settings
        return merge({"domain": self.domain}, self.settings, own, *further)

    def runs_of(self, comparison: str) -> tuple[str, ...]:
        """Returns the names of the runs that a comparison compares."""
        return self.comparisons[comparison].runs or tuple(self.runs)


def file_of(name: str) -> Path:
    """Returns the file of a recipe: a registered one, or a TOML file itself.

    Raises:
        UsageError: If there is no recipe of that name.
        PluginError: If what is registered is no path.
    """
    if name.endswith(".toml"):
        return Path(name)
    value = recipes[name]
    if not isinstance(value, Path):
        raise PluginError(
            f"The recipe '{name}' is registered as {value!r}; register the path of its TOML file."
        )
    return value


def read_recipe(
    name: str, small: bool = False, settings: Mapping[str, Any] | None = None
) -> Recipe:
    """Reads and checks a recipe.

    Args:
        name: Registered name, or path of a TOML file.
        small: Whether the overrides in its table [small] hold: settings for two cores.
        settings: Further overrides, such as {"train.epochs": 5, "comparisons.few.seeds": 2}. Keys
            other than "runs" and "comparisons" are settings of every run.

    Raises:
        UsageError: At the first wrong key or value, with the nearest right one.
    """
    file = file_of(name)
    values = read_toml(file)
    overrides = values.pop(_SMALL, {})
    try:
        recipe = _checked(values)
        if small:
            values = merge(values, overrides)
            recipe = _checked(values)
    except UsageError as error:
        raise UsageError(f"In the recipe '{file.name}': {error}") from error
    return _checked(merge(values, _overrides(recipe, settings))) if settings else recipe


def _overrides(recipe: Recipe, settings: Mapping[str, Any] | None) -> Table:
    """Sorts what --set gives into runs, comparisons and settings of all runs."""
    given = expand(settings)
    for key, instead in _FIXED.items():
        if key in given:
            raise UsageError(f"A recipe does not take --set {key}; use {instead}.")
    own = {part: given.pop(part) for part in _OWN if part in given}
    for part, tables in own.items():
        for name in tables if isinstance(tables, Mapping) else ():
            known = getattr(recipe, part)
            if name not in known:
                raise unknown_key(f"{part}.{name}", name, known)
    return merge(own, {"settings": given})


def _checked(values: Mapping[str, Any]) -> Recipe:
    """Checks the tables one by one, so that a message names the key, and then the whole."""
    parts: dict[str, type[BaseModel]] = {
        "runs": Pretraining,
        "comparisons": Comparison,
        "unknown": Unknown,
        "checklist": Recommendation,
    }
    for part, model in parts.items():
        for name, table in _tables(values.get(part)):
            if not _NAME.fullmatch(name):
                raise UsageError(f"'{part}.{name}' is no name: use a-z, 0-9, '-' and '_'.")
            validate(model, table, f"{part}.{name}")
    recipe = validate(Recipe, values)
    for name, comparison in recipe.comparisons.items():
        for run in comparison.runs:
            if run not in recipe.runs:
                raise unknown_key(f"comparisons.{name}.runs: {run}", run, recipe.runs, "Runs are")
        if comparison.gradcam and any(recipe.runs[run].each for run in recipe.runs_of(name)):
            raise UsageError(f"comparisons.{name}.gradcam needs one run for all groups; give 0.")
    return recipe


def _tables(part: Any) -> list[tuple[str, Any]]:
    """Returns the tables of a part by their names; those of a list are numbered."""
    if isinstance(part, list):
        return [(str(number), table) for number, table in enumerate(part, start=1)]
    return list(part.items()) if isinstance(part, Mapping) else []
