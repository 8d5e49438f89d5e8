"""Embeds images."""

from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from ..evaluation.embedding import Embedding, refuse_suffix
from ..evaluation.requests import load_encoder, open_images
from ..training.locks import exclusive
from ..training.progress import Progress
from ..training.work import Work


def embed(
    model: str | PathLike[str],
    *,
    domain: str = "",
    data: str | PathLike[str] = "",
    labels: str | PathLike[str] = "",
    encoder: str = "",
    image_size: int = 0,
    set: Mapping[str, Any] | None = None,
    out: str | PathLike[str] | None = None,
    quiet: bool = True,
) -> Embedding:
    """Computes the features of all images, labeled or not.

    The arguments are the flags of `ssl-kit embed`. Without `out` no file is written.

    Returns:
        Features (n, D), names and labels of the images, and the unreadable ones.
    """
    request = fspath(model), domain, fspath(data), fspath(labels), encoder, image_size, set
    progress = Progress(quiet)
    if out is None:
        return _embedding(progress, *request)
    file = Path(out)
    refuse_suffix(file)
    with exclusive(file.parent, f".{file.name}.lock"):
        embedding = _embedding(progress, *request)
        embedding.save(file)
    return embedding


def _embedding(
    progress: Progress,
    model: str,
    domain: str,
    data: str,
    labels: str,
    encoder: str,
    image_size: int,
    settings: Mapping[str, Any] | None,
) -> Embedding:
    with Work(progress) as work:
        work.begin("embedding")
        field, dataset, _ = open_images(model, domain, data, labels, settings=settings)
        pool = np.arange(len(dataset))
        loaded, _ = load_encoder(model, dataset, pool, encoder, image_size)
        return Embedding.of(loaded, dataset, field)
