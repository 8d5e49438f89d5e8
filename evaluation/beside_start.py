"""Evaluates a run beside the weights that it started from, and keeps the results below the run."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..core.errors import SslKitError
from ..data.process import seeded
from ..nn.checkpoints import options_beside
from ..nn.weights import create_encoder, load_initial_weights
from ..training.run import Run
from .calibration import measure_statistics
from .evaluation import Evaluation
from .pretrained import Pretrained, from_init, handcrafted
from .records import pretraining_of, save_evaluation
from .requests import Prepared
from .side_by_side import HANDCRAFTED, SideBySide, evaluate_side_by_side

_log = logging.getLogger("ssl_kit")

SCRATCH, RANDOM = "scratch", "random weights"


def evaluate_beside_start(
    prepared: Prepared, evaluations: Mapping[str, Evaluation], command: str
) -> list[SideBySide]:
    """Runs evaluations on a run's encoder and on what it started from; initial weights stand alone.

    Where a run did not start from random weights, these are evaluated as well, and so are
    hand-crafted descriptors where an evaluation uses only features. The results of a run are
    written to its folder. A folder that cannot be written to is a warning, because the results are
    there all the same.

    Args:
        prepared: The encoder and the images.
        evaluations: By name.
        command: What was asked for, for the record.
    """
    run, data, models = prepared.run, prepared.data, [prepared.model]
    if run is None:
        return evaluate_side_by_side(models, data, evaluations)
    models += _controls(run, prepared)
    descriptors = handcrafted(prepared.model.image_size, data.dataset, data.splits.outside_test)
    descriptors = replace(descriptors, name=HANDCRAFTED)
    results = evaluate_side_by_side(models, data, evaluations, pretraining_of(run), descriptors)
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
    data, shared = prepared.images, prepared.shared
    try:
        for result in results:
            save_evaluation(run, result, command=command, data=data, shared=shared)
    except SslKitError as error:
        _log.warning("The results are not kept. %s", error)


def start_of(run: Run, model: Pretrained) -> Pretrained:
    """Makes the encoder that a run started from; random weights are the same as in its training.

    Random weights are pooled as the trained ones are, others as they were trained.

    Args:
        run: The run.
        model: Its encoder, which gives channels, image size and standardization.

    Raises:
        SslKitError, OSError: If its weights are unavailable.
    """
    config = run.config.encoder
    own = options_beside(config.init, config.name) | config.arguments
    arguments = model.encoder.options if config.init == SCRATCH else own
    with seeded(run.config.seed):
        encoder = create_encoder(config.name, len(model.channels), model.image_size, **arguments)
        loaded = load_initial_weights(encoder, config.init, model.channels)
    names = {SCRATCH: "untrained", "imagenet": "start (ImageNet)"}
    name = names.get(config.init, f"start ({Path(config.init).name})")
    return replace(model, name=name, encoder=encoder, loaded=loaded)


def _controls(run: Run, prepared: Prepared) -> list[Pretrained]:
    """Returns the weights that a run started from, and random weights if these are others."""
    model, data, init = prepared.model, prepared.data, run.config.encoder.init
    images, pool = data.dataset, data.splits.outside_test
    name, size, options = model.encoder.name, model.image_size, model.encoder.options
    seed = run.config.seed if init == SCRATCH else 0
    random = from_init(SCRATCH, name, size, images, pool, seed, options)
    random = random if init == SCRATCH else replace(random, name=RANDOM)
    measure_statistics(random, images, pool, data.domain, partial(data.note_unreadable, tell=False))
    if init == SCRATCH:
        return [random]
    try:
        return [start_of(run, model), random]
    except (SslKitError, OSError) as error:
        _log.warning(
            "The run started from '%s', which cannot be loaded, so it is compared with random "
            "weights. %s",
            init,
            error,
        )
        return [random]
