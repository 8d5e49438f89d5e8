"""What a line of docs/defaults.jsonl says of a training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import mean
from typing import Any

Run = Mapping[str, Any]
UNTOUCHED, ALL = "untouched start", "all classes"
SIZE = 64  # usual height and width of images in pixels
JUDGED_AT = "evaluate.image_size"  # of an encoder that was trained on images of another size
FEW_LABELS = "10 labels a class"


def name_of(settings: Mapping[str, Any]) -> str:
    """Returns the name of a candidate."""
    parts = [f"`{settings['objective']}`"]
    for key, value in settings.items():
        if key == JUDGED_AT:
            parts.append(f"used at {value} px")
        elif key != "objective":
            text = f"{value:.3g}" if isinstance(value, float) else value
            parts.append(f"{key.partition('.')[2]} {text}")
    return ", ".join(parts)


def candidate(run: Run) -> tuple[str, str, str]:
    """Returns what is kept or dropped as one: field, start, and settings."""
    return run["field"], run["start"], name_of(run["settings"])


def hurts(run: Run) -> bool:
    """Returns whether a candidate is out because of a run from pre-trained weights."""
    return bool(run["start"] == "imagenet" and high(run) < 0)


def grouped(runs: Iterable[Run], key: Callable[[Run], Any]) -> dict[Any, list[Run]]:
    """Groups runs by a key, in the order in which keys come."""
    groups: dict[Any, list[Run]] = defaultdict(list)
    for run in runs:
        groups[key(run)].append(run)
    return dict(groups)


def gain(run: Run, cut: str, classifier: str) -> float:
    """Returns the gain in points over the start at the same image size."""
    return 100 * float(run["scores"][cut][classifier][1])


def value(runs: Sequence[Run], cut: str, classifier: str) -> float:
    """Returns the balanced accuracy in percent, mean over seeds."""
    return 100 * mean(run["scores"][cut][classifier][0] for run in runs)


def pixels(run: Run) -> int:
    """Returns the image size that a run was judged at."""
    settings = run["settings"]
    return int(settings.get(JUDGED_AT, settings.get("encoder.image_size", SIZE)))


def starts_of(runs: Iterable[Run], cut: str, classifier: str) -> dict[str, float]:
    """Returns the accuracy of the untouched start at each image size of some runs, by name."""
    found = {}
    for run in runs:
        accuracy, gained, *_ = run["scores"][cut][classifier]
        size = pixels(run)
        name = UNTOUCHED if size == SIZE else f"{UNTOUCHED}, image_size {size}"
        found[name] = 100 * (accuracy - gained)
    return found


def low(run: Run) -> float:
    """Returns the lower end of the interval of the gain on all classes, as a share of 1."""
    return float(run["scores"][ALL]["probe"][2])


def high(run: Run) -> float:
    """Returns the upper end of the interval of the gain on all classes, as a share of 1."""
    return float(run["scores"][ALL]["probe"][3])
