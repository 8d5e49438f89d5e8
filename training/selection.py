"""Chooses the encoder that a run hands back, so that pre-training does no harm unnoticed."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from ..core.errors import SslKitError, UsageError
from ..data.process import seeded
from ..data.splits import Positions
from ..data.standardize import Standardize
from ..nn.weights import load_initial_weights
from .candidates import COUNT, END, START, Candidates
from .choice import balanced, choose
from .intervals import Estimate
from .judge import Sample, judged_by
from .representation import linear_cka
from .retrieval import IMAGES, ViewPairs, compare
from .run import Run
from .setup import Setup, initial_encoder

SHARE_OF_TIME = 0.04
FEWEST_IMAGES, MOST_IMAGES = 64, 1000
_FORWARD = 1 / 3  # of the time of a training step, at most, which also goes back through the net
_PROBE = 1.5  # embedding and probe together, relative to embedding alone

Features = NDArray[np.float32]


class Selection:
    """Chooses the encoder that a run from weights hands back.

    Where there are labels, the start, the middle, the end and interpolations of start and end are
    judged by a probe. Otherwise the end is compared with the start by how often its features find
    another view of an image, and the start is handed back if they do so less often. All of this
    follows from the schedule and the images alone: a run that was killed and resumed chooses the
    same.

    Args:
        run: The run folder.
        setup: The parts of the run.
        accelerator: Tells which process judges.
        standardize: Standardizes images as in training.

    Attributes:
        facts: What was chosen and why, as in selection.json; empty before the end.
        reason: Why labels are no judge, a clause; "" if they are.
    """

    def __init__(
        self, run: Run, setup: Setup, accelerator: Accelerator, standardize: Standardize
    ) -> None:
        self._run, self._setup = run, setup
        self._accelerator, self._standardize = accelerator, standardize
        self._candidates = Candidates(run, setup.dataset.channels)
        self.facts: Mapping[str, Any] = {}
        self._images: Positions = setup.pool[:0]
        from_weights = setup.config.encoder.init != "scratch"
        self._wanted = from_weights and setup.config.train.keep == "best"
        self.reason = "" if self._wanted else "not asked for"
        if self._wanted:
            try:
                self._images = judged_by(setup.dataset.index, setup.pool)
            except UsageError as error:
                self.reason = str(error)

    @property
    def kept(self) -> dict[str, Any]:
        """The encoder that the run hands back."""
        return dict(self.facts.get("kept", END.facts()))

    def begin(self) -> None:
        """Keeps the weights that the training starts from; to be called before it is resumed."""
        if not self._accelerator.is_main_process:
            return
        resumed = self._run.last.is_file()
        if resumed and self._run.selection.is_file():
            self.facts = self._run.read_json(self._run.selection.name)
            self._candidates.remove()  # those that a kill after the choice has left
            return
        self._run.selection.unlink(missing_ok=True)  # of a run that is begun anew
        if self._wanted and not (resumed and self._candidates.has(0.0)):
            self._candidates.save(0.0, self._weights())

    def note(self, before: float, now: float) -> None:
        """Keeps the weights after a step if they are a candidate.

        Args:
            before: Share of the schedule that was done before the step.
            now: Share that is done after it.
        """
        share = None if self.reason else self._candidates.passed(before, now)
        if share is not None and self._accelerator.is_main_process:
            self._candidates.save(share, self._weights())

    def seconds(self, max_time: float, per_image: float | None) -> float:
        """Returns how long judging will take at most.

        Args:
            max_time: Seconds of the training.
            per_image: Seconds in which an image is embedded; None if not measured.
        """
        if not self._wanted or per_image is None:
            return SHARE_OF_TIME * max_time if self._wanted else 0.0
        one, most = per_image * _PROBE * COUNT, IMAGES if self.reason else MOST_IMAGES
        return min(max(SHARE_OF_TIME * max_time, FEWEST_IMAGES * one), most * one)

    def finish(self, steps: int) -> None:
        """Chooses, and writes encoder.safetensors and selection.json; in the main process only.

        Args:
            steps: Steps of the training.
        """
        if self.facts or not self._wanted or not self._accelerator.is_main_process:
            return
        facts = {"kept": END.facts(), "reason": self.reason, **self._compare(steps)}
        self._run.write_json(self._run.selection.name, facts)
        self.facts = facts
        self._candidates.remove()

    def _compare(self, steps: int) -> dict[str, Any]:
        """Compares encoders, and leaves that of the training as it is."""
        end = {name: tensor.cpu().clone() for name, tensor in self._weights().items()}
        encoder = self._setup.encoder
        training = encoder.training
        encoder.eval()
        facts = self._retrieval(end, steps) if self.reason else self._choice(end, steps)
        encoder.body.load_state_dict(end)
        encoder.train(training)
        return facts

    def images(self, steps: int) -> int:
        """Returns the number of images to judge by: as many as cost 4 % of the training at most.

        It is counted in images and not in seconds, because a resumed run must choose the same.
        """
        setup, size = self._setup, self._setup.config.encoder.image_size
        views = sum((view.size / size) ** 2 for view in setup.views)
        trained = steps * setup.images_per_step * views / _FORWARD
        count = int(SHARE_OF_TIME * trained / COUNT)
        return min(max(count, FEWEST_IMAGES), MOST_IMAGES)

    def _choice(self, end: Mapping[str, Tensor], steps: int) -> dict[str, Any]:
        sample = Sample.of(self._setup, self._images, self.images(steps))
        candidates = self._candidates.all(end)
        features = [self._features(sample, weights()) for _, weights in candidates]
        correct = [sample.correct(each) for each in features]
        choice = choose(correct, sample.labels, sample.groups, sample.folds[0])
        kept, weights = candidates[choice.chosen]
        published = self._published(sample, correct[choice.chosen])
        if kept != END:
            self._hand_back(weights(), end)
        rows = zip(candidates, choice.values, choice.gains, features, strict=True)
        return {
            "kept": kept.facts(),
            "images": len(sample.labels),
            "groups": len(np.unique(sample.groups)),
            "classes": len(np.unique(sample.labels)),
            "gain": _plain(choice.gain),
            "weights_changed": self._changed(end),
            **({"published": published} if published else {}),
            "candidates": [
                {
                    **candidate.facts(),
                    "accuracy": _plain(value),
                    "gain": _plain(gain),
                    "cka": _cka(features[0], each),
                }
                for (candidate, _), value, gain, each in rows
            ],
        }

    def _published(self, sample: Sample, kept: NDArray[Any]) -> dict[str, Any]:
        """Compares the start as it is pooled without this objective with what is handed back.

        Args:
            sample: The images.
            kept: How often each is classified correctly by what is handed back, (n,).

        Returns:
            What the objective pools instead, the accuracy, and its paired difference; {} where
            pooling is unchanged, or the initial weights are gone since a run was interrupted.
        """
        setup, settings = self._setup, self._setup.config.encoder
        if not setup.encoder.pooling:
            return {}
        try:
            with seeded(0):  # its random weights are overwritten
                encoder = initial_encoder(settings, len(setup.dataset.channels))
                load_initial_weights(encoder, settings.init, setup.dataset.channels)
        except (SslKitError, OSError):
            return {}
        encoder.to(self._accelerator.device).eval()
        features = sample.features(encoder, self._standardize, self._accelerator.autocast)
        scores = [
            balanced(correct, sample.labels, sample.groups)
            for correct in (sample.correct(features), kept)
        ]
        return {
            "pooling": setup.encoder.pooling,
            "accuracy": _plain(scores[0].estimate()),
            "gain": _plain((scores[0] - scores[1]).estimate()),
        }

    def _retrieval(self, end: Mapping[str, Tensor], steps: int) -> dict[str, Any]:
        """Chooses between start and end by how often they find another view of an image."""
        setup, most = self._setup, self.images(steps)
        start, given = self._candidates.load(0.0), (self._standardize, self._accelerator.autocast)
        sample, pairs = Sample.of(setup, setup.pool, min(most, IMAGES)), ViewPairs.of(setup, most)
        features, found = [], []
        for weights in (start, end):
            features.append(self._features(sample, weights))
            found.append(pairs.found(setup.encoder, *given))
        retrieval = compare(*found)
        worse = retrieval["gain"].high < 0
        if worse:
            self._hand_back(start, end)
        return {
            "kept": (START if worse else END).facts(),
            "images": len(found[0]),
            "view_retrieval": {name: _plain(each) for name, each in retrieval.items()},
            "weights_changed": self._changed(end),
            "cka": _cka(*features),
        }

    def _hand_back(self, weights: Mapping[str, Tensor], end: Mapping[str, Tensor]) -> None:
        """Writes the encoder that is handed back in place of the end, which is kept apart."""
        channels = self._setup.dataset.channels
        self._run.save_weights(self._run.end, end, channels)
        self._run.save_weights(self._run.encoder, weights, channels)

    def _features(self, sample: Sample, weights: Mapping[str, Tensor]) -> Features:
        encoder = self._setup.encoder
        encoder.body.load_state_dict(weights)
        return sample.features(encoder, self._standardize, self._accelerator.autocast)

    def _changed(self, end: Mapping[str, Tensor]) -> float:
        """Returns the norm of the change of all parameters, relative to their norm at the start."""
        start = self._candidates.load(0.0)
        names = [name for name, _ in self._setup.encoder.body.named_parameters()]
        change = sum(float((end[name] - start[name]).double().square().sum()) for name in names)
        whole = sum(float(start[name].double().square().sum()) for name in names)
        return (change / whole) ** 0.5 if whole else 0.0

    def _weights(self) -> Mapping[str, Tensor]:
        weights: Mapping[str, Tensor] = self._setup.encoder.body.state_dict()
        return weights


def _plain(estimate: Estimate) -> dict[str, float | None]:
    """Returns an estimate for JSON, in which null stands for NaN."""
    return {end: value if isfinite(value) else None for end, value in vars(estimate).items()}


def _cka(start: Features, features: Features) -> float | None:
    """Returns CKA with the start's features, None if it is not defined."""
    if not np.isfinite(features).all() or len(features) < 4:
        return None
    return linear_cka(torch.from_numpy(start).double(), torch.from_numpy(features).double())
