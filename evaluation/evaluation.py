"""The contract of an evaluation."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from ..core.config import Config
from ..core.errors import UsageError
from ..data.splits import Positions, Splits
from .budgets import draw_labels
from .data import EvaluationData
from .grades import GradesConfig
from .pretrained import Pretrained
from .result import Result

_log = logging.getLogger("ssl_kit")


class Evaluation(ABC):
    """A method that turns an encoder and labeled images into metrics.

    Settings are chosen on the validation part, and the test part is predicted once.

    Attributes:
        Config: Its options; `--set NAME.option=value` sets them.
        uses_features: Whether it needs only pooled features of an encoder, which is not trained.
            Hand-crafted descriptors are then a control.
        within_groups: Whether it tests the later images of a group after learning from its earlier
            ones. A run may be pre-trained on the earlier ones (`data.until`), and each group may
            have a run of its own.
        trains_encoder: Whether it trains the encoder, so that `compare` puts random weights to it
            as well; otherwise they are fine-tuned.
        tested_like_finetuning: Whether it predicts each image of the test part after learning from
            the other parts, as fine-tuning does. Otherwise `compare` refuses "scratch", which is
            fine-tuned, beside it.
        budget_unit: What an integer budget of `compare` counts; see `draw`.
        quick: Options that `ssl-kit plugin check` runs it with, where its defaults take long.
        demo_domain: Domain whose demo `ssl-kit plugin check` runs it on.
    """

    Config: ClassVar[type[Config]] = Config
    uses_features: ClassVar[bool] = False
    within_groups: ClassVar[bool] = False
    trains_encoder: ClassVar[bool] = False
    tested_like_finetuning: ClassVar[bool] = True
    budget_unit: ClassVar[str] = "labels per class"
    quick: ClassVar[Mapping[str, Any]] = {}
    demo_domain: ClassVar[str] = "natural"

    def __init__(self, config: Any) -> None:
        self.config = config

    @classmethod
    def example(cls, data: EvaluationData, folder: Path) -> Mapping[str, Any]:
        """Writes the files that it needs besides images, for `ssl-kit plugin check`.

        Args:
            data: The images that it will be run on.
            folder: An empty folder.

        Returns:
            Options that name the files.
        """
        return {}

    def check(self, data: EvaluationData) -> None:
        """Refuses data that it cannot use, without reading images; see also `tested`.

        `compare` asks it before anything is computed, for each label budget. An evaluation that
        makes parts of its own calls `refuse_held_back_labels`.

        Here it asks for images of two classes to learn from and for some to test on, with
        `ordinal` for an order of the classes, and whether `positive` is one of two classes. It
        warns of options that change nothing beside others.

        Raises:
            UsageError: With what is missing and what to do.
        """
        _ = data.parts
        if isinstance(self.config, GradesConfig):
            self.config.check(data.dataset.index.classes)
            for warning in self.config.idle() if data.whole is None else ():  # not at each budget
                _log.warning(warning)

    @staticmethod
    def refuse_held_back_labels(data: EvaluationData) -> None:
        """Refuses held-back labels, for evaluations that learn from labels of the test part too.

        A budget holds back labels outside of the test part only, so that such an evaluation would
        learn from more labels than the budget has, and the draw would decide what is tested.

        Raises:
            UsageError: If labels were held back; see `EvaluationData.limited`.
        """
        if data.whole is not None:
            raise UsageError(
                "This evaluation makes parts of its own and learns from labels of the test part "
                "too, so that no labels can be held back from it. Run it by itself, in a "
                "comparison with --budgets all."
            )

    @abstractmethod
    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Evaluates one encoder, without changing it."""

    def classes(self, data: EvaluationData) -> tuple[str, ...]:
        """Returns the names of the classes that it tells apart."""
        return data.dataset.index.classes

    def labeled(self, data: EvaluationData) -> Splits:
        """Returns the positions of the images of each part whose labels it uses.

        Raises:
            UsageError: If there are none to learn from or to test on.
        """
        return data.parts

    def draw(self, data: EvaluationData, budget: float, seed: int) -> Positions:
        """Draws the training and validation images whose labels a budget of `compare` buys.

        Args:
            data: Images in three parts.
            budget: An int is a number of images of each class, a float a share of the groups.
            seed: Of the draw; a larger budget of the same seed holds a smaller one.
        """
        known = self.labeled(data).outside_test
        return draw_labels(data.dataset.index, known, budget, seed)

    def tested(self, data: EvaluationData) -> Positions:
        """Returns the positions of the images that it reports on.

        No run may be pre-trained on their groups. They are the test part, unless an evaluation
        makes parts of its own.
        """
        return data.splits.test
