"""A search for the settings of another evaluation, nested within the images to learn from.

With `within_group` it is the search for each subject of SIM-CNN (Eom, Eom, Washington, 2023,
https://doi.org/10.1101/2023.08.25.23294640): later images judge the settings, the last ones test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ... import Evaluation, UsageError, validate
from ...evaluation import EvaluationData, Pretrained, Result, evaluations
from .inner import InnerConfig


class SearchConfig(InnerConfig):
    """Options of the search."""

    space: Annotated[
        dict[str, tuple[Any, ...]],
        Field(
            default_factory=dict,
            description="values to try of each option of the inner evaluation, as in "
            "space.lr=[0.001,0.01]",
        ),
    ]
    trials: Annotated[
        int, Field(ge=1, description="number of combinations to try, drawn at random; all if fewer")
    ] = 12
    seed: Annotated[int, Field(ge=0, description="random seed of the draw")] = 0


class Search(Evaluation):
    """How good is another evaluation with the settings that suit the validation images best?

    Each combination of settings learns from the training images and is judged by the main metric
    on the validation images. The best one learns from both and is tested once. Without a validation
    part the settings stay as they are.
    """

    Config = SearchConfig
    quick: ClassVar[Mapping[str, Any]] = {"space": {"strengths": [[0.01], [1.0]]}}

    def check(self, data: EvaluationData) -> None:
        """Refuses an empty space, settings that there are not, and what the evaluation refuses."""
        for settings in self._candidates():
            self._with(settings).check(data)
        self._with(self._candidates()[0]).check(_on_validation_part(data))

    def tested(self, data: EvaluationData) -> NDArray[np.int64]:
        """Returns the positions of the images that the inner evaluation reports on."""
        return self._with(self._candidates()[0]).tested(data)

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Judges the settings on the validation images, and tests the best once."""
        parts, tried = data.parts, list[dict[str, Any]]()
        known = data.dataset.index.labels[parts.train]
        if len(parts.val) and len(np.unique(known)) > 1:
            for settings in self._candidates():
                trial = self._with(settings, trial=True)
                result = trial.evaluate(model, _on_validation_part(data))
                tried.append({**settings, "validation": result.metrics[result.main].value})
        best = max(tried, key=lambda row: row["validation"], default={})  # the first of equals
        settings = {name: value for name, value in best.items() if name != "validation"}
        result = self._with(settings).evaluate(model, data)
        return replace(result, details={**result.details, "settings": settings, "tried": tried})

    def _candidates(self) -> list[dict[str, Any]]:
        """Returns the combinations to try.

        Raises:
            UsageError: If the space is empty.
        """
        space = self.config.space
        if not space or not all(space.values()):
            raise UsageError(
                "The search needs the values to try of at least one option, such as "
                "--set search.space.strengths=[[0.01],[1]]."
            )
        grid = [dict(zip(space, values, strict=True)) for values in product(*space.values())]
        if len(grid) <= self.config.trials:
            return grid
        drawn = np.random.default_rng(self.config.seed).permutation(len(grid))
        return [grid[i] for i in sorted(drawn[: self.config.trials].tolist())]

    def _with(self, settings: Mapping[str, Any], trial: bool = False) -> Evaluation:
        """Makes the inner evaluation with some settings.

        Trials have no validation part to choose a threshold on, and none is needed to judge them.
        """
        kind: type[Evaluation] = evaluations[self.config.evaluation]
        left_out = {"sensitivity"} if trial else set()
        options = {k: v for k, v in self.config.options.items() if k not in left_out}
        return kind(validate(kind.Config, {**options, **settings}, "space"))


def _on_validation_part(data: EvaluationData) -> EvaluationData:
    """Returns data whose test part is the validation part; labels of the test part are held back.

    They stay as they are without a validation part, on which nothing is judged.
    """
    parts = data.parts
    if not len(parts.val):
        return data
    splits = replace(data.splits, train=parts.train, val=parts.val[:0], test=parts.val)
    return replace(data, splits=splits, whole=data.whole or data.splits)
