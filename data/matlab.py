"""Reads variables of MATLAB files: versions 4 to 7.2 with SciPy, 7.3 with h5py.

Objects and function handles are not loaded, and no code of a file runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import DataError, did_you_mean

Array = NDArray[Any]
_MOST_LISTED = 8


@dataclass(frozen=True)
class MatFile:
    """The variables of a MATLAB file; fields of a struct have names such as "EEG.data".

    Attributes:
        arrays: Numbers, in MATLAB's order of axes.
        texts: Texts, and cells or fields that hold a text each.
        others: What is neither, with its kind, such as "cell (3, 1)".
    """

    arrays: dict[str, Array] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)

    def images(self) -> dict[str, Array]:
        """Returns the arrays that may hold images or signals: neither numbers nor short vectors."""
        return {name: a for name, a in self.arrays.items() if sum(n > 1 for n in a.shape) > 1}

    def choose(self, variable: str) -> str:
        """Returns the name of an array.

        Args:
            variable: The name that was asked for; "" takes the only one there is.

        Raises:
            DataError: If there is no such array, or several and none was asked for.
        """
        images = self.images()
        if variable in self.arrays:
            return variable
        if not variable and len(images) == 1:
            return next(iter(images))
        problem = f"has no array '{variable}'" if variable else "has no array of images"
        meant = did_you_mean(variable, self.arrays) if variable else ""
        if images and not variable:
            problem = f"has {len(images)} arrays"
        hint = "Choose one by data.options.variable=NAME"
        raise DataError(f"{problem}: {self.listed()}. {meant or hint}")

    def listed(self) -> str:
        """Returns names and shapes of all variables, the largest first."""
        arrays = sorted(self.arrays.items(), key=lambda item: -item[1].size)
        entries = [f"{name} {shape_of(a)} {a.dtype.name}" for name, a in arrays]
        entries += [f"{name} (text)" for name in self.texts]
        entries += [f"{name} ({kind})" for name, kind in self.others.items()]
        more = len(entries) - _MOST_LISTED
        rest = f" and {more} more" if more > 0 else ""
        return ", ".join(entries[:_MOST_LISTED]) + rest or "no variables"


def shape_of(array: Array) -> str:
    """Returns a shape as MATLAB prints it: "145x145x200"."""
    return "x".join(map(str, array.shape))


def read_matlab(path: Path) -> MatFile:
    """Reads a MATLAB file.

    Raises:
        DataError: If it is damaged, or of version 7.3 where h5py is not installed.
    """
    try:
        with path.open("rb") as file:
            is_hdf = b"\x89HDF\r\n\x1a\n" in file.read(1024)
        return _read_hdf(path) if is_hdf else _read_old(path)
    except DataError:
        raise
    except Exception as error:  # a damaged file can raise anything
        raise DataError(f"is no readable MATLAB file ({type(error).__name__})") from error


def _read_old(path: Path) -> MatFile:
    from scipy.io import loadmat

    found = MatFile()
    for name, value in loadmat(path).items():
        if not name.startswith("__"):
            _keep(found, name, np.asanyarray(value))
    return found


def _keep(found: MatFile, name: str, value: Array) -> None:
    """Keeps a variable that SciPy has read, and the fields of a struct."""
    from scipy.io.matlab import MatlabFunction, MatlabOpaque

    if isinstance(value, MatlabOpaque | MatlabFunction):
        found.others[name] = "object"
    elif value.dtype.names:
        for part in value.dtype.names:
            fields = value[part].ravel()
            whole = len(fields) == 1 and isinstance(fields[0], np.ndarray)
            _keep(found, f"{name}.{part}", fields[0] if whole else fields)
    elif value.dtype.kind == "U":
        found.texts[name] = [str(text).strip() for text in value.ravel()]
    elif value.dtype.kind == "O":
        _keep_cells(found, name, value)
    else:
        found.arrays[name] = value


def _keep_cells(found: MatFile, name: str, cells: Array) -> None:
    """Keeps cells of one text each as texts, and says what other cells are."""
    texts = [cell for cell in cells.ravel() if getattr(cell, "dtype", np.dtype("f")).kind == "U"]
    if len(texts) == cells.size and all(text.size <= 1 for text in texts):
        found.texts[name] = ["".join(map(str, text.ravel())).strip() for text in texts]
    else:
        found.others[name] = f"cell {shape_of(cells)}"


def _read_hdf(path: Path) -> MatFile:
    try:
        import h5py
    except ImportError:
        raise DataError(
            "is a MATLAB file of version 7.3, which h5py reads: pip install h5py, or save it "
            "in MATLAB with save(..., '-v7')"
        ) from None
    found = MatFile()
    with h5py.File(path, "r") as file:
        for name, item in _items(file):
            _keep_hdf(found, file, name, item)
    return found


def _items(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the datasets below a group, with the names of structs before theirs."""
    for name, item in group.items():
        if name.startswith("#"):  # what cells refer to
            continue
        if hasattr(item, "items"):
            yield from _items(item, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", item


def _keep_hdf(found: MatFile, file: Any, name: str, item: Any) -> None:
    """Keeps a dataset of MATLAB 7.3, whose axes are reversed."""
    kind = item.attrs.get("MATLAB_class", b"").decode()
    if item.attrs.get("MATLAB_empty", 0):
        return
    if item.dtype.kind == "O":
        cells = [file[reference] for reference in item[()].ravel()]
        if all(cell.attrs.get("MATLAB_class", b"") == b"char" for cell in cells):
            found.texts[name] = [_text(cell[()]) for cell in cells]
        else:
            found.others[name] = f"cell {shape_of(item[()].T)}"
    elif kind == "char":
        found.texts[name] = [_text(item[()])]
    elif kind in ("", "logical") or kind.startswith(("int", "uint", "single", "double")):
        values = item[()].T
        if values.dtype.names == ("real", "imag"):
            values = values["real"] + 1j * values["imag"]
        found.arrays[name] = values
    else:
        found.others[name] = kind


def _text(codes: Array) -> str:
    return "".join(chr(code) for code in codes.T.ravel("F").tolist()).strip()
