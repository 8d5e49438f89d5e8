"""The data sets of benchmarks/defaults.py: their labels cut in several ways, and their scores.

A classifier learns from the labels of the training part and is judged on the validation part, by
the balanced accuracy. Nothing looks at the test part, unless benchmarks/tuned.py asks for it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from blood_cells import blood_cells
from default_runs import SIZE
from numpy.typing import NDArray
from ship_tiles import ship_tiles
from spoken_digits import spoken_digits

from ssl_kit import open_data
from ssl_kit.data import domains, kept_in_memory, split
from ssl_kit.evaluation import (
    EvaluationData,
    LabeledFeatures,
    Pretrained,
    Result,
    average_results,
    draw_labels,
    evaluations,
    from_init,
    measure_statistics,
    paired_difference,
    probe_predict,
)
from ssl_kit.nn import create_encoder

METRIC, HOLDOUT, FEW, DRAWS, FOLDS = "balanced_accuracy", 0.2, 10, 5, 5
KIT = "simclr"  # objective of the kit, where a domain names none
Task = Callable[[Path, list[str]], list[str]]
Scores = dict[str, dict[str, Result]]
"""Results by the name of the cut and of the classifier, "probe" or "knn"."""


def column(name: str) -> Task:
    """Takes classes from a column of labels.csv."""

    def task(folder: Path, keys: list[str]) -> list[str]:
        with (folder / "labels.csv").open(newline="") as file:
            values = {row["path"]: row[name] for row in csv.DictReader(file)}
        return [values[key] for key in keys]

    return task


def folders(classes: Mapping[str, str]) -> Task:
    """Joins classes: the new name of each folder."""
    return lambda folder, keys: [classes[key.partition("/")[0]] for key in keys]


@dataclass(frozen=True)
class ImageSet:
    """A data set.

    Attributes:
        field: Kind of images; defaults are chosen on all sets of a field.
        domain: Domain of the kit that opens it.
        options: Settings of the images.
        tasks: Other classes than those of the set, by name.
        prepare: Writes images and labels.csv from the files of the set, where that is needed.
    """

    field: str
    domain: str
    options: Mapping[str, Any] = field(default_factory=dict)
    tasks: Mapping[str, Task] = field(default_factory=dict)
    prepare: Callable[[Path, Path], None] | None = None


_OSTEOARTHRITIS = {f"kl{grade}": "osteoarthritis" if grade > 1 else "none" for grade in range(5)}
_SEIZURE = {"A_Z": "none", "B_O": "none", "C_N": "none", "D_F": "none", "E_S": "seizure"}
_BURN_BANDS = ("blue", "green", "red", "nir", "swir_2")
SETS = {
    "rsscn7": ImageSet("scenes", "remote_sensing", tasks={"scale": column("scale")}),
    "mstar10": ImageSet("radar", "sar"),
    "lc25000_lung": ImageSet("tissue", "histopathology"),
    "knee_oa": ImageSet("radiology", "medical", tasks={"two grades": folders(_OSTEOARTHRITIS)}),
    "bonn_eeg": ImageSet(
        "EEG", "eeg", {"data.options.rate": 173.61}, {"seizure": folders(_SEIZURE)}
    ),
    "aid15": ImageSet("scenes", "remote_sensing"),
    "sar_aircraft3": ImageSet("radar", "sar"),
    "oral_oscc": ImageSet(
        "tissue", "histopathology", tasks={"magnification": column("magnification")}
    ),
    "chest_xray": ImageSet("radiology", "medical"),
    "eeg_delhi": ImageSet("EEG", "eeg", {"data.options.rate": 200.0}),
    "s2_burn": ImageSet("scenes", "remote_sensing", {"data.options.channels": _BURN_BANDS}),
    "tsx_slc": ImageSet("radar", "sar"),
    "bccd": ImageSet("tissue", "histopathology", prepare=blood_cells),
}
"""The first set of each field, then the others; blood smears are borrowed for tissue."""
UNSEEN = {
    "fsdd": ImageSet("audio", "audio", {"data.options.rate": 8000.0}, prepare=spoken_digits),
    "hrsid_ships": ImageSet("radar", "sar", prepare=ship_tiles),
}
"""Sets that no default and nothing of `tune` was chosen on."""
ALL_SETS = {**SETS, **UNSEEN}

TODAY = """From pre-trained weights the learning rate is a quarter of the objective's, and the
statistics of batch normalization are frozen, in every domain.
"""


def taken_today() -> str:
    """Returns a section of docs/defaults.md: the objective that `train` takes in each domain."""
    rows = ["## What `ssl-kit train` takes today", "", TODAY]
    rows += ["| domain | from random weights | from pre-trained weights |", "|---|---|---|"]
    for name in domains:
        domain = domains[name]
        scratch = domain.defaults.get("objective", {}).get("name", KIT)
        weights = domain.pretrained_defaults.get("objective", {}).get("name", scratch)
        rows.append(f"| {name} | `{scratch}` | `{weights}` |")
    for name in domains:
        size = domains[name].pretrained_defaults.get("encoder", {}).get("image_size")
        if size:
            rows += [
                "",
                f"In `{name}`, pre-trained weights get images of {size} px, elsewhere of {SIZE}.",
            ]
    return "\n".join([*rows, ""])


class Judge:
    """Scores encoders on the validation part of a set, or on its test part.

    Args:
        name: Of the set, a key of `ALL_SETS`.
        root: Folder that holds the sets.
        encoder: Architecture of the random weights.
        weights: File of ImageNet weights, ARCHITECTURE.*.safetensors.
        on_test: Whether the test part is the judge, and labels of all others are known.

    Attributes:
        hard: Half of the classes, those that a probe of ImageNet features recognizes worst in a
            cross-validation within the training part; empty if there are two classes.
    """

    def __init__(
        self, name: str, root: Path, encoder: str, weights: str, on_test: bool = False
    ) -> None:
        self.set, self.folder = ALL_SETS[name], root / name
        if self.set.prepare is not None:
            self._prepared = TemporaryDirectory()
            self.folder = Path(self._prepared.name)
            self.set.prepare(root / name, self.folder)
        self._encoder, self._weights = encoder, weights
        self._pretrained = Path(weights).name.partition(".")[0]
        dataset = open_data(
            domain=self.set.domain, data=self.folder, set={**self.set.options, "seed": 0}
        )
        self.parts = split(dataset.index, HOLDOUT)
        self.known, self.judged = self.parts.train, self.parts.val
        pool = np.sort(np.concatenate([self.parts.train, self.parts.val]))
        if on_test:
            self.known, self.judged = pool, self.parts.test
            pool = np.arange(len(dataset))
        labeled = pool[dataset.index.labels[pool] >= 0]
        kept = kept_in_memory(dataset, labeled)
        self.data = EvaluationData(kept, self.parts, domains[self.set.domain], workers=0)
        self.positions, self.index = labeled, dataset.index
        self.starts: dict[tuple[str, int], Scores] = {}
        self.hard: tuple[str, ...] = ()
        if len(self.index.classes) > 2:
            self.hard = self._hardest(self.start("imagenet", SIZE))

    def start(self, start: str, size: int) -> Pretrained:
        """Returns the untouched start: "imagenet", "scratch" or "descriptors"."""
        given = (size, self.data.dataset, self.positions)
        if start == "imagenet":
            return from_init(self._weights, self._pretrained, *given)
        untrained = from_init("scratch", self._encoder, *given)
        if start == "scratch":
            measure_statistics(untrained, *given[1:], self.data.domain)
            return untrained
        network = create_encoder("handcrafted", len(untrained.channels), size)
        return Pretrained(
            start, network, untrained.channels, untrained.statistics, size, "no weights"
        )

    def of_start(self, start: str, size: int) -> Scores:
        """Returns the scores of an untouched start, which are computed once."""
        if (start, size) not in self.starts:
            self.starts[start, size] = self.scores(self.start(start, size))
        return self.starts[start, size]

    def scores(self, model: Pretrained) -> Scores:
        """Scores an encoder on every cut of the labels."""
        features, positions = self.data.embed(model, self.positions)
        keys = [self.index.key(i) for i in positions]
        names = [self.index.classes[label] for label in self.index.labels[positions]]
        tasks = {"all classes": names}
        if self.hard:
            tasks["hard classes"] = [name if name in self.hard else "" for name in names]
        tasks |= {name: task(self.folder, keys) for name, task in self.set.tasks.items()}
        train, val = np.isin(positions, self.known), np.isin(positions, self.judged)
        found = {}
        for cut, texts in tasks.items():
            classes = tuple(sorted(set(texts) - {""}))
            labels = np.array([classes.index(t) if t else -1 for t in texts], dtype=np.int32)
            groups = self.index.groups[positions]
            parts = [np.flatnonzero(part & (labels >= 0)) for part in (train, val)]
            known = LabeledFeatures(
                features, labels, groups, classes, parts[0], parts[0][:0], parts[1]
            )
            found[cut] = {"probe": _probe(known, parts[0]), "knn": _knn(known, parts[0])}
        found[f"{FEW} labels a class"] = self._few(features, positions, train, val)
        return found

    def _few(
        self,
        features: NDArray[np.float32],
        positions: NDArray[np.int64],
        train: NDArray[np.bool_],
        val: NDArray[np.bool_],
    ) -> dict[str, Result]:
        index = self.index
        known = LabeledFeatures(
            *(features, index.labels[positions], index.groups[positions], index.classes),
            *(np.flatnonzero(train), np.flatnonzero(val)[:0], np.flatnonzero(val)),
        )
        draws = [
            np.flatnonzero(np.isin(positions, draw_labels(index, positions[train], FEW, seed)))
            for seed in range(DRAWS)
        ]
        return {
            "probe": average_results([_probe(known, rows) for rows in draws]),
            "knn": average_results([_knn(known, rows) for rows in draws]),
        }

    def _hardest(self, model: Pretrained) -> tuple[str, ...]:
        from sklearn.model_selection import StratifiedGroupKFold

        train = self.positions[np.isin(self.positions, self.known)]
        features, rows = self.data.embed(model, train)
        labels, groups = self.index.labels[rows], self.index.groups[rows]
        predicted = np.full(len(rows), -1)
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
        for known, asked in folds.split(features, labels, groups):
            predicted[asked] = probe_predict(features[known], labels[known], features[asked])
        recalls = {
            name: float((predicted[labels == k] == k).mean())
            for k, name in enumerate(self.index.classes)
        }
        worst = sorted(recalls, key=lambda name: (recalls[name], name))
        return tuple(sorted(worst[: max(2, len(worst) // 2)]))


def _probe(known: LabeledFeatures, rows: NDArray[np.int64]) -> Result:
    features, val = known.features, known.test
    predicted = probe_predict(features[rows], known.labels[rows], features[val])
    return known.result(predicted)


def _knn(known: LabeledFeatures, rows: NDArray[np.int64]) -> Result:
    kind = evaluations["knn"]
    parts = (rows, known.val, known.test)
    taken = LabeledFeatures(known.features, known.labels, known.groups, known.classes, *parts)
    votes, _ = kind(kind.Config()).predict(taken)
    return taken.result(votes.argmax(axis=1))


def plain(scores: Scores, start: Scores | None = None) -> dict[str, dict[str, list[float]]]:
    """Returns scores as [value] or, beside a start, [value, gain, low, high], in shares of 1."""
    values: dict[str, dict[str, list[float]]] = {}
    for cut, results in scores.items():
        values[cut] = {}
        for name, result in results.items():
            row = [result.metrics[METRIC].value]
            if start is not None:
                gain = paired_difference(result, start[cut][name], METRIC)
                row += [gain.value, gain.low, gain.high]
            values[cut][name] = [round(float(value), 4) for value in row]
    return values
