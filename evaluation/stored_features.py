"""Features that were computed before, and a look at whether they still hold."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.atomic import write_atomic
from ..core.dataset import Dataset
from ..core.index import evenly_spaced
from ..data.splits import Positions
from .pretrained import Pretrained

_LOOKED_AT = 32  # images
_Features = tuple[NDArray[np.float32], Positions]


def stored(
    folder: Path,
    model: Pretrained,
    dataset: Dataset,
    positions: Positions,
    embed: Callable[[Positions], _Features],
) -> _Features:
    """Reads features from a folder, or computes them and keeps them there.

    A file is of one encoder, image size and list of images. Whether its images, their reader's
    options and the domain are what they were is seen by embedding 32 of them again: if those
    differ, all are computed anew. An edit of a few images among many may be overlooked.

    Args:
        folder: One file for each encoder and dataset; each of (n, D) float32.
        model: The encoder.
        dataset: The images.
        positions: Which of them.
        embed: Computes features (n, D) and the positions of those that could be read.
    """
    file = folder / f"{_name(model, dataset, positions)}.npz"
    found = _read(file)
    if found is not None and _holds(found, embed):
        return found
    features, rows = embed(positions)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, features=features, rows=rows)
    write_atomic(file, buffer.getvalue())
    return features, rows


def _name(model: Pretrained, dataset: Dataset, positions: Positions) -> str:
    digest = hashlib.sha256(dataset.fingerprint().encode())
    for name, weight in model.encoder.state_dict().items():
        digest.update(name.encode())
        digest.update(weight.cpu().contiguous().numpy().tobytes())
    facts = model.image_size, model.channels, model.statistics.mean, model.statistics.std
    digest.update(repr(facts).encode())
    digest.update(positions.tobytes())
    return digest.hexdigest()[:16]


def _read(file: Path) -> _Features | None:
    """Returns what is in a file; None if there is none, or it is damaged."""
    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as there:
            return there["features"], there["rows"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _holds(found: _Features, embed: Callable[[Positions], _Features]) -> bool:
    features, rows = found
    if not len(rows):
        return False
    look = evenly_spaced(len(rows), _LOOKED_AT)
    again, there = embed(rows[look])
    tolerance = 1e-3 * float(features[look].std())  # of another number of threads, or device
    return np.array_equal(there, rows[look]) and np.allclose(
        again, features[look], rtol=0, atol=tolerance
    )
