"""Speech to text: an encoder is fine-tuned with CTC on the texts of recordings.

Connectionist Temporal Classification, Graves, Fernandez, Gomez, Schmidhuber, 2006,
https://doi.org/10.1145/1143844.1143891, fine-tuned as in HuBERT (Hsu et al. 2021, section IV-D,
https://arxiv.org/abs/2106.07447): first the new layer alone, then the encoder too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from ssl_kit import Config, Evaluation, UsageError
from ssl_kit.evaluation import (
    EvaluationData,
    Floats,
    Pretrained,
    Result,
    Weights,
    choose_epochs_then_refit,
    jackknife,
    seeded,
)

from .ctc import CtcTraining, Errors
from .frames import Rows, check_level, check_recordings

_CHECKS = 10  # predictions of the validation part


class TranscriptionConfig(Config):
    """Options of the evaluation."""

    texts: Annotated[
        dict[str, str],
        Field(
            default_factory=dict,
            description="text of each class, as in {'7' = 'seven'}; without it, its name",
        ),
    ]
    level: Annotated[
        int, Field(description="level of the encoder's pyramid that frames are taken from")
    ] = -1
    epochs: Annotated[
        int, Field(ge=1, description="largest number of epochs; validation windows choose")
    ] = 30
    frozen: Annotated[
        float,
        Field(ge=0, le=1, description="share of the steps, the first, that train the head alone"),
    ] = 0.2
    lr: Annotated[float, Field(gt=0, description="peak learning rate of AdamW")] = 5e-4
    weight_decay: Annotated[float, Field(ge=0, description="weight decay of AdamW")] = 0.01
    batch_size: Annotated[int, Field(ge=2, description="number of windows in a batch")] = 32
    policy: Annotated[
        str, Field(description="augmentation policy of the domain for training windows")
    ] = "weak"
    seed: Annotated[
        int, Field(ge=0, description="random seed of the head, the order and the augmentations")
    ] = 0


class Transcription(Evaluation):
    """How well is speech written down after fine-tuning from the encoder's weights?

    The labels of windows are their texts; a window is a whole recording. Characters are predicted
    for each frame, the most probable ones are joined, and no language model helps.
    `character_error_rate` and `word_error_rate` are the numbers of inserted, deleted and replaced
    characters and words as a share of those of the texts; `exact_match` is the share of recordings
    without any.
    """

    Config = TranscriptionConfig
    quick: ClassVar[Mapping[str, Any]] = {"epochs": 1}
    demo_domain = "audio"

    def check(self, data: EvaluationData) -> None:
        """Refuses images, recordings cut into several windows, and classes without a text."""
        check_recordings(data)
        parts, index = data.parts, data.dataset.index
        rows = np.concatenate([parts.train, parts.val, parts.test])
        recordings = {index.key(i).partition("#")[0] for i in rows.tolist()}  # a part is "#start"
        if len(recordings) < len(rows):
            raise UsageError(
                "Some recordings are cut into several windows, and their texts are not. Set "
                "data.options.window to the length in seconds of the longest recording."
            )
        self._texts(index.classes)

    def _texts(self, classes: Sequence[str]) -> list[str]:
        """Returns the text of each class.

        Raises:
            UsageError: If a class is named that there is not, or a text is empty.
        """
        given: Mapping[str, str] = self.config.texts
        unknown = sorted(set(given) - set(classes))
        if unknown:
            raise UsageError(f"transcription.texts names '{unknown[0]}', which is no class.")
        texts = [given.get(name, name) for name in classes]
        if not all(texts):
            raise UsageError(f"The text of '{classes[texts.index('')]}' is empty.")
        return texts

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Chooses the number of epochs on the validation windows, and tests once."""
        self.check(data)
        check_level(model.encoder, self.config.level)
        texts, parts = self._texts(data.dataset.index.classes), data.parts
        spread = np.linspace(0, self.config.epochs, min(_CHECKS, self.config.epochs) + 1)[1:]
        checks = set(spread.round().astype(int).tolist()) if len(parts.val) else set()

        def make(with_val: bool) -> CtcTraining:
            known = np.concatenate([parts.train, parts.val]) if with_val else parts.train
            return CtcTraining(model, data, np.sort(known), texts, self.config)

        with seeded(self.config.seed):
            fitted = choose_epochs_then_refit(make, self.config.epochs, checks, _score)
            errors, rows = fitted.model.errors(parts.test)
        groups = data.dataset.index.groups[rows]
        return transcription_result(errors, groups, epochs=fitted.setting)


def _score(characters: Rows, wrong: Rows) -> float:
    return -float(wrong.sum() / characters.sum())


def transcription_result(errors: Errors, groups: Rows, **details: Any) -> Result:
    """Scores transcriptions, with intervals over groups.

    Args:
        errors: Of n recordings.
        groups: (n,) group numbers.
        details: Anything else to keep in the result, as plain values.
    """
    codes = np.unique(groups, return_inverse=True)[1]
    exact = (errors.wrong_characters == 0).astype(int)
    columns = (*errors, exact, np.ones_like(exact))
    sums = np.stack([np.bincount(codes, weights=column) for column in columns])  # (6, G)

    def statistic(weights: Weights) -> dict[str, Floats]:
        characters, wrong_characters, words, wrong_words, right, count = sums @ weights
        return {
            "exact_match": right / count,
            "character_error_rate": wrong_characters / characters,
            "word_error_rate": wrong_words / words,
        }

    worst = max(1.0, *(sums[1] / sums[0]).tolist(), *(sums[3] / sums[2]).tolist())
    limits = dict.fromkeys(("character_error_rate", "word_error_rate"), (0.0, worst))
    kept = jackknife(statistic, sums[-1], limits=limits)
    metrics = {name: each.estimate() for name, each in kept.items()}
    by_group = sums[4] / sums[5]
    return Result(metrics, kept, "exact_match", (), by_group, details, len(groups))
