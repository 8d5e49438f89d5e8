"""What a search begins with: its images, their judges, and what it says of both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...core.errors import UsageError
from ...data.inspection import AT_START, inspect_dataset
from ...training.progress import Progress
from .choices import Images, open_images_of, warnings_of_seen
from .judge import Judge, LabeledJudge, LabelFreeJudge
from .plan import Plan
from .request import Request
from .trials import Record, Trial, read_result


def images_and_judges(request: Request) -> tuple[Images, dict[str, Judge]]:
    """Opens the images, and returns them with a judge for each kind of initial weights.

    Weights of a run bring value ranges, and random weights do not: each is judged with the values
    that it is trained on.
    """
    init = request.default.encoder.init
    images = open_images_of(request.default, init)
    judges = {init: _judge(images, request)}
    if request.scratch and init != "scratch":
        own = open_images_of(request.default, "scratch")
        same = np.array_equal(own.dataset.value_range, images.dataset.value_range)
        judges["scratch"] = judges[init] if same else _judge(own, request)
    return images, judges


def _judge(images: Images, request: Request) -> Judge:
    how = request.default.train.workers, request.default.data.max_skip
    if images.labeled:
        return LabeledJudge.of(images.dataset, images.splits, images.domain, *how)
    return LabelFreeJudge.of(images.dataset, images.pool, images.domain, *how)


def tell(images: Images, request: Request, progress: Progress) -> None:
    """Says what was understood of the images, and warns of what the search cannot tell."""
    progress.understood(inspect_dataset(images.dataset, images.splits, AT_START))
    if request.scratch and request.default.encoder.init == "scratch":
        progress.say("--scratch adds nothing: without --init all candidates have random weights.")
    for warning in warnings_of_seen(images):
        progress.warn(warning)
    if not images.labeled:
        progress.warn(_label_free_warning(images.reason, request.trust))


def _label_free_warning(reason: str, trust: bool) -> str:
    beyond = (
        "Of two settings of one objective it was in about two of three cases; --trust-label-free "
        "asks to search these too."
        if trust
        else "Other settings are not searched, because it tells too little of them."
    )
    return (
        f"Warning: {reason}, so candidates are ranked by how often the features of a random view "
        "of an image find another view of it. Of two objectives the one that finds more was the "
        "better one by labels in more than nine of ten cases where the difference exceeded the "
        f"noise (docs/label_free.md). {beyond}"
    )


def refuse_other_measure(records: Mapping[Trial, Record], out: Path, metric: str) -> None:
    """Refuses to go on with a search that an earlier version judged by another measure.

    Raises:
        UsageError: If it is one.
    """
    done = next((trial for trial, record in records.items() if record.value is not None), None)
    if done and metric not in read_result(out, done).jackknife:
        raise UsageError(
            f"An earlier version ranked the candidates of '{out}' by another measure. Choose "
            "another --out."
        )


def refuse_other_images(known: Plan | None, images: Images, out: Path) -> None:
    """Refuses to go on with a search whose images have changed since it was planned.

    Args:
        known: The plan of the search; None if there is none yet.
        images: The images as they are now.
        out: Folder of the search.

    Raises:
        UsageError: If they are not the same. Earlier versions have not recorded which they were.
    """
    if known and known.images not in ("", images.dataset.fingerprint()):
        raise UsageError(
            f"The images of '{images.data.path}' are not those that '{out}' was started with. "
            "Restore them, or start a new search with another --out."
        )
