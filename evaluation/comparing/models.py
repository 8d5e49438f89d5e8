"""The encoders of a comparison while it runs: loaded when they are needed."""

from __future__ import annotations

from ...core.errors import RunError
from ..calibration import measure_statistics
from ..pretrained import Pretrained
from .arms import IMAGENET, RANDOM, START, Arm
from .plan import Plan


class Models:
    """Loads the encoders of the arms and keeps the latest of each.

    Args:
        plan: The comparison.

    Attributes:
        loaded: A sentence on the weights of each arm, by its name, once they are loaded.
        unavailable: Why an arm has no weights, by its name.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._latest: dict[str, tuple[int, Pretrained]] = {}
        self.loaded: dict[str, str] = {}
        self.unavailable: dict[str, str] = {}

    def load(self, arm: Arm, seed: int) -> Pretrained | None:
        """Returns the encoder of an arm.

        Args:
            arm: One of the plan's.
            seed: Seed of the comparison.

        Returns:
            None if ImageNet weights are unavailable; other weights are never substituted.
        """
        key = seed if arm.has_several_weights else 0
        kept, model = self._latest.get(arm.name, (None, None))
        if kept == key:
            return model
        plan = self._plan
        size, dataset, pool = plan.image_size, plan.data.dataset, plan.data.splits.outside_test
        try:
            model = arm.load(key, plan.architecture, size, dataset, pool, plan.arguments(arm))
        except RunError as error:
            if arm.kind not in (IMAGENET, START) or arm.weights:
                raise
            self.unavailable[arm.name] = str(error)
            return None
        if arm.kind == RANDOM:
            measure_statistics(model, dataset, pool, plan.data.domain)
        self._latest[arm.name] = (key, model)
        self.loaded[arm.name] = model.loaded
        return model
