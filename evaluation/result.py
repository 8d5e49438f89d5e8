"""The result of an evaluation with its bootstrap draws; differences and means of results."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.atomic import write_atomic
from ..core.errors import DataError
from .bootstrap import DRAWS, Estimate, Floats, bootstrap_estimates, estimate, means
from .metrics import Predictions, ScoredPredictions, operating_point

_Validation = tuple[NDArray[Any], NDArray[Any]]
_NONE: Floats = np.zeros(0)


@dataclass(frozen=True)
class Result:
    """The result of an evaluation: metrics with intervals, and what they were computed from.

    Attributes:
        metrics: Estimates by name; shares, printed in percent, unless `main` is "".
        draws: (R,) bootstrap draws of metrics by name. Two results on the same test groups have
            the same draws of groups, so that differences are paired. A metric without draws has
            no interval.
        main: Name of the metric that verdicts are based on, the higher the better; "" if there
            is none.
        rows: Metrics of each class.
        by_group: (G,) score of each test group in sorted order, for tests over groups; may be
            empty.
        details: Anything else worth keeping, as plain values.
    """

    metrics: Mapping[str, Estimate]
    draws: Mapping[str, Floats] = field(default_factory=dict)
    main: str = ""
    rows: Sequence[Mapping[str, Any]] = ()
    by_group: Floats = field(default_factory=lambda: _NONE)
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_classification(
        cls,
        labels: NDArray[Any],
        predictions: NDArray[Any],
        groups: NDArray[Any],
        classes: Sequence[str],
        validation: _Validation | None = None,
        ordinal: bool = False,
        **details: Any,
    ) -> Result:
        """Scores the predictions of a classifier on the test set.

        Of two classes the second is the positive one. The threshold for sensitivity and
        specificity is chosen on the validation images; without them it is 0.5.

        Args:
            labels: (n,) class numbers.
            predictions: (n, K) probabilities, or (n,) class numbers, which leave out the metrics
                that need probabilities.
            groups: (n,) group numbers of any values.
            classes: K class names.
            validation: (m,) labels and (m, K) probabilities of validation images.
            ordinal: Whether the classes are ordered; this adds the quadratic kappa.
            details: Anything else worth keeping, as plain values.
        """
        given = np.asarray(predictions)
        predicted = given if given.ndim == 1 else given.argmax(axis=1)
        scored = Predictions(labels, predicted, groups, classes, ordinal)
        if given.ndim == 2:
            threshold = _threshold(validation)
            scored = ScoredPredictions(
                *(labels, predicted, groups, classes, ordinal),
                probabilities=given.astype(np.float64),
                threshold=threshold,
            )
            if len(classes) == 2:
                details["operating_point"] = {"positive": classes[1], "threshold": threshold}
        metrics, draws = bootstrap_estimates(scored, scored.codes[1], len(labels))
        if "ece" in draws:
            draws["ece"] = _centered(draws["ece"], metrics["ece"].value)
            metrics["ece"] = estimate(metrics["ece"].value, draws["ece"])
        details["confusion"] = scored.confusion().astype(int).tolist()
        return cls(metrics, draws, "accuracy", scored.rows(), scored.by_group(), details)

    @classmethod
    def of_means(
        cls,
        values: Mapping[str, NDArray[Any]],
        groups: NDArray[Any],
        main: str,
        **details: Any,
    ) -> Result:
        """Averages values of queries, episodes or images.

        Args:
            values: (n,) values of each metric, by name.
            groups: (n,) group numbers of any values; rows of one group are drawn together.
            main: Name of the metric that verdicts are based on.
            details: Anything else worth keeping, as plain values.
        """
        statistic, g = means(values, groups)
        metrics, draws = bootstrap_estimates(statistic, g)
        scores = statistic(np.eye(g, dtype=np.float32))[main]
        return cls(metrics, draws, main, (), scores, details)

    @classmethod
    def of_parts(cls, parts: Mapping[str, Result], main: str, **details: Any) -> Result:
        """Joins results at several settings on the same test groups: "accuracy@10", ...

        Args:
            parts: Results by the name of the setting.
            main: Name of the setting whose main metric verdicts are based on.
            details: Anything else worth keeping, as plain values.
        """
        return cls(
            {f"{m}@{name}": e for name, part in parts.items() for m, e in part.metrics.items()},
            {f"{m}@{name}": d for name, part in parts.items() for m, d in part.draws.items()},
            f"{parts[main].main}@{main}",
            parts[main].rows,
            parts[main].by_group,
            details,
        )

    def to_json(self) -> dict[str, Any]:
        """Returns the result as plain values, without the draws."""
        metrics = {name: asdict(value) for name, value in self.metrics.items()}
        rows = [dict(row) for row in self.rows]
        return {"main": self.main, "metrics": metrics, "classes": rows, **self.details}

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Returns everything as arrays by name, which `from_arrays` reads."""
        facts = {
            "metrics": {name: asdict(value) for name, value in self.metrics.items()},
            "draws": list(self.draws),
            "main": self.main,
            "rows": [dict(row) for row in self.rows],
            "details": dict(self.details),
        }
        draws = {f"draws{i}": values for i, values in enumerate(self.draws.values())}
        return {"facts": np.array(json.dumps(facts)), "by_group": self.by_group, **draws}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Result:
        """Restores a result from the arrays of `to_arrays`.

        Raises:
            KeyError, ValueError: If they are not complete.
        """
        facts = json.loads(str(arrays["facts"]))
        draws = {name: arrays[f"draws{i}"] for i, name in enumerate(facts["draws"])}
        metrics = {name: Estimate(**values) for name, values in facts["metrics"].items()}
        main, rows, details = facts["main"], facts["rows"], facts["details"]
        return cls(metrics, draws, main, rows, arrays["by_group"], details)

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


def npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Returns arrays as the content of an .npz file."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def read_npz(content: bytes) -> dict[str, NDArray[Any]]:
    """Reads all arrays of an .npz file from its content; pickled objects are refused."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _centered(draws: Floats, value: float) -> Floats:
    """Re-centers bootstrap draws of a sum of absolute values, which resampling biases upwards."""
    moved: Floats = np.maximum(draws + value - draws.mean(), 0)
    return moved


def _threshold(validation: _Validation | None) -> float:
    """Chooses the threshold on validation images if there are two classes and images of both."""
    if validation is None or validation[1].shape[1] != 2 or len(np.unique(validation[0])) < 2:
        return 0.5
    labels, probabilities = validation
    return operating_point(labels == 1, np.asarray(probabilities, dtype=np.float64)[:, 1])


def paired_difference(result: Result, reference: Result, metric: str) -> Estimate:
    """Estimates by how much a metric exceeds that of a reference, paired over groups.

    Both results must come from the same test groups. Without draws there is no interval.
    """
    value = result.metrics[metric].value - reference.metrics[metric].value
    if metric not in result.draws or metric not in reference.draws:
        return Estimate(value, np.nan, np.nan)
    return estimate(value, result.draws[metric] - reference.draws[metric])


def average_results(results: Sequence[Result]) -> Result:
    """Averages results of several seeds or draws of labels on the same test groups.

    Each bootstrap draw resamples the results with replacement, as well as the groups, so that the
    interval covers both. The draws depend on the number of results only, so that two models with
    the same seeds stay paired.

    Returns:
        The mean of the metrics and of the rows of classes. `details["repeats"]` is the list of
        the details of all results.
    """
    first, n = results[0], len(results)
    resampled = np.random.default_rng(n).integers(n, size=(n, DRAWS))
    draws, metrics = {}, {}
    for name in first.metrics:
        value = float(np.mean([result.metrics[name].value for result in results]))
        metrics[name] = Estimate(value, np.nan, np.nan)
        if name in first.draws:
            stacked = np.stack([result.draws[name] for result in results])
            draws[name] = np.take_along_axis(stacked, resampled, axis=0).mean(axis=0)
            metrics[name] = estimate(value, draws[name])
    scores = np.mean([result.by_group for result in results], axis=0)
    rows = [_mean_row(of_class) for of_class in zip(*(r.rows for r in results), strict=True)]
    details = {"repeats": [dict(result.details) for result in results]}
    return replace(first, metrics=metrics, draws=draws, rows=rows, by_group=scores, details=details)


def _mean_row(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    numbers = {k: np.array([row[k] for row in rows]) for k in rows[0] if k != "class"}
    return {"class": rows[0]["class"]} | {k: v.mean().item() for k, v in numbers.items()}


def verdict(gain: Estimate | None) -> str:
    """Returns the verdict on a paired difference: "helps", "hurts" or "no evidence"."""
    if gain is None or not (gain.low > 0 or gain.high < 0):
        return "no evidence"
    return "helps" if gain.low > 0 else "hurts"
