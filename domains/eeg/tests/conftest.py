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


Wave = Callable[[np.ndarray], np.ndarray]


@pytest.fixture
def write_records(tmp_path: Path) -> Write:
    """Writes EDF or BDF records; each channel is (name, rate, microvolts as a function of time)."""

    def write(
        channels: list[tuple[str, int, Wave]],
        onsets: Any,
        name: str = "a.edf",
        seconds: float = 1,
        kind: str = "",
        notes: Any = (),
        units: Any = None,
        stamped: bool = True,
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        wide = name.endswith(".bdf")
        family, width, top = ("BDF", 3, 2**23) if wide else ("EDF", 2, 2**15)
        names = [label for label, _, _ in channels] + [f"{family} Annotations"] * bool(kind)
        n, sizes = (
            len(names),
            [round(rate * seconds) for _, rate, _ in channels] + [60] * bool(kind),
        )
        columns: list[Any] = [names, [""] * n, units or ["uV"] * n, [-400] * n, [400] * n]
        columns += [[-top] * n, [top - 1] * n, [""] * n, sizes, [""] * n]
        began = f"{'01.01.20':8}{'00.00.00':8}{256 * (n + 1):<8}"
        head = f"{'0':8}{'SECRET^NAME':80}{'SECRET study':80}{began}{kind and family + kind:44}"
        head += f"{len(onsets):<8}{seconds:<8g}{n:<4}"
        for field, column in zip((16, 80, 8, 8, 8, 8, 8, 80, 8, 32), columns, strict=True):
            head += "".join(f"{value:<{field}}" for value in column)
        content = [(b"\xffBIOSEMI" if wide else b"0       ") + head.encode("latin-1")[8:]]
        for onset in onsets:
            for _, rate, wave in channels:
                x = wave(onset + np.arange(round(rate * seconds)) / rate)
                stored = np.rint((x + 400) / 800 * (2 * top - 1) - top).astype("<i4")
                content.append(stored.view(np.uint8).reshape(-1, 4)[:, :width].tobytes())
            if kind:
                texts = [f"+{onset:.10g}\x14\x14\0"] if stamped else []
                inside = [note for note in notes if onset <= note[0] < onset + seconds]
                texts += [f"+{at:g}\x15{long:g}\x14{text}\x14\0" for at, long, text in inside]
                content.append("".join(texts).encode().ljust(60 * width, b"\0"))
        path.write_bytes(b"".join(content))
        return path

    return write
