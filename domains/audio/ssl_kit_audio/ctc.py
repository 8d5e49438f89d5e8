"""The training of a network with CTC, an epoch at a time, and its errors."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein
from torch import Tensor, nn
from torch.nn.functional import ctc_loss, log_softmax

from ssl_kit import Output, View
from ssl_kit.evaluation import (
    EvaluationData,
    Predictions,
    Pretrained,
    TrainingStep,
    choose_device,
    mean_loss,
    training_views,
)

from .frames import Rows, embed_frames, frames_of

_BLANK = 0
_CROP = (0.8, 1.0)  # share of a window that a training view shows: no character may be lost
_WARM, _HOLD = 0.1, 0.5  # of the steps: the rate rises until the first, and falls from the second


class Errors(NamedTuple):
    """What was written down wrong of n recordings, (n,) each."""

    characters: Rows
    wrong_characters: Rows
    words: Rows
    wrong_words: Rows


def count_errors(texts: Sequence[str], written: Sequence[str]) -> Errors:
    """Counts characters and words, and those that were inserted, deleted or replaced."""
    pairs = list(zip(texts, written, strict=True))
    return Errors(
        np.array([len(text) for text in texts]),
        np.array([Levenshtein.distance(*pair) for pair in pairs]),
        np.array([len(text.split()) for text in texts]),
        np.array([Levenshtein.distance(a.split(), b.split()) for a, b in pairs]),
    )


class Writer(nn.Module):
    """A copy of an encoder with a linear layer that predicts the character of each frame.

    Args:
        encoder: Copied, so that it stays as it is.
        characters: Number of characters; number 0 is the blank of CTC.
        longest: Length of the longest text: each column of the map gives as many frames as leave
            room for it with blanks between equal characters.
        level: Level of the encoder's pyramid.
    """

    def __init__(self, encoder: Any, characters: int, longest: int, level: int) -> None:
        super().__init__()
        self.encoder, self.level = copy.deepcopy(encoder), level
        dim, _, columns = encoder.pyramid_shapes(encoder.image_size)[level]
        self.parts = -(-(2 * longest + 1) // columns)
        self.head = nn.Linear(dim, self.parts * (characters + 1))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to log-probabilities (B, T, characters + 1)."""
        scores = self.head(frames_of(self.encoder, x, self.level))
        return log_softmax(scores.reshape(len(x), scores.shape[1] * self.parts, -1), dim=2)


def decode(log_probabilities: NDArray[np.float32], alphabet: str) -> str:
    """Joins the most probable characters of frames (T, characters + 1), as CTC does."""
    path = [code for code, _ in groupby(log_probabilities.argmax(axis=1).tolist())]
    return "".join(alphabet[code - 1] for code in path if code != _BLANK)


class CtcTraining:
    """Fine-tunes an encoder; the first steps train the head alone.

    Args:
        model: The encoder with its preprocessing, which stays as it is.
        data: The recordings.
        rows: Positions of those to learn from.
        texts: Text of each class.
        options: Of the evaluation.
    """

    def __init__(
        self, model: Pretrained, data: EvaluationData, rows: Rows, texts: list[str], options: Any
    ) -> None:
        torch.manual_seed(options.seed)
        self._model, self._data, self._texts, self._options = model, data, texts, options
        self._classes = data.dataset.index.labels
        known = {texts[k] for k in self._classes[rows]}
        self.alphabet = "".join(sorted(set("".join(known))))
        longest = max(map(len, known))
        self.net = Writer(model.encoder, len(self.alphabet), longest, options.level)
        self.net = self.net.to(choose_device())
        optimizer = torch.optim.AdamW(
            self.net.parameters(), options.lr, weight_decay=options.weight_decay
        )
        self._take_step = TrainingStep(self.net, optimizer, clip=1.0)
        views = [View(model.image_size, _CROP, options.policy)]
        batch = min(options.batch_size, len(rows))
        self._batches = training_views(model, data, rows, views, batch, options.seed)
        self._each, self._step = len(rows) // batch, 0

    def epoch(self) -> float:
        """Trains for an epoch and returns the mean loss."""
        options, losses = self._options, []
        for _ in range(self._each):
            done = self._step / (self._each * options.epochs)
            released = done >= options.frozen
            self.net.train(released)
            self.net.encoder.requires_grad_(released)
            (x,), rows = next(self._batches)
            rate = float(np.interp(done, [0, _WARM, _HOLD, 1], [0.01, 1, 1, 0]))
            losses.append(self._take_step(options.lr * rate, partial(self._loss, x, rows)).loss)
            self._step += 1
        return mean_loss(losses, "transcription", "transcription.lr")

    def _loss(self, x: Tensor, rows: Rows) -> Output:
        texts = [self._texts[k] for k in self._classes[rows]]
        codes = [self.alphabet.index(character) + 1 for text in texts for character in text]
        log_probabilities = self.net(x).transpose(0, 1)
        frames = torch.full((len(texts),), len(log_probabilities))
        lengths = torch.tensor([len(text) for text in texts])
        targets = torch.tensor(codes, device=x.device)
        return Output(ctc_loss(log_probabilities, targets, frames, lengths, _BLANK))

    def errors(self, positions: Rows) -> tuple[Errors, Rows]:
        """Writes recordings down; returns the errors, and the positions of what could be read."""
        frames, rows = embed_frames(self._model, self._data, positions, self.net)
        texts = [self._texts[k] for k in self._classes[rows]]
        return count_errors(texts, [decode(each, self.alphabet) for each in frames]), rows

    def validate(self) -> Predictions:
        """Returns the numbers of characters of the validation recordings, and of wrong ones."""
        errors, _ = self.errors(self._data.parts.val)
        return errors.characters, errors.wrong_characters
