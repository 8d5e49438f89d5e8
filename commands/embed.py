"""Embeds images."""

from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from ..evaluation.embedding import Embedding, refuse_suffix
from ..evaluation.requests import load_encoder, open_images
from ..training.locks import exclusive
from ..training.work import shown
from .config_file import below_flags


def embed(
    model: str | PathLike[str],
    *,
    domain: str = "",
    data: str | PathLike[str] = "",
    labels: str | PathLike[str] = "",
    encoder: str = "",
    image_size: int = 0,
    config: str | PathLike[str] | None = None,
    set: Mapping[str, Any] | None = None,
    out: str | PathLike[str] | None = None,
    quiet: bool = True,
) -> Embedding:
    """Computes the features of all images, labeled or not.

    The arguments are the flags of `ssl-kit embed`. Without `out` no file is written.

    Returns:
        Features (n, D), names and labels of the images, and the unreadable ones.
    """
    given = below_flags(locals(), [model])
    if out is None:
        return _embedding(given)
    refuse_suffix(file := Path(out))
    with exclusive(file.parent, f".{file.name}.lock"):
        embedding = _embedding(given)
        embedding.save(file)
    return embedding


def _embedding(given: Mapping[str, Any]) -> Embedding:
    model, data, labels = (fspath(given[name]) for name in ("model", "data", "labels"))
    with shown("embedding", given["quiet"]):
        field, dataset, _ = open_images(model, given["domain"], data, labels, settings=given["set"])
        pool = np.arange(len(dataset))
        loaded, _ = load_encoder(model, dataset, pool, given["encoder"], given["image_size"])
        return Embedding.of(loaded, dataset, field)
