"""Embeds images."""

from os import PathLike, fspath
from pathlib import Path

import numpy as np

from ..evaluation.embedding import Embedding, refuse_suffix
from ..evaluation.requests import load_encoder, open_images


def embed(
    model: str | PathLike[str],
    *,
    domain: str = "",
    data: str | PathLike[str] = "",
    labels: str | PathLike[str] = "",
    encoder: str = "resnet18",
    image_size: int = 0,
    out: str | PathLike[str] | None = None,
) -> Embedding:
    """Computes the features of all images, labeled or not.

    The arguments are the flags of `ssl-kit embed`. Without `out` no file is written.

    Returns:
        Features (n, D), names and labels of the images, and the unreadable ones.
    """
    if out is not None:
        refuse_suffix(Path(out))
    field, dataset, _ = open_images(fspath(model), domain, fspath(data), fspath(labels))
    pool = np.arange(len(dataset))
    loaded, _ = load_encoder(fspath(model), dataset, pool, encoder, image_size)
    embedding = Embedding.of(loaded, dataset, field)
    if out is not None:
        embedding.save(Path(out))
    return embedding
