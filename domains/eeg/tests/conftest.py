from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest
import torch

torch.set_num_threads(1)

_HERE = Path(__file__).resolve()
DATA = Path(os.environ.get("SSL_KIT_TEST_DATA", _HERE.parents[4] / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real data; the test is skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"the test data are not at {DATA}; SSL_KIT_TEST_DATA says where they are")
    return DATA


Write = Callable[..., Path]


def _header(names: list[str], rate: int, records: int, began: str = "01.01.0101.01.01") -> bytes:
    """Makes the header of an EDF with records of a second, 1 digit being 1 microvolt."""
    n = len(names)
    head = f"{'0':8}{'SECRET^NAME':80}{'SECRET study':80}{began}{256 * (n + 1):<8}{'':44}"
    head += f"{records:<8}{1:<8}{n:<4}"
    columns = [names, [""] * n, ["uV"] * n, [-32768] * n, [32767] * n, [-32768] * n, [32767] * n]
    widths = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)
    for width, column in zip(widths, [*columns, [""] * n, [rate] * n, [""] * n], strict=True):
        head += "".join(f"{value:<{width}}" for value in column)
    return head.encode()


@pytest.fixture
def edf_header() -> Callable[..., bytes]:
    """Makes the header of an EDF from names, rate and number of records."""
    return _header


@pytest.fixture
def write_edf(tmp_path: Path) -> Write:
    """Writes (C, n) microvolts as an EDF below tmp_path."""

    def write(
        x: np.ndarray, rate: int = 100, name: str = "a.edf", names: Any = None, **more: Any
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        records = x.shape[1] // rate
        names = list(names or ["Fp1", "Cz", "Pz", "Oz"][: len(x)])
        body = x[:, : records * rate].reshape(len(x), records, rate).transpose(1, 0, 2)
        path.write_bytes(_header(names, rate, records, **more) + body.astype("<i2").tobytes())
        return path

    return write


@pytest.fixture
def write_fif(tmp_path: Path) -> Write:
    """Writes (C, n) microvolts as a FIF with annotations (start, seconds, text)."""

    def write(
        x: np.ndarray, rate: float = 128, name: str = "a_raw.fif", notes: Any = (), bads: Any = ()
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        names = ["Fp1", "Cz", "Pz", "Oz", "C3", "C4", "O1", "O2"][: len(x)]
        raw = mne.io.RawArray(x * 1e-6, mne.create_info(names, rate, "eeg"), verbose="ERROR")
        raw.info["bads"] = list(bads)
        if notes:
            raw.set_annotations(mne.Annotations(*zip(*notes, strict=True)))
        raw.save(path, overwrite=True, verbose="ERROR")
        return path

    return write
