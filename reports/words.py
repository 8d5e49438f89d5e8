"""The wording of results: counts, estimates, verdicts and warnings of leakage.

The terminal and the pages use the same words, and each is written here once. The numbers and the
keys of verdicts ("helps", "hurts", "no evidence", "no verdict") come from `ssl_kit.evaluation`.
This module imports nothing heavy, so that listings stay fast.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..data.counting import plural as plural

if TYPE_CHECKING:
    from ..training.intervals import Estimate

    AnyEstimate = Estimate | Mapping[str, float | None] | None

NO_VALUE = "-"
_ABBREVIATIONS = ("auroc", "auprc", "ece", "f1")


@dataclass(frozen=True)
class Verdict:
    """The words for one verdict.

    Attributes:
        short: In a cell of a table.
        than: Between the names of two encoders, such as "better than".
        pretraining: A clause on pre-training, the beginning of a sentence.
        tone: "good", "bad" or "", which the pages turn into a color.
    """

    short: str
    than: str
    pretraining: str
    tone: str


VERDICTS = {
    "helps": Verdict("helps", "better than", "Pre-training helped", "good"),
    "hurts": Verdict("hurts", "worse than", "Pre-training hurt", "bad"),
    "no evidence": Verdict(
        "no evidence",
        "not measurably different from",
        "There is no evidence that pre-training helped or hurt",
        "",
    ),
    "no verdict": Verdict("no verdict", "not judged against", "No verdict", ""),
}
OPPOSITE = {key: key for key in VERDICTS} | {"helps": "hurts", "hurts": "helps"}
_SHORT_SECONDS, _SHORT_EPOCHS, _LONG_SECONDS = 300, 5, 3600


def sentence_case(text: str) -> str:
    """Makes the first letter of a text a capital and leaves the others as they are."""
    return text[:1].upper() + text[1:]


def listed(items: Sequence[str]) -> str:
    """Joins items in a sentence: "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))


def spaced(name: str) -> str:
    """Writes the name of a metric for a page: "balanced accuracy", "macro F1", "AUROC"."""
    words = name.split("_")
    return " ".join(word.upper() if word in _ABBREVIATIONS else word for word in words)


def percent_text(share: float) -> str:
    """Writes a share from 0 to 1 in percent: "75.0"; "-" for NaN."""
    return NO_VALUE if math.isnan(share) else f"{100 * share:.1f}"


def interval(low: float, high: float, write: Callable[[float], str]) -> str:
    """Writes the ends of an interval: "[70.1, 79.8]"; "" if there is none."""
    return "" if math.isnan(low) or math.isnan(high) else f"[{write(low)}, {write(high)}]"


def estimate_parts(
    estimate: AnyEstimate, percent: bool = True, signed: bool = False
) -> tuple[str, str]:
    """Writes the value and the interval of an estimate; "" for what does not exist.

    Args:
        estimate: An `Estimate`, or its JSON form, in which null stands for NaN.
        percent: Multiply by 100 and keep one decimal. Otherwise keep four digits.
        signed: Write "+" before positive numbers, as for differences.
    """
    if estimate is None:
        return "", ""
    given: Mapping[str, float | None] = (
        estimate if isinstance(estimate, Mapping) else vars(estimate)
    )
    value, low, high = (_number(given[end]) for end in ("value", "low", "high"))
    sign = "+" if signed else ""

    def write(number: float) -> str:
        return f"{round(100 * number, 1) + 0.0:{sign}.1f}" if percent else f"{number:{sign}.4g}"

    return ("", "") if math.isnan(value) else (write(value), interval(low, high, write))


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def estimate_text(estimate: AnyEstimate, percent: bool = True, signed: bool = False) -> str:
    """Writes an estimate in one text: "75.0 [70.1, 79.8]"; see `estimate_parts`."""
    return " ".join(filter(None, estimate_parts(estimate, percent, signed))) or NO_VALUE


def p_value(p: float) -> str:
    """Writes the p-value of a test: "p = 0.031", "p < 0.001"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def no_verdict(groups: int, kind: str = "test group") -> str:
    """Says why there is no verdict: "no verdict: 3 test groups, six are needed".

    Args:
        groups: Their number.
        kind: What they are called.
    """
    if groups >= 6:
        return "no verdict: the difference has no interval"
    return f"no verdict: {plural(groups, kind)}, six are needed"


def short_verdict(verdict: str, groups: int) -> str:
    """Writes a verdict for a cell of a table, with the reason if there is none."""
    return no_verdict(groups) if verdict == "no verdict" else VERDICTS[verdict].short


def gain_sentence(
    verdict: str, gain: Estimate, metric: str, control: str, groups: int, p: float | None = None
) -> str:
    """Says whether pre-training helped, and by how many percentage points of the metric.

    Args:
        verdict: Key of `VERDICTS`.
        gain: Difference to the control.
        metric: Name of the metric.
        control: Name of the control, the weights that pre-training started from.
        groups: Number of test groups.
        p: P-value of no gain, if there is one.
    """
    value, ends = estimate_parts(gain, signed=True)
    words = VERDICTS[verdict].pretraining
    if verdict == "no verdict":
        words = sentence_case(no_verdict(groups))
        return f"{words}. The gain over '{control}' is {value} points of {spaced(metric)}."
    if gain.low == gain.high:
        return (
            f"No difference was seen over '{control}': the {spaced(metric)} is the same in each of "
            f"{plural(groups, 'test group')}, which does not exclude a small one."
        )
    test = f", {p_value(p)}" if p is not None else ""
    return f"{words}: {value} points of {spaced(metric)} {ends}{test} over '{control}'."


def descriptors_sentence(verdict: str, gain: Estimate, metric: str, groups: int) -> str:
    """Says whether an encoder is better than hand-crafted descriptors, and by how much.

    Args:
        verdict: Key of `VERDICTS`.
        gain: Difference to hand-crafted descriptors.
        metric: Name of the metric.
        groups: Number of test groups.
    """
    reason = f" ({no_verdict(groups)})" if verdict == "no verdict" else ""
    return (
        f"The encoder is {VERDICTS[verdict].than} hand-crafted descriptors{reason}: "
        f"{estimate_text(gain, signed=True)} points of {spaced(metric)}."
    )


def short_training(pretraining: Mapping[str, float]) -> str:
    """Says that pre-training was short, as a sentence; "" if it was not, or is not known.

    Short is below 5 minutes, and below 5 epochs in less than an hour.

    Args:
        pretraining: Seconds and epochs; may be empty.
    """
    if not pretraining:
        return ""
    seconds, epochs = pretraining["seconds"], pretraining["epochs"]
    if seconds >= _LONG_SECONDS or (seconds >= _SHORT_SECONDS and epochs >= _SHORT_EPOCHS):
        return ""
    return (
        f"Pre-training was short ({seconds:,.0f} s, {epochs:.1f} epochs): longer training would "
        "tell more, and so would more labels and more test groups."
    )


def kept_start(name: str = "The run") -> str:
    """Says that a run kept its start, so that no difference from it can be seen."""
    return f"{name} kept the weights that it started from, so there is nothing to compare."


def is_start(name: str) -> str:
    """Says that a run kept its start, so that differences from others are those of the start."""
    return (
        f"{name} kept the weights that it started from: what is better or worse about it is due to "
        "these and not to its pre-training."
    )


def barely_trained(steps: int, epochs: float) -> str:
    """Says that less than one epoch was trained, as a sentence; "" if it was more.

    Args:
        steps: Number of steps that were trained.
        epochs: The same in epochs.
    """
    if epochs >= 1:
        return ""
    were = "was" if steps == 1 else "were"
    return (
        f"Only {plural(steps, 'step')} {were} trained ({epochs:.2g} of an epoch); such an encoder "
        "has learned next to nothing: give more time, or a smaller --batch-size or --image-size."
    )


def tested_on(images: int, groups: int) -> str:
    """Says how many test images and groups a table rests on, as a sentence; "" if not known."""
    if not groups:
        return ""
    return f"Tested on {plural(images, 'image')} of {plural(groups, 'group')}."


def leak_warning(groups: int) -> str:
    """Warns that test groups were part of pre-training.

    Args:
        groups: Number of these test groups, at least one.
    """
    was = "was" if groups == 1 else "were"
    used = f"{plural(groups, 'test group')} {was} also used for pre-training"
    return f"{used}: results on them are too optimistic."


def leak_statement(shared: Mapping[str, int], earlier: Sequence[str] = ()) -> str:
    """Says which runs of a comparison were pre-trained on test groups.

    Args:
        shared: Number of test groups that a run was pre-trained on, by its name.
        earlier: Runs that were pre-trained on the earlier time of groups alone.
    """
    if not shared and earlier:
        names = listed([f"'{name}'" for name in earlier])
        return f"Of groups of the test set, only earlier images were used by {names}."
    if not shared:
        return "No run was pre-trained on a group of the test set."
    counts = [f"{plural(count, 'test group')} by '{name}'" for name, count in shared.items()]
    used = f"Pre-training used groups of the test set: {listed(counts)}"
    return f"{used}. Results of these runs are too optimistic."


def held_out_statement(images: int, groups: int, shared: int) -> str:
    """Says what is held out of a run's images for testing, and whether it stayed unseen.

    Args:
        images: Number of test images.
        groups: Number of test groups.
        shared: Number of test groups that the run was pre-trained on.
    """
    if not images:
        return (
            "No image is held out for testing, so that every image may have been used for "
            "pre-training. 'ssl-kit evaluate' refuses to test on these images."
        )
    if shared:
        return leak_warning(shared)
    held_out = f"{plural(images, 'image')} of {plural(groups, 'group')}"
    return (
        f"The test set of the run's own images has {held_out}. None of these groups was used for "
        "pre-training."
    )


def unchecked_statement(groups: int) -> str:
    """Says that the test set was not checked because the images are not available.

    Args:
        groups: Number of groups that the run was pre-trained on.
    """
    return (
        f"The run was pre-trained on {plural(groups, 'group')}. The images are not available, so "
        "this report cannot check the test set; 'ssl-kit evaluate' refuses to test on a group "
        "that was used for pre-training."
    )
