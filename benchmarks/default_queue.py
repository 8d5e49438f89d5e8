"""The trainings of benchmarks/defaults.py, the most urgent first."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from default_runs import JUDGED_AT
from default_sets import SETS

from ssl_kit.nn import objectives

ENCODER, BATCH = "tf_efficientnet_lite0", 128
ENCODERS = {"scratch": "resnet18", "imagenet": ENCODER}
IMAGES_A_MINUTE = {"tf_efficientnet_lite0": 8_000, "resnet18": 16_000}
MINUTES = {"1 minute": 1, "5 minutes": 5, "30 minutes": 30}
LR = 2e-3  # the kit's default; an objective may have another one
SCREENED = (
    ("simclr", 1), ("simclr", 4), ("descriptors", 1), ("byol", 1), ("vicreg", 1), ("tico", 1),
    ("simclr", 16), ("densecl", 1), ("barlow_twins", 1), ("dino", 1), ("moco_v3", 1),
    ("descriptors", 4), ("byol", 4), ("vicreg", 4), ("tico", 4), ("descriptors", 16),
    ("densecl", 4), ("barlow_twins", 4), ("dino", 4), ("moco_v3", 4), ("byol", 16),
)  # fmt: skip
FIXED = ("tico", "vicreg", "moco_v3", "barlow_twins", "densecl", "dino", "byol")
"""Objectives beside SimCLR that are also trained with fixed statistics of batch normalization."""
DOUBTFUL = ("descriptors", "context_encoder", "data2vec", "colorization")
"""Objectives that hurt on sets of benchmarks/objectives.py, and the sets on which it is asked
whether view retrieval tells this elsewhere too."""
ELSEWHERE = ("aid15", "chest_xray", "bonn_eeg", "sar_aircraft3", "knee_oa")
GENTLE: tuple[Mapping[str, Any], ...] = (
    {"optimizer.layer_decay": 0.75},
    {"optimizer.anchor": 30.0},
    {"encoder.frozen_layers": 8},
    {"encoder.frozen_statistics": True},
)


@dataclass(frozen=True)
class Cell:
    """One training.

    Attributes:
        set: Name of the data set.
        start: "imagenet" or "scratch".
        length: Of `MINUTES`.
        settings: Beside the defaults from random weights; "objective" is always among them.
        encoder: Architecture.
        seed: Of all random numbers.
    """

    set: str
    start: str
    length: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    encoder: str = ENCODER
    seed: int = 0

    @property
    def key(self) -> str:
        """What tells the cell from others, as text."""
        return json.dumps(vars(self), sort_keys=True)


def at_rate(objective: str, divisor: int) -> dict[str, Any]:
    """Returns the settings of an objective at a fraction of its default learning rate."""
    if divisor == 1:
        return {"objective": objective}
    return {"objective": objective, "optimizer.lr": rate_of(objective) / divisor}


def rate_of(objective: str) -> float:
    """Returns the learning rate of an objective from random weights."""
    return float(objectives[objective].defaults.get("optimizer", {}).get("lr", LR))


def queue() -> Iterator[Cell]:
    """Yields all cells, the most urgent first: every part of the queue can be compared."""
    names, screened = list(SETS), [at_rate(*each) for each in SCREENED]
    first, second, others = names[:5], names[5:10], names[10:]
    gentle = [{**at_rate("simclr", divisor), **each} for each in GENTLE for divisor in (1, 4)]
    scaled = [
        {**at_rate("simclr", 4), "train.batch_size": batch, "optimizer.scaling": scaling}
        for batch in (32, 512)
        for scaling in ("linear", "sqrt", "none")
    ]
    fixed = [{**at_rate("simclr", divisor), **GENTLE[-1]} for divisor in (1, 4, 16)]
    sizes = [{**fixed[1], "encoder.image_size": pixels} for pixels in (96, 128)]
    used_at_96 = {**fixed[1], JUDGED_AT: 96}
    small = [{**fixed[1], "train.batch_size": batch} for batch in (32, 64)]
    scenes = [name for name in names if SETS[name].field == "scenes"]
    at_default_rates = [at_rate(name, 1) for name in ("simclr", "descriptors", "tico")]
    doubtful, others_fixed = (
        [{**at_rate(name, 4), **GENTLE[-1]} for name in each] for each in (DOUBTFUL, FIXED)
    )
    steps: list[tuple[list[str], str, str, list[dict[str, Any]]]] = [
        ([*ELSEWHERE], "imagenet", "1 minute", doubtful),
        (names, "imagenet", "1 minute", [fixed[1], used_at_96, *sizes, fixed[0], *small]),
        (scenes, "scratch", "1 minute", at_default_rates),
        (scenes, "scratch", "5 minutes", at_default_rates),
        (names, "scratch", "1 minute", at_default_rates),
        (first + second, "imagenet", "1 minute", [screened[0], fixed[2]]),
        (first, "imagenet", "5 minutes", [fixed[1], sizes[0], fixed[0], screened[0]]),
        (names, "imagenet", "1 minute", others_fixed),
        *((sets, "imagenet", "1 minute", screened) for sets in (first, second, others)),
        (names, "imagenet", "1 minute", gentle),
        (first, "imagenet", "1 minute", scaled),
        (names, "imagenet", "5 minutes", screened),
        (names, "scratch", "1 minute", screened),
        (names, "scratch", "5 minutes", screened),
        (names, "imagenet", "30 minutes", screened[:6]),
        (names, "scratch", "30 minutes", screened[:6]),
    ]
    yield from repeated(fixed[1], sizes[0])
    for sets, start, length, candidates in steps:
        for settings, name in product(candidates, sets):
            yield Cell(name, start, length, settings, ENCODERS[start])


def repeated(*candidates: Mapping[str, Any]) -> Iterator[Cell]:
    """Yields candidates with a second seed in radar, where their ranks are nearly a tie."""
    radar = [name for name, each in SETS.items() if each.field == "radar"]
    for settings, name in product(candidates, radar):
        yield Cell(name, "imagenet", "1 minute", settings, seed=1)
