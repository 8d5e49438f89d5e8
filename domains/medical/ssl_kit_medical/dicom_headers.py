"""Facts from the headers of DICOM files, also of the single frames of enhanced objects.

Identifiers of patients leave this module as hashes only. No message quotes a value of a file.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from pydicom.dataset import Dataset

from ssl_kit import DataError

# Where an enhanced object keeps what it says of a frame; any other attribute may be in any group.
_GROUPS = {
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "StackID": "FrameContentSequence",
}
# Identifiers that mean "unknown"; letters and digits only.
_NOBODY = re.compile(
    r"(anon(ym(e|us|ous|i[sz]ed|i[sz]ation|isiert)?)?|unknown|unbekannt|inconnu|undefined"
    r"|unspecified|none|null|nil|na|nan|nn|nobody|no(patient)?(id|name)|deid(entified)?"
    r"|removed|redacted|deleted|hidden|private|confidential|blank|empty|default|dummy|test"
    r"|patient(id|name)?|subject(id)?|id|x{2,}|9{4,})?0*"
)


class Header(NamedTuple):
    """Facts of a file for the index.

    Attributes:
        frames: Number of images.
        color: Whether it is RGB, YCbCr or palette color.
        plain: Whether its gray values are bytes without a unit.
        ct: Whether its values are Hounsfield units.
        labels: Whether it is a segmentation.
        contradicts: Whether its PresentationLUTShape contradicts its PhotometricInterpretation.
        nobody: Whether the patient's identifier is a word for "unknown".
        patient: Hash of the patient's identifier; 0 if there is none.
        person: Hash of the patient's date of birth and sex; 0 if unknown.
        study: Hash of the study's identifier; 0 if there is none.
        volume: Hash of what tells volumes apart; 0 if there is no series.
        place: Of the slice in the volume: mm along its normal, else a number that increases.
        places: The same of each frame, if the file says it of each.
        stacks: Number of the volume of each frame within the file, if there are `places`.
    """

    frames: int = 1
    color: bool = False
    plain: bool = False
    ct: bool = False
    labels: bool = False
    contradicts: bool = False
    nobody: bool = False
    patient: int = 0
    person: int = 0
    study: int = 0
    volume: int = 0
    place: float = 0.0
    places: tuple[float, ...] = ()
    stacks: tuple[int, ...] = ()


def describe(ds: Dataset) -> Header:
    """Returns the facts of a header."""
    study, series = str(ds.get("StudyInstanceUID") or ""), str(ds.get("SeriesInstanceUID") or "")
    patient = str(ds.get("PatientID") or "").strip()
    issuer = str(ds.get("IssuerOfPatientID") or "").strip()
    person = [str(ds.get(tag) or "").strip() for tag in ("PatientBirthDate", "PatientSex")]
    frames = shape(ds)[4]
    across = [round(v, 3) for v in _numbers(of_frame(ds, 0, "ImageOrientationPatient"))]
    apart = [ds.get("EchoNumbers"), ds.get("TemporalPositionIdentifier"), ds.Rows, ds.Columns]
    one = ds.get("SOPInstanceUID") if frames > 1 else ""
    places, stacks = _places(ds) if frames > 1 else ((), ())
    return Header(
        frames=frames,
        color=is_color(ds),
        plain=is_plain(ds),
        ct=ds.get("Modality") == "CT",
        labels=ds.get("Modality") == "SEG",
        contradicts=contradicts(ds),
        nobody=bool(_NOBODY.fullmatch(re.sub(r"[\W_]", "", patient.lower()))),
        patient=code(patient, issuer) if patient else code(study) if study else 0,
        person=code(*person) if all(person) else 0,
        study=code(study) if study else 0,
        volume=code(series, across, *apart, one) if series else 0,
        place=_place(ds),
        places=places,
        stacks=stacks,
    )


def code(*parts: object) -> int:
    """Returns a positive 63-bit hash of the parts."""
    text = "\0".join(str(part) for part in parts)
    digest = hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest) >> 1 or 1


def shape(ds: Dataset) -> tuple[int, int, int, int, int]:
    """Returns height, width, samples per pixel, bits per sample, frames."""
    return (
        int(ds.Rows),
        int(ds.Columns),
        int(ds.get("SamplesPerPixel") or 1),
        int(ds.get("BitsAllocated") or 0),
        int(ds.get("NumberOfFrames") or 1),
    )


def of_frame(ds: Dataset, number: int, keyword: str) -> Any:
    """Returns what a file says of a frame: in its groups, else in the shared ones, else at the top.

    None if it says nothing.
    """
    each = ds.get("PerFrameFunctionalGroupsSequence") or ()
    shared = ds.get("SharedFunctionalGroupsSequence") or ()
    for groups in (*each[number : number + 1], *shared[:1]):
        value = _in_groups(groups, keyword)
        if value is not None:
            return value
    return ds.get(keyword)


def _in_groups(groups: Dataset, keyword: str) -> Any:
    if keyword in groups:
        return groups.get(keyword)
    home = _GROUPS.get(keyword)
    sequences = [groups.get(home)] if home else [e.value for e in groups if e.VR == "SQ"]
    unassigned = [
        groups.get(f"Unassigned{kind}ConvertedAttributesSequence")
        for kind in ("PerFrame", "Shared")
    ]
    for sequence in (*sequences, *unassigned):
        for inner in (sequence or ())[:1]:
            if inner.get(keyword) is not None:
                return inner.get(keyword)
    return None


def rescale(ds: Dataset, number: int) -> tuple[float, float]:
    """Returns slope and intercept of a frame, (1, 0) if the file has none.

    They are those of the modality, else the scaling of a dose grid, else the first mapping to real
    world values.

    Raises:
        DataError: If every pixel would become the same number.
    """
    slope, intercept = (of_frame(ds, number, f"Rescale{part}") for part in ("Slope", "Intercept"))
    if slope is None and intercept is None:
        slope = ds.get("DoseGridScaling")
        for mapping in (of_frame(ds, number, "RealWorldValueMappingSequence") or ())[:1]:
            slope = mapping.get("RealWorldValueSlope")
            intercept = mapping.get("RealWorldValueIntercept") if slope is not None else None
    values = 1.0 if slope is None else float(slope), float(intercept or 0)
    if not all(map(math.isfinite, values)) or not values[0]:
        raise DataError("declares a rescale slope or intercept that makes all pixels equal")
    return values


def real_world_table(ds: Dataset, number: int) -> Dataset | None:
    """Returns the first mapping of a frame to real world values if it is a table, else None.

    A rescale slope or intercept takes precedence, as for mappings by slope and intercept.
    """
    rescaled = any(of_frame(ds, number, f"Rescale{p}") is not None for p in ("Slope", "Intercept"))
    mappings = () if rescaled else of_frame(ds, number, "RealWorldValueMappingSequence") or ()
    mapping: Dataset
    for mapping in mappings[:1]:
        if mapping.get("RealWorldValueSlope") is None and mapping.get("RealWorldValueLUTData"):
            return mapping
    return None


def pixel_sides(ds: Dataset, number: int) -> tuple[float, float]:
    """Returns height and width of a pixel, in mm or as a ratio; (1, 1) if the file is silent."""
    for keyword in (
        "PixelSpacing",
        "ImagerPixelSpacing",
        "NominalScannedPixelSpacing",
        "PixelAspectRatio",
    ):
        sides = _numbers(of_frame(ds, number, keyword))
        if len(sides) == 2 and all(math.isfinite(side) and side > 0 for side in sides):
            return sides[0], sides[1]
    return _ultrasound_sides(ds)


def _ultrasound_sides(ds: Dataset) -> tuple[float, float]:
    """Returns the sides of a pixel in cm if all two-dimensional regions of an image agree on it."""
    regions = [
        (
            abs(float(region.get("PhysicalDeltaY") or 0)),
            abs(float(region.get("PhysicalDeltaX") or 0)),
        )
        for region in ds.get("SequenceOfUltrasoundRegions") or ()
        if [region.get(f"PhysicalUnits{axis}Direction") for axis in "XY"] == [3, 3]
    ]
    known = all(down > 0 and right > 0 for down, right in regions)
    ratios = [down / right for down, right in regions] if known else []
    return regions[0] if ratios and max(ratios) < 1.01 * min(ratios) else (1.0, 1.0)


def _numbers(value: Any) -> list[float]:
    """Returns the numbers of an attribute with several values."""
    several = not isinstance(value, str) and hasattr(value, "__iter__")
    return [float(v) for v in value] if several else []


def _place(ds: Dataset, number: int = 0) -> float:
    """Returns how far along the normal of its plane a slice lies, in mm; else its number."""
    place = _along_normal(ds, number)
    if place is None:
        place = float(ds.get("SliceLocation") or ds.get("InstanceNumber") or 0)
    return place if math.isfinite(place) else 0.0


def _along_normal(ds: Dataset, number: int) -> float | None:
    across = _numbers(of_frame(ds, number, "ImageOrientationPatient"))
    corner = _numbers(of_frame(ds, number, "ImagePositionPatient"))
    if len(across) != 6 or len(corner) != 3:
        return None
    return float(np.dot(np.cross(across[:3], across[3:]), corner))


def _places(ds: Dataset) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Returns place and volume of each frame; nothing if frames have no places, or all the same.

    Frames of one stack at one place, such as the times of a series, are in different volumes.
    """
    frames = range(shape(ds)[4])
    if len(ds.get("PerFrameFunctionalGroupsSequence") or ()) != len(frames):
        return (), ()
    places = [_along_normal(ds, number) for number in frames]
    known = [place for place in places if place is not None and math.isfinite(place)]
    if len(known) < len(frames) or len({round(place, 3) for place in known}) == 1:
        return (), ()
    times: Counter[object] = Counter()
    volumes: dict[object, int] = {}
    stacks = []
    for number, place in enumerate(known):
        across = _numbers(of_frame(ds, number, "ImageOrientationPatient"))
        stack = tuple(round(v, 3) for v in across), str(of_frame(ds, number, "StackID"))
        times[stack, round(place, 3)] += 1
        volume = stack, times[stack, round(place, 3)]
        stacks.append(volumes.setdefault(volume, len(volumes)))
    return tuple(known), tuple(stacks)


def is_color(ds: Dataset) -> bool:
    """Tells whether the pixels are RGB, YCbCr or palette color."""
    return shape(ds)[2] == 3 or ds.get("PhotometricInterpretation") == "PALETTE COLOR"


def is_plain(ds: Dataset) -> bool:
    """Tells whether the pixels are gray bytes without a unit."""
    bits = (ds.get("BitsAllocated"), ds.get("BitsStored", 8), ds.get("PixelRepresentation", 0))
    frames = range(shape(ds)[4] if "PerFrameFunctionalGroupsSequence" in ds else 1)
    return (
        bits == (8, 8, 0)
        and not is_color(ds)
        and all(rescale(ds, number) == (1, 0) for number in frames)
        and not any(of_frame(ds, number, "ModalityLUTSequence") for number in frames)
        and not any(real_world_table(ds, number) for number in frames)
    )


def contradicts(ds: Dataset) -> bool:
    """Tells whether the two attributes contradict each other on what is bright."""
    bright = {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}
    meant = bright.get(str(ds.get("PhotometricInterpretation")))
    shape_of_table = ds.get("PresentationLUTShape")
    return bool(meant) and shape_of_table in bright.values() and shape_of_table != meant
