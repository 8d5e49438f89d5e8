"""The contract of an evaluation, and how the command runs several of them on several encoders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..core.config import Config
from ..data.splits import Positions
from .data import EvaluationData
from .pretrained import Pretrained
from .result import Result

if TYPE_CHECKING:
    pass


class Evaluation(ABC):
    """An evaluation that turns an encoder and labeled images into metrics.

    Validation picks; the test part is looked at once.

    Attributes:
        Config: Its options; `--set NAME.option=value` sets them.
        quick: Options that `ssl-kit plugin check` runs it with, where its defaults take long.
    """

    Config: ClassVar[type[Config]] = Config
    quick: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, config: Any) -> None:
        self.config = config

    @classmethod
    def example(cls, data: EvaluationData, folder: Path) -> Mapping[str, Any]:
        """Writes what it needs beside images; returns options that name it, for `plugin check`.

        Args:
            data: That it will be run on.
            folder: Empty.
        """
        return {}

    @abstractmethod
    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Evaluates one encoder, without changing it."""

    def tested(self, data: EvaluationData) -> Positions:
        """Returns the positions of what it reports on: no run may be pre-trained on their groups.

        The test part, unless an evaluation makes parts of its own.
        """
        return data.splits.test
