"""Features that are kept in files, and a check that they are still valid."""

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

_CHECKED = 32  # images
_Features = tuple[NDArray[np.float32], Positions]


def stored(
    folder: Path,
    model: Pretrained,
    dataset: Dataset,
    positions: Positions,
    embed: Callable[[Positions], _Features],
) -> _Features:
    """Reads features from a folder, or computes them and keeps them there.

    A file belongs to one encoder, image size and list of images, and to the options of their reader
    where these are not the defaults. To notice changes of the images and of the domain, 32 images
    are embedded again, and those that could not be read: if their features differ, all features are
    computed again. A change of a few images may be overlooked.

    Args:
        folder: Has one file for each encoder and dataset, of (n, D) float32.
        model: The encoder.
        dataset: The images.
        positions: Positions of the images to embed.
        embed: Computes features (n, D) and the positions of the images that can be read.
    """
    file = folder / f"{_name(model, dataset, positions)}.npz"
    kept = _read(file)
    if kept is not None and _is_valid(kept, positions, embed):
        return kept
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
    kind = type(model.encoder).__name__  # one without weights has no other name
    facts = kind, model.image_size, model.channels, model.statistics.mean, model.statistics.std
    digest.update(repr(facts).encode())
    digest.update(positions.tobytes())
    options = dataset.options.model_dump_json(exclude_defaults=True)
    digest.update(b"" if options == "{}" else options.encode())  # files of before stay valid
    return digest.hexdigest()[:16]


def _read(file: Path) -> _Features | None:
    """Returns the features of a file; None if it does not exist or is damaged."""
    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as arrays:
            return arrays["features"], arrays["rows"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _is_valid(
    kept: _Features, positions: Positions, embed: Callable[[Positions], _Features]
) -> bool:
    features, rows = kept
    if not len(rows):
        return False
    checked = evenly_spaced(len(rows), _CHECKED)
    unreadable = np.setdiff1d(positions, rows)  # they are counted anew, and may be repaired
    again, readable = embed(np.union1d(rows[checked], unreadable))
    tolerance = 1e-3 * float(features[checked].std())  # threads and devices differ slightly
    return np.array_equal(readable, rows[checked]) and np.allclose(
        again, features[checked], rtol=0, atol=tolerance
    )
