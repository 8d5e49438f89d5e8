"""Evaluates a run beside its untrained encoder, and keeps the results below the run."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from ..core.errors import RunError
from ..training.run import Run
from .evaluation import Evaluation
from .pretrained import from_init
from .records import save_evaluation
from .requests import Prepared
from .side_by_side import SideBySide, evaluate_side_by_side

_log = logging.getLogger("ssl_kit")


def evaluate_beside_untrained(
    prepared: Prepared, evaluations: Mapping[str, Evaluation], command: str
) -> list[SideBySide]:
    """Runs evaluations on a run's encoder and the untrained one; initial weights stand alone.

    The results of a run are written to its folder. A folder that cannot be written to is a
    warning, because the results are there all the same.

    Args:
        prepared: The encoder and the images.
        evaluations: By name.
        command: What was asked for, for the record.
    """
    run, data, models = prepared.run, prepared.data, [prepared.model]
    if run:
        model, train = prepared.model, data.splits.train
        name, size, options = model.encoder.name, model.image_size, model.encoder.options
        models.append(from_init("scratch", name, size, data.dataset, train, options=options))
    results = evaluate_side_by_side(models, data, evaluations)
    if run:
        keep(run, results, prepared, command)
    return results


def keep(run: Run, results: Iterable[SideBySide], prepared: Prepared, command: str) -> None:
    """Writes results to the folder of their run; only warns if it cannot be written to.

    Args:
        run: The run or classifier.
        results: Of its encoder.
        prepared: The images.
        command: What was asked for, for the record.
    """
    dataset = prepared.data.dataset
    images = {
        "path": prepared.path,
        "fingerprint": dataset.fingerprint(),
        "domain": prepared.data.domain.name,
    }
    try:
        for result in results:
            save_evaluation(run, result, command=command, data=images, shared=prepared.shared)
    except RunError as error:
        _log.warning("The results are not kept. %s", error)
