"""Images per second and peak memory of every reader, each in a fresh process.

    python benchmarks/readers.py ../shared/data

reads real files, or those of the reader's own `example` where there are none, in random order. Then
the same number of images is read from a small and from a large generated file of each format that
keeps many images in one: memory is flat if both take the same. Writes docs/readers.md.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

REAL: dict[str, tuple[str, dict[str, Any]]] = {
    "image_folder": ("rsscn7", {}),
    "arrays": ("tsx_slc", {}),
    "geotiff": ("geotiff/landsat8_3band_uint16_1280.tif", {}),
    "sar_raster": ("tsx_slc", {}),
    "dicom": ("dicom", {}),
    "nifti": ("nifti", {}),
    "slides": ("wsi", {}),
    "recordings": ("bonn_eeg", {"rate": 173.61}),
    "empatica": ("stress_predict", {}),
}
SIDE, MIB = 1024, 2**20
BLOCK = np.random.default_rng(0).integers(1, 256, (SIDE, SIDE), np.uint8)  # one MiB


def peak() -> float:
    """Returns the largest memory of this process so far, in MiB.

    `resource.getrusage` would count that of the process which started this one.
    """
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def read(name: str, path: str, options: dict[str, Any], seconds: float, most: int) -> None:
    """Reads images for a time or up to a number, and prints what that took; the inner process."""
    from ssl_kit import DataError, validate
    from ssl_kit.data import NamedDataset, datasets

    reader, started = datasets[name], time.monotonic()
    imported = peak()
    with tempfile.TemporaryDirectory() as folder:
        where = Path(path) if path else reader.example(Path(folder)) or Path(folder)
        given = validate(reader.Config, options)
        if issubclass(reader, NamedDataset):
            given = reader.example_options(Path(folder))
        data = reader.open(where, given)
        _ = data.value_range
        opened, images = time.monotonic() - started, 0
        broken, shapes = set[int](), set[tuple[int, ...]]()
        started = time.monotonic()
        for i in itertools.cycle(np.random.default_rng(0).permutation(len(data)).tolist()):
            if time.monotonic() - started > seconds or images + len(broken) >= most:
                break
            try:
                shapes.add(data[i].image.shape)
                images += 1
            except DataError:
                broken.add(i)
        rate = images / (time.monotonic() - started)
    facts = {"n": len(data), "shape": max(shapes), "kinds": len(shapes), "broken": len(broken)}
    print(json.dumps({**facts, "open": opened, "rate": rate, "start": imported, "peak": peak()}))


def measure(name: str, path: str, options: dict[str, Any], seconds: float, most: int) -> Any:
    """Runs `read` in a fresh process; None if it fails, with its last line on stderr."""
    work = json.dumps([name, path, options, seconds, most])
    command = [sys.executable, __file__, "--read", work]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(name, (done.stderr.splitlines() or ["no reason given"])[-1], file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def write_array(path: Path, mib: int, dtype: str, shape: tuple[int, ...]) -> None:
    """Writes a .npy that holds nothing but the block, again and again."""
    with path.open("wb") as file:
        header = {"descr": dtype, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for _ in range(mib):
            file.write(BLOCK.tobytes())


def write_tif(path: Path, mib: int) -> None:
    """Writes a tiled raster, 8 * SIDE pixels wide."""
    import rasterio
    from rasterio.transform import Affine
    from rasterio.windows import Window

    shape = {"width": 8 * SIDE, "height": mib * SIDE // 8, "count": 1, "dtype": "uint8"}
    place = {"crs": "EPSG:32633", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
    with rasterio.open(path, "w", driver="GTiff", tiled=True, **shape, **place) as out:
        for row, column in itertools.product(range(0, mib * SIDE // 8, SIDE), range(8)):
            height = min(SIDE, mib * SIDE // 8 - row)
            out.write(BLOCK[:height], 1, window=Window(column * SIDE, row, SIDE, height))


def write_nifti(path: Path, mib: int) -> None:
    """Writes a volume of slices of half a MiB."""
    import nibabel as nib

    header = nib.Nifti1Header()
    header.set_data_dtype("int16")
    header.set_data_shape((512, 512, 2 * mib))
    header["vox_offset"], header["magic"] = 352, b"n+1"
    header.set_sform(np.eye(4), 1)
    with path.open("wb") as file:
        file.write(header.binaryblock + b"\0\0\0\0")
        for _ in range(mib):
            file.write((BLOCK & 0x0F).tobytes())


def write_dicom(path: Path, mib: int) -> None:
    """Writes an object of many frames of one MiB: one is written, and the others behind it."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = CTImageStorage
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = "1.2.5"
    data.Modality, data.StudyInstanceUID, data.SeriesInstanceUID = "CT", "1.2.3", "1.2.3.4"
    data.PhotometricInterpretation, data.SamplesPerPixel = "MONOCHROME2", 1
    data.Rows, data.Columns, data.NumberOfFrames = SIDE, SIDE, mib
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    data.PixelData = BLOCK.tobytes()
    data.save_as(path, enforce_file_format=True)
    with path.open("r+b") as file:
        file.seek(-MIB - 4, os.SEEK_END)
        file.write((mib * MIB).to_bytes(4, "little"))
        file.seek(0, os.SEEK_END)
        for _ in range(mib - 1):
            file.write(BLOCK.tobytes())


LARGE: dict[str, tuple[str, Any]] = {
    "arrays": ("a.npy", lambda path, mib: write_array(path, mib, "|u1", (16 * mib, 256, 256))),
    "sar_raster": ("a.npy", lambda path, mib: write_array(path, mib, "<c8", (16 * mib, 8 * SIDE))),
    "geotiff": ("a.tif", write_tif),
    "nifti": ("a.nii", write_nifti),
    "dicom": ("a.dcm", write_dicom),
}


def real(data: Path, names: list[str], seconds: float) -> list[str]:
    """Returns the rows of the table of real files."""
    rows = ["| reader | files | images | image | open s | images/s | MiB at start | MiB peak |"]
    rows.append("|---|---|---|---|---|---|---|---|")
    for name in names:
        folder, options = REAL.get(name, ("", {}))
        found = measure(name, str(data / folder) if folder else "", options, seconds, 10**9)
        if found:
            image = " x ".join(map(str, found["shape"])) + (" at most" * (found["kinds"] > 1))
            broken = f", {found['broken']} unreadable" if found["broken"] else ""
            rows.append(
                f"| {name} | {folder or 'generated'} | {found['n']}{broken} | {image} | "
                f"{found['open']:.1f} | {found['rate']:.0f} | {found['start']:.0f} | "
                f"{found['peak']:.0f} |"
            )
    return rows


def large(names: list[str], sizes: list[int], most: int) -> list[str]:
    """Returns the rows of the table of generated files, which are deleted again."""
    rows = ["| reader | " + " | ".join(f"MiB peak, file of {mib} MiB" for mib in sizes) + " |"]
    rows.append("|---|" + "---|" * len(sizes))
    for name in (name for name in LARGE if name in names):
        cells, (file, write) = [], LARGE[name]
        for mib in sizes:
            with tempfile.TemporaryDirectory() as folder:
                write(Path(folder) / file, mib)
                found = measure(name, str(Path(folder) / file), {}, 600, most)
            cells.append(f"{found['peak']:.0f}" if found else "-")
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return rows


def main() -> None:
    """Measures and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--seconds", type=float, default=10, help="of reading, for each reader")
    parser.add_argument("--mib", type=int, nargs="+", default=[128, 1024], help="generated files")
    parser.add_argument("--images", type=int, default=100, help="read from a generated file")
    parser.add_argument("--out", type=Path, default=Path("docs/readers.md"))
    parser.add_argument("--read", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.read:
        return read(*json.loads(args.read))
    from ssl_kit import Dataset
    from ssl_kit.data import datasets

    base = Dataset.example.__func__  # a demo, which opens no file, has only this one
    names = [name for name in datasets if datasets[name].example.__func__ is not base]
    shown = " ".join(["python benchmarks/readers.py", *sys.argv[1:]])
    lines = ["# Speed and memory of the readers", "", f"`{shown}`", ""]
    lines += [
        "Images per second when each reader reads and scales images in random order, with one",
        f"process on {os.cpu_count()} cores. The memory is that of the whole process.",
        "",
        "Sets such as CIFAR-10, which are opened by their names, are described in [named",
        "sets](named-sets.md).",
        "",
    ]
    lines += real(args.data, names, args.seconds)
    lines += [
        "",
        f"Peak memory when {args.images} images are read from one generated file, small and large.",
        "Memory does not grow with the file if both are alike. A .npy file is memory-mapped, so",
        "that its figure includes pages that the kernel can reclaim at any time.",
        "",
    ]
    lines += large(names, args.mib, args.images)
    args.out.write_text("\n".join(lines) + "\n")
    return print("\n".join(lines))


if __name__ == "__main__":
    main()
