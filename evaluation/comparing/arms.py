"""The arms of a comparison: which encoder each brings, and which evaluation it is put to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...core.dataset import Dataset
from ...core.discovery import evaluations
from ...core.errors import UsageError
from ...data.splits import Positions
from ...training.run import Run
from ..beside_start import start_of
from ..evaluation import Evaluation
from ..pretrained import Pretrained, from_init, from_run, handcrafted
from .several_runs import from_runs, pretraining_of_all

FINETUNE, LINEAR = "finetune", "linear"
SCRATCH, IMAGENET, RANDOM = "scratch", "imagenet", "random-frozen"
HANDCRAFTED, START = "handcrafted", "start"
KINDS = (SCRATCH, IMAGENET, RANDOM, HANDCRAFTED, START)
_LONGER = 4  # times as many images: docs/compare.md has what that gains
_RANDOM_WEIGHTS = (SCRATCH, RANDOM)


@dataclass(frozen=True)
class Arm:
    """One row of a comparison.

    Attributes:
        name: In tables and file names.
        kind: "run", "scratch", "imagenet", "random-frozen", "handcrafted" or "start".
        run: The run of an arm of that kind; the first one if there are several.
        runs: The runs of an arm that has one for each group.
        seeds: The runs of an arm that has one for each seed of the comparison.
        origin: The run that began from the weights of "start".
        weights: A file, or the folder of a run, for "imagenet" and "start"; "" for timm's own
            weights.
        shared: Number of test groups that the weights were pre-trained on.
    """

    name: str
    kind: str
    run: Run | None = None
    runs: tuple[Run, ...] = ()
    seeds: tuple[Run, ...] = ()
    origin: Run | None = None
    weights: str = ""
    shared: int = 0

    @property
    def is_random(self) -> bool:
        """Whether its weights are drawn anew for each seed."""
        return self.kind in _RANDOM_WEIGHTS

    @property
    def has_several_weights(self) -> bool:
        """Whether its weights are others at each seed."""
        return self.is_random or bool(self.seeds)

    @property
    def folder(self) -> Path:
        """The folder of its run, or that with its runs."""
        several = self.runs or self.seeds
        return several[0].folder.parent if several else self.run.folder if self.run else Path()

    @property
    def all_runs(self) -> tuple[Run, ...]:
        """Its run, or its runs; () if it is of another kind."""
        return self.runs or self.seeds or ((self.run,) if self.run else ())

    @property
    def is_earlier(self) -> bool:
        """Whether its runs were pre-trained on the earlier time of groups alone."""
        return any(run.config.data.until < 1 for run in self.all_runs)

    @property
    def identity(self) -> str:
        """Tells its weights from others."""
        if self.runs or self.seeds:
            digests = [hashlib.sha256(run.encoder.read_bytes()).digest() for run in self.all_runs]
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
            seed: Seed of random weights, or the number of its run of a seed.
            architecture: Name of the encoder.
            image_size: Pixels.
            data: The images it will see.
            pool: Positions that statistics may be measured on.
            options: Further arguments of the architecture.

        Raises:
            RunError: If its weights are unavailable.
        """
        if self.run:
            model = self._of_runs(self.run, seed, image_size)
            model.check(data)
        elif self.origin:
            trained = replace(from_run(self.origin), image_size=image_size)
            model = start_of(self.origin, trained)
        elif self.kind == HANDCRAFTED:
            model = handcrafted(image_size, data, pool)
        else:
            init = SCRATCH if self.is_random else self.weights or IMAGENET
            model = from_init(init, architecture, image_size, data, pool, seed, options)
        return replace(model, name=self.name, image_size=image_size)

    def _of_runs(self, run: Run, seed: int, image_size: int) -> Pretrained:
        """Loads the encoder of its run, or of its runs of a seed or of one group each."""
        if self.runs:
            return from_runs(self.runs, image_size)
        if not self.seeds:
            return from_run(run)
        model, seeds = from_run(self.seeds[seed]), [each.config.seed for each in self.seeds]
        of_seeds = f"{len(seeds)} runs of the seeds {', '.join(map(str, seeds))}"
        return replace(model, loaded=f"{of_seeds}; of the latest: {model.loaded}")

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
            "pretraining": pretraining_of_all(self.all_runs, alike=bool(self.seeds)),
            "seeds": [run.config.seed for run in self.seeds],
        }


def evaluations_of(asked: str) -> list[str]:
    """Returns the evaluations that a comparison has options of: its own and those of some arms."""
    if asked == FINETUNE:
        return [FINETUNE, LINEAR]
    return [asked] if _trains_encoder(asked) else [asked, FINETUNE]


def _trains_encoder(name: str) -> bool:
    kind: type[Evaluation] = evaluations[name]
    return kind.trains_encoder
