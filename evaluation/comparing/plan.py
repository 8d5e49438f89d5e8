"""The plan of a comparison: arms, label budgets and seeds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import UsageError
from ...data.opening import DataConfig
from ...data.splits import Positions
from ..budgets import draw_labels
from ..data import EvaluationData
from ..evaluation import Evaluation
from .arms import Arm

ALL = "all"


@dataclass(frozen=True)
class Cell:
    """One arm at one budget and seed."""

    arm: Arm
    budget: str
    seed: int

    @property
    def file(self) -> Path:
        """Where its result is kept, below the folder of the comparison."""
        name = re.sub(r"[^\w.-]+", "_", self.arm.name)
        return Path("cells") / name / f"{self.budget}-{self.seed}.npz"


@dataclass(frozen=True)
class Plan:
    """A comparison that was asked for.

    Attributes:
        arms: Its rows.
        evaluation: Name of the evaluation.
        chosen: That evaluation and fine-tuning, with their options.
        budgets: Label budgets: images a class, shares, or "all".
        seeds: How many draws of labels and weights.
        architecture: Name of the encoder.
        image_size: Pixels.
        config: Which images.
        data: Labeled images in three parts.
        known: Positions of those outside of the test part.
    """

    arms: list[Arm]
    evaluation: str
    chosen: dict[str, Evaluation]
    budgets: tuple[str, ...]
    seeds: int
    architecture: str
    image_size: int
    config: DataConfig
    data: EvaluationData
    known: Positions

    @property
    def settings(self) -> dict[str, Any]:
        """What all results in a folder must have in common, as plain values."""
        dataset = self.data.dataset
        return {
            "domain": self.data.domain.name,
            "images": dataset.fingerprint(),
            "value_range": dataset.value_range.tolist(),
            "holdout": self.config.holdout,
            "encoder": self.architecture,
            "image_size": self.image_size,
            "evaluation": self.evaluation,
            **{
                f"{name}.{option}": value
                for name, evaluation in sorted(self.chosen.items())
                for option, value in evaluation.config.model_dump(mode="json").items()
            },
        }

    def once(self, arm: Arm, budget: str) -> bool:
        """Tells whether no seed has any influence: then one cell stands for all."""
        seeded = (
            "seed" in type(self.chosen[arm.evaluation_name(self.evaluation)].config).model_fields
        )
        return budget == ALL and not seeded and not arm.is_random

    def cells(self) -> Iterator[Cell]:
        """Yields every cell that is computed."""
        for arm in self.arms:
            for seed in range(self.seeds):
                for budget in self.budgets:
                    if seed == 0 or not self.once(arm, budget):
                        yield Cell(arm, budget, seed)

    def limited(self, budget: str, seed: int) -> EvaluationData:
        """Returns the data with the labels that a budget buys."""
        if budget == ALL:
            return self.data
        amount = float(budget) if "." in budget else int(budget)
        return self.data.limited(draw_labels(self.data.dataset.index, self.known, amount, seed))


def parse_budgets(text: str) -> tuple[str, ...]:
    """Reads "10,50,all" or "0.01,0.1,1.0".

    Raises:
        UsageError: If one is no budget.
    """
    budgets = []
    for part in text.split(","):
        budget = part.strip()
        if budget != ALL and not re.fullmatch(r"[1-9]\d*|0\.\d*[1-9]\d*|1\.0*", budget):
            raise UsageError(
                f"A label budget is a number of images a class, like 10, a share up to 1.0, like "
                f"0.1, or all, not '{budget}'."
            )
        budgets.append(ALL if budget.startswith("1.") else budget)
    return tuple(dict.fromkeys(budgets))
