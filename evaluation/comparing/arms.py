"""The arms of a comparison: which encoder each brings, and which evaluation it is put to."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...core.dataset import Dataset
from ...core.discovery import evaluations
from ...core.errors import UsageError, did_you_mean
from ...data.splits import Positions
from ...nn.checkpoints import facts_beside
from ...training.run import Run
from ..beside_start import start_of
from ..evaluation import Evaluation
from ..pretrained import Pretrained, from_init, from_run
from ..tuned import TunedRun, open_run
from .group_runs import from_runs, pretraining_of_all, runs_of_groups

FINETUNE, LINEAR = "finetune", "linear"
SCRATCH, IMAGENET, RANDOM = "scratch", "imagenet", "random-frozen"
HANDCRAFTED, START = "handcrafted", "start"
KINDS = (SCRATCH, IMAGENET, RANDOM, HANDCRAFTED, START)
_LONGER = 4  # times as many images: docs/compare.md has what that gains
_RANDOM_WEIGHTS = (SCRATCH, RANDOM)
_log = logging.getLogger("ssl_kit")


@dataclass(frozen=True)
class Arm:
    """One row of a comparison.

    Attributes:
        name: In tables and file names.
        kind: "run", "scratch", "imagenet", "random-frozen", "handcrafted" or "start".
        run: The run of an arm of that kind; the first one if there are several.
        runs: The runs of an arm that has one for each group.
        origin: The run that began from the weights of "start".
        weights: A file, or the folder of a run, for "imagenet" and "start"; "" for timm's own
            weights.
        shared: Number of test groups that the run was pre-trained on.
    """

    name: str
    kind: str
    run: Run | None = None
    runs: tuple[Run, ...] = ()
    origin: Run | None = None
    weights: str = ""
    shared: int = 0

    @property
    def is_random(self) -> bool:
        """Whether its weights are drawn anew for each seed."""
        return self.kind in _RANDOM_WEIGHTS

    @property
    def folder(self) -> Path:
        """The folder of its run, or that with its runs of one group each."""
        return self.runs[0].folder.parent if self.runs else self.run.folder if self.run else Path()

    @property
    def all_runs(self) -> tuple[Run, ...]:
        """Its run, or its runs of one group each; () if it is of another kind."""
        return self.runs or ((self.run,) if self.run else ())

    @property
    def identity(self) -> str:
        """Tells its weights from others."""
        if self.runs:
            digests = [hashlib.sha256(run.encoder.read_bytes()).digest() for run in self.runs]
            return hashlib.sha256(b"".join(digests)).hexdigest()[:16]
        file = self.run.encoder if self.run else Path(self.weights) if self.weights else None
        if file is None:
            return IMAGENET if self.kind == START else self.kind
        if file.is_dir():  # of a run, or of a classifier
            file = min(file.glob("*.safetensors"), default=file)
        if not file.is_file():
            raise UsageError(f"The weights '{file}' do not exist.")
        return hashlib.sha256(file.read_bytes()).hexdigest()[:16]

    def load(
        self,
        seed: int,
        architecture: str,
        image_size: int,
        data: Dataset,
        pool: Positions,
        options: Mapping[str, Any] | None = None,
    ) -> Pretrained:
        """Loads its encoder.

        Args:
            seed: Seed of random weights.
            architecture: Name of the encoder.
            image_size: Pixels.
            data: The images it will see.
            pool: Positions that statistics may be measured on.
            options: Further arguments of the architecture.

        Raises:
            RunError: If its weights are unavailable.
        """
        if self.run:
            model = from_runs(self.runs, image_size) if self.runs else from_run(self.run)
            model.check(data)
        elif self.origin:
            trained = replace(from_run(self.origin), image_size=image_size)
            model = start_of(self.origin, trained)
        else:
            fixed = self.kind == HANDCRAFTED
            init = SCRATCH if self.is_random or fixed else self.weights or IMAGENET
            architecture = HANDCRAFTED if fixed else architecture
            model = from_init(init, architecture, image_size, data, pool, seed, options)
        loaded = "descriptors without weights" if self.kind == HANDCRAFTED else model.loaded
        return replace(model, name=self.name, image_size=image_size, loaded=loaded)

    def evaluation(self, asked: str, chosen: Mapping[str, Evaluation], seed: int) -> Evaluation:
        """Returns the evaluation of this arm at a seed.

        "scratch" is always trained as a whole: by the evaluation if that trains encoders, else by
        fine-tuning, which has four times as many images where no number of epochs is set, because
        random weights need it. Under fine-tuning "random-frozen" has its head trained only, and
        "handcrafted", which has nothing to train, is put to the linear probe.

        Args:
            asked: Name of the evaluation.
            chosen: The evaluations of all arms, with the options that were set.
            seed: For evaluations that have one.
        """
        evaluation = chosen[self.evaluation_name(asked)]
        changes: dict[str, Any] = {}
        if self.kind == SCRATCH:
            changes = {"freeze": "none"}
            if "images" in type(evaluation.config).model_fields:
                images = _LONGER * evaluation.config.images
                changes |= {"layer_decay": 1.0, "images": images}
        elif self.kind == RANDOM and asked == FINETUNE:
            changes = {"freeze": "all"}
        if "seed" in type(evaluation.config).model_fields:
            changes["seed"] = seed
        return type(evaluation)(evaluation.config.model_copy(update=changes))

    def evaluation_name(self, asked: str) -> str:
        """Returns the name of the evaluation it is put to."""
        if self.kind == HANDCRAFTED and asked == FINETUNE:
            return LINEAR
        return asked if self.kind != SCRATCH or _trains_encoder(asked) else FINETUNE

    def to_json(self, asked: str, loaded: str, unavailable: str) -> dict[str, Any]:
        """Returns plain values.

        Args:
            asked: Name of the evaluation.
            loaded: A sentence on the weights.
            unavailable: Why there are none; "" if there are.
        """
        return {
            "name": self.name,
            "kind": self.kind,
            "evaluation": self.evaluation_name(asked),
            "source": str(self.folder) if self.run else self.weights,
            "weights": loaded,
            "unavailable": unavailable,
            "shared_test_groups": self.shared,
            "pretraining": pretraining_of_all(self.all_runs),
        }


def parse_arms(texts: Sequence[str], imagenet_weights: str) -> list[Arm]:
    """Reads the arms from the command line: runs, and the names in `KINDS`.

    A folder with a run for each group is one arm.
    A run is called like its folder; by its whole path where another arm is called so.

    Raises:
        UsageError: If an arm is none of these, or is given twice.
    """
    names = [text if text in KINDS else Path(text).resolve().name for text in texts]
    arms = []
    for text, name in zip(texts, names, strict=True):
        if text in KINDS:
            arms.append(Arm(text, text, weights=imagenet_weights if text == IMAGENET else ""))
        elif Path(text).is_dir():
            taken = names.count(name) > 1 or name in KINDS
            runs = runs_of_groups(Path(text))
            run = runs[0] if runs else _run(text)
            arms.append(Arm(text.strip("/") if taken else name, "run", run, runs))
        else:
            meant = did_you_mean(text, KINDS)
            raise UsageError(
                f"An arm is a run folder, {', '.join(KINDS)}; '{text}' is none. {meant}".rstrip()
            )
    if len({arm.name for arm in arms}) < len(arms):
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
    return run


def evaluations_of(asked: str) -> list[str]:
    """Returns the evaluations that a comparison has options of: its own and those of some arms."""
    if asked == FINETUNE:
        return [FINETUNE, LINEAR]
    return [asked] if _trains_encoder(asked) else [asked, FINETUNE]


def _trains_encoder(name: str) -> bool:
    kind: type[Evaluation] = evaluations[name]
    return kind.trains_encoder


def refuse_frozen(arms: Sequence[Arm], asked: str, evaluation: Evaluation) -> None:
    """Refuses arms that have nothing to train where the evaluation trains the encoder.

    Under fine-tuning they have a counterpart; see `Arm.evaluation`.

    Raises:
        UsageError: If there is one.
    """
    if asked == FINETUNE or not evaluation.trains_encoder:
        return
    kinds = {arm.kind for arm in arms}
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
            f"The runs were trained at {', '.join(map(str, sorted(sizes)))} px. Give --image-size."
        )
    sizes = sizes or {facts["image_size"] for facts in beside if facts}
    return min(names, default="resnet18"), image_size or min(sizes, default=64)
