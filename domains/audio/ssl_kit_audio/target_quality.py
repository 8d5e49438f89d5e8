"""How much clusters of frames tell about the classes, which HuBERT calls the quality of targets.

HuBERT: Self-Supervised Speech Representation Learning by Masked Prediction of Hidden Units,
Hsu, Bolte, Tsai, Lakhotia, Salakhutdinov, Mohamed, 2021, section IV-C.
https://arxiv.org/abs/2106.07447
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import entr
from torch import Tensor

from ssl_kit import Config, Evaluation
from ssl_kit.evaluation import (
    EvaluationData,
    Floats,
    Pretrained,
    Result,
    Weights,
    jackknife,
    seeded,
)
from ssl_kit.nn import kmeans

from .cepstra import mfcc
from .frames import Rows, check_level, check_recordings, embed_frames, frames_of, heard

_CHUNK = 2**16  # frames


class TargetQualityConfig(Config):
    """Options of the evaluation."""

    clusters: Annotated[int, Field(ge=2, description="number of clusters (K)")] = 100
    level: Annotated[
        int, Field(description="level of the encoder's pyramid that frames are taken from")
    ] = -1
    windows: Annotated[
        int, Field(ge=1, description="largest number of training windows that are clustered")
    ] = 2000
    rate: Annotated[int, Field(ge=1000, description="sampling rate of waveforms in Hz")] = 16000
    seed: Annotated[
        int, Field(ge=0, description="random seed of the windows and of the first centers")
    ] = 0


def agreement(counts: Floats) -> dict[str, Floats]:
    """Computes how well clusters agree with classes, for R tables at once.

    Args:
        counts: (R, classes, K) number of frames of each class in each cluster.

    Returns:
        (R,) each, as in section IV-C of HuBERT with classes in the place of phones: `pnmi`, the
        mutual information of class and cluster as a share of the entropy of the class;
        `class_purity`, the share of frames in the most frequent class of their cluster;
        `cluster_purity`, the share of frames in the most frequent cluster of their class.
    """
    total = counts.sum(axis=(1, 2))
    joint = counts / total[:, None, None]
    of_class, of_cluster = joint.sum(axis=2), joint.sum(axis=1)
    entropy = entr(of_class).sum(axis=1)
    information = entropy + entr(of_cluster).sum(axis=1) - entr(joint).sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):  # a single class has no entropy
        pnmi = np.where(entropy > 0, (information / entropy).clip(0, 1), np.nan)
    return {
        "pnmi": pnmi,
        "class_purity": joint.max(axis=1).sum(axis=1),
        "cluster_purity": joint.max(axis=2).sum(axis=1),
    }


def _marked(describe: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Describes frames, with a last column that is 1 where there is a signal: (B, T', D + 1)."""
    rows = describe(x)
    return torch.cat([rows, heard(x, rows.shape[1])[..., None].to(rows)], dim=2)


def _of_signal(frames: Tensor) -> Tensor:
    """Returns the rows (n, D) of frames (B, T', D + 1) with a signal."""
    return frames[frames[..., -1] > 0][:, :-1]


class TargetQuality(Evaluation):
    """How well do clusters of the encoder's frames agree with the classes, beside cepstra?

    The k-means clusters are those of frames of the training windows, and test frames are counted.
    All frames of a window have its class; those without a signal, with which short recordings are
    filled up, are left out. Metrics that end in "_of_cepstra" are of clusters of the cepstra of the
    same frames, the targets of HuBERT's first iteration.
    """

    Config = TargetQualityConfig
    demo_domain = "audio"

    def check(self, data: EvaluationData) -> None:
        """Refuses images that are no recordings."""
        check_recordings(data)
        super().check(data)

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Clusters frames of the training windows and counts those of the test windows."""
        options, parts = self.config, data.parts
        check_level(model.encoder, options.level)
        known = np.sort(np.concatenate([parts.train, parts.val]))
        if len(known) > options.windows:
            rng = np.random.default_rng(options.seed)
            known = np.sort(rng.choice(known, options.windows, replace=False))
        count = model.encoder.pyramid_shapes(model.image_size)[options.level][2]
        features = partial(_marked, partial(frames_of, model.encoder, level=options.level))
        cepstra = partial(_marked, partial(mfcc, frames=count, rate=options.rate))
        tables, groups = self._count(model, data, known, features)
        others, _ = self._count(model, data, known, cepstra)

        def statistic(weights: Weights) -> dict[str, Floats]:
            w = weights.astype(np.float64).T
            own = agreement(np.tensordot(w, tables, 1))
            of_cepstra = agreement(np.tensordot(w, others, 1))
            return own | {f"{name}_of_cepstra": v for name, v in of_cepstra.items()}

        kept = jackknife(statistic, tables.sum(axis=(1, 2)))
        majority = tables.sum(axis=0).argmax(axis=0)  # (K,) class of each cluster
        right = tables[:, majority, np.arange(options.clusters)].sum(axis=1)
        return Result(
            {name: each.estimate() for name, each in kept.items()},
            kept,
            "pnmi",
            by_group=right / tables.sum(axis=(1, 2)),
            details={"frames": int(tables.sum()), "clusters": options.clusters},
            images=len(groups),
        )

    def _count(
        self, model: Pretrained, data: EvaluationData, known: Rows, describe: partial[Tensor]
    ) -> tuple[Floats, NDArray[np.int64]]:
        """Returns (G, classes, K) numbers of test frames, and the groups of the test windows."""
        index, options = data.dataset.index, self.config
        train, _ = embed_frames(model, data, known, describe)
        rows = _of_signal(torch.from_numpy(train))
        mean, scale = rows.mean(dim=0), rows.std(dim=0).clamp(min=1e-6)
        with seeded(options.seed):
            distinct = torch.unique(((rows - mean) / scale).round(decimals=5), dim=0)
            centers = kmeans(distinct, options.clusters)
        test, positions = embed_frames(model, data, data.parts.test, describe)
        signal = test[..., -1].astype(bool)
        frames = (_of_signal(torch.from_numpy(test)) - mean) / scale
        starts = range(0, len(frames), _CHUNK)
        nearest = [torch.cdist(frames[i : i + _CHUNK], centers).argmin(dim=1) for i in starts]
        clusters = torch.cat(nearest).numpy()
        groups, codes = np.unique(index.groups[positions], return_inverse=True)
        table = np.zeros((len(groups), len(index.classes), options.clusters))
        counts = signal.sum(axis=1)
        each = [np.repeat(x, counts) for x in (codes, index.labels[positions])]
        np.add.at(table, (*each, clusters), 1)
        return table, index.groups[positions]
