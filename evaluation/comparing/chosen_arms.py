"""Which arms a comparison has: those that were asked for, and the controls beside them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...core.dataset import Dataset
from ...core.errors import UsageError, did_you_mean
from ...data.counting import agree
from ...nn.checkpoints import facts_beside
from ...training.layers import expand
from ...training.resume import warn_of_unfinished
from ...training.run import Run
from ..channels import refuse_other_channels
from ..data import EvaluationData
from ..evaluation import Evaluation
from ..grades import GradesConfig
from ..leakage import refuse_overlap
from ..requests import run_around
from ..tuned import TunedRun, open_run
from .arms import (
    FINETUNE,
    HANDCRAFTED,
    IMAGENET,
    KINDS,
    RANDOM,
    SCRATCH,
    START,
    Arm,
    evaluations_of,
)
from .several_runs import are_of_seeds, runs_in

_WHOLE = ("freeze", "layer_decay")  # options that the arm scratch does not take
_log = logging.getLogger("ssl_kit")


def parse_arms(texts: Sequence[str], imagenet_weights: str) -> list[Arm]:
    """Reads the arms from the command line: runs, and the names in `KINDS`.

    A folder with a run for each group, or for each seed, is one arm.
    A run is called like its folder; by its whole path where another arm is called so.

    Raises:
        UsageError: If an arm is none of these, or is given twice, or weights are given for none.
    """
    if imagenet_weights and IMAGENET not in texts:
        raise UsageError(
            "--imagenet-weights is for the arm imagenet, which is not compared. Name it too, or "
            "leave the file out."
        )
    names = [text if text in KINDS else Path(text).resolve().name for text in texts]
    arms = []
    for text, name in zip(texts, names, strict=True):
        if text in KINDS:
            arms.append(Arm(text, text, weights=imagenet_weights if text == IMAGENET else ""))
        elif Path(text).is_dir():
            taken = names.count(name) > 1 or name in KINDS
            runs = runs_in(Path(text))
            several: dict[str, Any] = {}
            if runs:
                several = {"seeds" if are_of_seeds(Path(text), runs) else "runs": runs}
            run = runs[0] if runs else _run(text)
            arms.append(Arm(text.strip("/") if taken else name, "run", run, **several))
        else:
            meant = did_you_mean(text, KINDS)
            raise UsageError(
                f"An arm is a run folder, {', '.join(KINDS)}; '{text}' is none. {meant}".rstrip()
            )
    given = {(arm.name if arm.name in KINDS else str(arm.folder.resolve())) for arm in arms}
    if len(given) < len(arms):
        raise UsageError("An arm is given twice. Name each once.")
    return [_start(arms) if arm.kind == START else arm for arm in arms]


def _start(arms: Sequence[Arm]) -> Arm:
    """Returns the arm of the weights that the first run began from.

    Raises:
        UsageError: If there is none, or it began from random weights.
    """
    run = next((arm.run for arm in arms if arm.run), None)
    init = run.config.encoder.init if run else SCRATCH
    if init == SCRATCH:
        raise UsageError(
            "The arm start is for a run that began from weights. Compare with random-frozen."
        )
    return Arm(START, START, origin=run, weights="" if init == IMAGENET else init)


def refuse_other_seeds(arms: Iterable[Arm], seeds: int) -> None:
    """Refuses a number of seeds that is not that of the runs of an arm.

    Args:
        arms: All arms.
        seeds: Number of seeds of the comparison.

    Raises:
        UsageError: If an arm has another number of runs.
    """
    for arm in arms:
        if arm.seeds and len(arm.seeds) != seeds:
            raise UsageError(
                f"'{arm.name}' has {len(arm.seeds)} runs that differ in their seed, and the "
                f"comparison has {seeds} seeds. Give --seeds {len(arm.seeds)}, so that each run is "
                "evaluated once at each budget."
            )


def with_controls(arms: Sequence[Arm], asked: str, evaluation: Evaluation) -> list[Arm]:
    """Adds the controls that are missing: the start of the first run, and hand-crafted descriptors.

    A start that is one of the arms already is not added. Neither are descriptors where an
    evaluation needs more than features, fine-tuning excepted.

    Args:
        arms: As they were asked for.
        asked: Name of the evaluation.
        evaluation: That evaluation.
    """
    added, kinds = list(arms), {arm.kind for arm in arms}
    if START not in kinds:
        try:
            start = _start(arms)
            if start.identity not in {arm.identity for arm in arms}:
                added.append(start)
        except UsageError as error:
            if any(arm.run and arm.run.config.encoder.init != SCRATCH for arm in arms):
                _log.warning("The start is not compared. %s", error)
    if HANDCRAFTED not in kinds and (evaluation.uses_features or asked == FINETUNE):
        added.append(Arm(HANDCRAFTED, HANDCRAFTED))
    return added


def _run(text: str) -> Run:
    """Opens an arm.

    Raises:
        UsageError: If it is a classifier, whose encoder has learned from all labels already.
        RunError: If the run has no encoder yet.
    """
    run = open_run(text)
    if isinstance(run, TunedRun):
        raise UsageError(
            f"'{text}' is a fine-tuned classifier, which learned from labels that the budgets of a "
            "comparison hold back. Compare the run that it was fine-tuned from."
        )
    run.require_encoder()
    warn_of_unfinished(run)
    return run


def refuse_unfit(arms: Sequence[Arm], asked: str, evaluation: Evaluation) -> None:
    """Refuses arms that the evaluation cannot compare with the others.

    They are frozen arms where it trains the encoder, except under fine-tuning, where they have a
    counterpart (see `Arm.evaluation`), and "scratch" where it does not test as fine-tuning does.

    Args:
        arms: As they were asked for.
        asked: Name of the evaluation.
        evaluation: That evaluation.

    Raises:
        UsageError: If there is one.
    """
    kinds = {arm.kind for arm in arms}
    if asked != FINETUNE and evaluation.trains_encoder:
        _refuse_frozen(kinds, asked, evaluation)
    elif SCRATCH in kinds and not evaluation.tested_like_finetuning:
        raise UsageError(
            f"'{SCRATCH}' is fine-tuned and predicts each image of the test part, which the "
            f"evaluation '{asked}' does not: that is no comparison. Leave it out; {RANDOM} has "
            "random weights too."
        )


def _refuse_frozen(kinds: Collection[str], asked: str, evaluation: Evaluation) -> None:
    if HANDCRAFTED in kinds:
        raise UsageError(
            f"The evaluation '{asked}' trains an encoder, and the arm handcrafted has none. Leave "
            "it out."
        )
    if RANDOM in kinds and getattr(evaluation.config, "freeze", "none") != "all":
        raise UsageError(
            f"The evaluation '{asked}' trains the encoder, so that random-frozen would not be "
            f"frozen. Compare with scratch, or freeze all arms with --set {asked}.freeze=all."
        )


def warn_of_idle(arms: Iterable[Arm], asked: str, settings: Mapping[str, Any] | None) -> None:
    """Warns of options of an evaluation that no arm is put to, or that its arms do not take.

    Args:
        arms: All arms.
        asked: Name of the evaluation that was asked for.
        settings: Options that were set; see `choose`. What is reported is alike in all arms.
    """
    used = {arm.evaluation_name(asked) for arm in arms}
    others = {name: given for name, given in expand(settings).items() if name != asked}
    for name, given in others.items():
        options = given if isinstance(given, Mapping) and name in evaluations_of(asked) else {}
        own = [option for option in options if option not in GradesConfig.model_fields]
        idle = [option for option in own if name not in used or option in _WHOLE]
        if not idle:
            continue
        reason = f"of these arms only {SCRATCH} is fine-tuned, and always as a whole"
        if name not in used:
            reason = f"none of these arms is put to '{name}'"
        listed = " and ".join(f"{name}.{option}" for option in idle)
        verb = agree(len(idle), "changes", "change")
        _log.warning("%s %s nothing, because %s.", listed, verb, reason)


def checked(arm: Arm, data: EvaluationData, allow: bool, evaluation: Evaluation) -> Arm:
    """Returns the arm with the number of test groups that its weights were pre-trained on.

    Args:
        arm: The arm.
        data: Labeled images in three parts.
        allow: Whether to accept test groups that were pre-trained on.
        evaluation: The evaluation that was asked for.

    Raises:
        UsageError: If its weights do not fit the images or the evaluation, or saw test groups.
    """
    if arm.run is None:
        origin = run_around(arm.weights) if arm.weights else None
        seen = refuse_overlap(origin, data, allow, [evaluation]) if origin else 0
        return replace(arm, shared=seen)
    for run in arm.all_runs:
        facts = run.read_json("encoder.json")
        refuse_other_channels(data.dataset, facts["channels"], arm.name)
        _check_scaling(arm.name, facts["value_range"], data.dataset)
    if arm.runs and not evaluation.within_groups:
        raise UsageError(
            f"'{arm.name}' has a run for each group, and this evaluation tests one encoder. Choose "
            "--evaluation within_group, or compare one of the runs."
        )
    shared = sum(refuse_overlap(run, data, allow, [evaluation]) for run in arm.all_runs)
    return replace(arm, shared=shared)


def _check_scaling(name: str, value_range: Any, dataset: Dataset) -> None:
    trained = np.array(value_range)
    if trained.shape != dataset.value_range.shape or not np.allclose(trained, dataset.value_range):
        raise UsageError(
            f"'{name}' was trained on images of another value range than the first run. "
            "Compare them in two comparisons."
        )


def architecture_of(arms: Sequence[Arm], encoder: str, image_size: int) -> tuple[str, int]:
    """Returns the encoder and image size of all arms: those of the runs, if there are any.

    Raises:
        UsageError: If they differ.
    """
    runs = [arm.run for arm in arms if arm.run]
    names = {run.config.encoder.name for run in runs} | ({encoder} if encoder else set())
    beside = [facts_beside(arm.weights) for arm in arms if arm.weights]
    names |= {facts["architecture"] for facts in beside if facts}
    if len(names) > 1:
        raise UsageError(
            f"All arms must have one architecture, not {', '.join(sorted(names))}. Compare runs of "
            "the same encoder, and leave out --encoder."
        )
    sizes = {run.config.encoder.image_size for run in runs}
    if len(sizes) > 1 and not image_size:
        raise UsageError(
            f"All arms are compared at one image size, and the runs are for images of "
            f"{', '.join(map(str, sorted(sizes)))} px. Give --image-size {max(sizes)}, for example."
        )
    sizes = sizes or {facts["image_size"] for facts in beside if facts}
    return min(names, default="resnet18"), image_size or min(sizes, default=64)
