"""The result of an evaluation with its intervals."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.atomic import write_atomic
from ..core.errors import DataError, UsageError
from ..training.finite import require_finite
from ..training.intervals import Estimate, Floats, Jackknife, codes_of, jackknife, means
from .class_counts import main_metric
from .confusion import constant_class
from .grades import in_order
from .metrics import Predictions, ScoredPredictions, operating_point
from .npz_files import npz, read_npz

_Validation = tuple[NDArray[Any], NDArray[Any]]
_NONE: Floats = np.zeros(0)
_NO_LIMITS: Mapping[str, tuple[float, float]] = {}


@dataclass(frozen=True)
class Result:
    """The result of an evaluation: metrics with intervals, and what they were computed from.

    Attributes:
        metrics: Estimates by name; shares, printed in percent, unless `main` is "".
        jackknife: Metrics without each test group in turn, by name, from which intervals of paired
            differences are computed. A metric that is missing here has no interval.
        main: Name of the metric that verdicts are based on, the higher the better; "" if there
            is none.
        rows: Metrics of each class.
        by_group: (G,) score of each test group in sorted order, for tests over groups; may be
            empty.
        images: Number of test images.
        details: Anything else worth keeping, as plain values.
    """

    metrics: Mapping[str, Estimate]
    jackknife: Mapping[str, Jackknife] = field(default_factory=dict)
    main: str = ""
    rows: Sequence[Mapping[str, Any]] = ()
    by_group: Floats = field(default_factory=lambda: _NONE)
    details: Mapping[str, Any] = field(default_factory=dict)
    images: int = 0

    @property
    def groups(self) -> int:
        """Number of test groups."""
        return len(self.by_group)

    @property
    def constant(self) -> str:
        """The class that is predicted for every test image, at every seed; "" if there is none."""
        predicted = {details.get("constant", "") for details in self._repeats}
        return str(predicted.pop()) if len(predicted) == 1 else ""

    @property
    def positive(self) -> str:
        """The positive one of two classes; "" if there are more."""
        first = self._repeats[0]
        return str(first.get("operating_point", first).get("positive", ""))

    @property
    def sensitivity(self) -> float | None:
        """The sensitivity on the validation images that was asked for; None if none was."""
        asked: float | None = self._repeats[0].get("operating_point", {}).get("sensitivity")
        return asked

    @property
    def unit(self) -> str:
        """What the predictions are of, and the rows of classes count: "image", "bag"."""
        return str(self._repeats[0].get("unit", "image"))

    @property
    def _repeats(self) -> Sequence[Mapping[str, Any]]:
        repeats: Sequence[Mapping[str, Any]] = self.details.get("repeats", [self.details])
        return repeats

    @classmethod
    def of_classification(
        cls,
        labels: NDArray[Any],
        predictions: NDArray[Any],
        groups: NDArray[Any],
        classes: Sequence[str],
        validation: _Validation | None = None,
        order: Sequence[str] = (),
        positive: str = "",
        threshold: float | None = None,
        sensitivity: float | None = None,
        **details: Any,
    ) -> Result:
        """Scores the predictions of a classifier on the test set.

        The main metric is the accuracy, or the balanced accuracy if the classes of the test images
        are very unequal; see `main_metric`. Predictions of a single class are noted in `details`.

        Args:
            labels: (n,) class numbers.
            predictions: (n, K) probabilities, or (n,) class numbers, which leave out the metrics
                that need probabilities.
            groups: (n,) group numbers of any values.
            classes: K class names.
            validation: (m,) labels and (m, K) probabilities of validation images, on which the
                threshold is chosen.
            order: The classes from the lowest to the highest grade, if they are ordered. Then the
                quadratic kappa, which is the main metric, and the mean absolute error in grades
                are added, and tables have the classes in this order.
            positive: The positive one of two classes; the last if empty.
            threshold: Probability of the positive class from which on it is predicted, for
                sensitivity and specificity. By default it is chosen on the validation images;
                without them it is 0.5.
            sensitivity: Lowest sensitivity on the validation images, for which the threshold is
                chosen; by default the sum of sensitivity and specificity is the largest there.
            details: Anything else worth keeping, as plain values.

        Raises:
            NotFiniteError: If predictions are not finite.
        """
        given = np.asarray(predictions)
        require_finite(given, "predictions of test images")
        if order:
            details["grades"] = list(order)
            validation = in_order(order, classes, *validation) if validation else None
            labels, given = in_order(order, classes, labels, given)
            classes = order
        predicted = given if given.ndim == 1 else given.argmax(axis=1)
        scored = Predictions(labels, predicted, groups, classes, bool(order))
        if given.ndim == 2:
            number = list(classes).index(positive or classes[-1])
            if threshold is None:
                threshold = _threshold(validation, number, sensitivity)
            scored = ScoredPredictions(
                *(labels, predicted, groups, classes, bool(order)),
                probabilities=given.astype(np.float64),
                positive=number,
                threshold=threshold,
            )
            if len(classes) == 2:
                details["operating_point"] = _point(classes[number], threshold, sensitivity)
        kept = scored.jackknife()
        confusion = scored.confusion().astype(int)
        details |= {"confusion": confusion.tolist(), "constant": constant_class(confusion, classes)}
        rows, scores = scored.rows(), scored.by_group()
        main = "quadratic_kappa" if order else main_metric(labels)
        return cls(estimates(kept), kept, main, rows, scores, details, len(labels))

    @classmethod
    def of_means(
        cls,
        values: Mapping[str, NDArray[Any]],
        groups: NDArray[Any],
        main: str,
        limits: Mapping[str, tuple[float, float]] = _NO_LIMITS,
        **details: Any,
    ) -> Result:
        """Averages values of queries, episodes or images.

        Args:
            values: (n,) values of each metric, by name.
            groups: (n,) group numbers of any values; rows of one group are left out together.
            main: Name of the metric that verdicts are based on.
            limits: Smallest and largest value of metrics; see `jackknife`.
            details: Anything else worth keeping, as plain values.

        Raises:
            NotFiniteError: If values are not finite.
        """
        for name, rows in values.items():
            require_finite(rows, f"values of the metric {name}")
        statistic, sizes = means(values, groups)
        kept = jackknife(statistic, sizes, limits=limits)
        scores = np.bincount(codes_of(groups)[0], weights=values[main]) / sizes
        return cls(estimates(kept), kept, main, (), scores, details, len(groups))

    @classmethod
    def of_parts(cls, parts: Mapping[str, Result], main: str, **details: Any) -> Result:
        """Joins results at several settings on the same test groups: "accuracy@10", ...

        Args:
            parts: Results by the name of the setting.
            main: Name of the setting whose main metric verdicts are based on.
            details: Anything else worth keeping, as plain values.
        """
        if parts[main].constant:
            details["constant"] = parts[main].constant
        return cls(
            {f"{m}@{name}": e for name, part in parts.items() for m, e in part.metrics.items()},
            {f"{m}@{name}": j for name, part in parts.items() for m, j in part.jackknife.items()},
            f"{parts[main].main}@{main}",
            parts[main].rows,
            parts[main].by_group,
            details,
            parts[main].images,
        )

    def to_json(self) -> dict[str, Any]:
        """Returns the result as plain values, without what differences are computed from."""
        metrics = {name: asdict(value) for name, value in self.metrics.items()}
        rows = [dict(row) for row in self.rows]
        return {
            "main": self.main,
            "metrics": metrics,
            "classes": rows,
            "tested_on": {"images": self.images, "groups": self.groups},
            **self.details,
        }

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Returns everything as arrays by name, which `from_arrays` reads."""
        facts = {
            "metrics": {name: asdict(value) for name, value in self.metrics.items()},
            "jackknife": {
                name: (*kept.limits, kept.most_freedom) for name, kept in self.jackknife.items()
            },
            "main": self.main,
            "rows": [dict(row) for row in self.rows],
            "details": dict(self.details),
            "images": self.images,
        }
        arrays = {"facts": np.array(json.dumps(facts)), "by_group": self.by_group}
        for i, kept in enumerate(self.jackknife.values()):
            arrays |= {f"values{i}": kept.values, f"sizes{i}": kept.sizes}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Result:
        """Restores a result from the arrays of `to_arrays`.

        Raises:
            KeyError, ValueError: If they are not complete.
        """
        facts = json.loads(str(arrays["facts"]))
        if "draws" in facts:
            raise ValueError("it has the bootstrap draws of an earlier version")
        kept = {
            name: Jackknife(arrays[f"values{i}"], arrays[f"sizes{i}"], (low, high), (), *most)
            for i, (name, (low, high, *most)) in enumerate(facts["jackknife"].items())
        }  # results of earlier versions have no bound of the degrees of freedom
        metrics = {name: Estimate(**values) for name, values in facts["metrics"].items()}
        main, rows, details = facts["main"], facts["rows"], facts["details"]
        return cls(metrics, kept, main, rows, arrays["by_group"], details, facts["images"])

    def save(self, path: Path) -> None:
        """Writes everything to an .npz file, completely or not at all."""
        write_atomic(path, npz(self.to_arrays()))

    @classmethod
    def load(cls, path: Path) -> Result:
        """Reads what `save` wrote.

        Raises:
            DataError: If the file is damaged.
        """
        try:
            return cls.from_arrays(read_npz(path.read_bytes()))
        except Exception as error:
            raise DataError(
                f"Cannot read the result '{path}': {error}. Delete it and it is computed again."
            ) from error


def estimates(kept: Mapping[str, Jackknife]) -> dict[str, Estimate]:
    """Returns the estimate of each metric."""
    return {name: each.estimate() for name, each in kept.items()}


def _point(positive: str, threshold: float, sensitivity: float | None) -> dict[str, Any]:
    asked = {} if sensitivity is None else {"sensitivity": sensitivity}
    return {"positive": positive, "threshold": threshold, **asked}


def _threshold(validation: _Validation | None, positive: int, sensitivity: float | None) -> float:
    """Chooses the threshold on validation images if there are two classes and images of both.

    Raises:
        UsageError: If there are none, and a sensitivity is asked for.
    """
    if validation is None or validation[1].shape[1] != 2 or len(np.unique(validation[0])) < 2:
        if sensitivity is not None:
            raise UsageError(
                f"sensitivity={sensitivity:g} needs validation images of two classes, and there "
                "are none. Give more labeled images, or leave it out."
            )
        return 0.5
    labels, probabilities = validation
    scores = np.asarray(probabilities, dtype=np.float64)[:, positive]
    return operating_point(labels == positive, scores, sensitivity)
