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

_REQUEST = ("domain", "data", "labels", "encoder", "image_size", "set")


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
    request = fspath(model), *(given[name] for name in _REQUEST)
    if out is None:
        return _embedding(quiet, *request)
    refuse_suffix(file := Path(out))
    with exclusive(file.parent, f".{file.name}.lock"):
        embedding = _embedding(quiet, *request)
        embedding.save(file)
    return embedding


def _embedding(
    quiet: bool,
    model: str,
    domain: str,
    data: str,
    labels: str,
    encoder: str,
    image_size: int,
    settings: Mapping[str, Any] | None,
) -> Embedding:
    with shown("embedding", quiet):
        field, dataset, _ = open_images(
            model, domain, fspath(data), fspath(labels), settings=settings
        )
        pool = np.arange(len(dataset))
        loaded, _ = load_encoder(model, dataset, pool, encoder, image_size)
        return Embedding.of(loaded, dataset, field)
