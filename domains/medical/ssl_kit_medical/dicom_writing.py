"""Writes small DICOM files, for examples and tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from .dicom_headers import code


def write_dicom(path: Path, pixels: NDArray[Any], **tags: Any) -> None:
    """Writes an uncompressed file, CT by default.

    Args:
        path: The file; its name becomes the identifier of the object.
        pixels: (H, W), (n, H, W) or (H, W, 3).
        tags: Values by the keyword of the tag.
    """
    colored = pixels.ndim == 3 and pixels.shape[2] == 3
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = CTImageStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(f"1.2.{code(path.name)}")
    ds.Modality, ds.StudyInstanceUID, ds.SeriesInstanceUID = "CT", "1.2.3", "1.2.3.4"
    ds.Rows, ds.Columns = pixels.shape[:2] if colored else pixels.shape[-2:]
    ds.SamplesPerPixel = 3 if colored else 1
    ds.PhotometricInterpretation = "RGB" if colored else "MONOCHROME2"
    if colored:
        ds.PlanarConfiguration = 0
    elif pixels.ndim == 3:
        ds.NumberOfFrames = len(pixels)
    ds.BitsAllocated = ds.BitsStored = 8 * pixels.dtype.itemsize
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    for keyword, value in tags.items():
        setattr(ds, keyword, value)
    ds.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    ds.save_as(path, enforce_file_format=True)
