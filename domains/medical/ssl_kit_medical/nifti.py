"""NIfTI and MGH volumes, cut into slices along a direction of the body."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ssl_kit import DataError, Image, Index
from ssl_kit.data import (
    agree,
    file_path,
    index_files,
    keep_open,
    parents_of,
    plural,
    walk,
)

from . import itk_files
from .dicom_headers import code
from .masks import any_labels, find_masks
from .nifti_files import Volume, write_nifti
from .volumes import Parts, VolumeConfig, Volumes

_LOOKED_AT = 8  # slices of a volume that may tell a segmentation
_WHOLE = (".nii", ".nii.gz", ".mgh", ".mgz", ".mnc", ".par", ".head", *itk_files.SUFFIXES)
_HALVES = (".img", ".img.gz", ".hdr", ".hdr.gz")
_VOXELS = (".raw", ".raw.gz", ".zraw", ".rec", ".brik", ".brik.gz")  # of which others are headers
_ONE = np.zeros(1, np.int64)  # number and time of the slice that stands for a faulty file
_PAIRED = re.compile(r"\.(hdr|img)(\.gz)?$", re.I)  # halves of one file
_SEQUENCE = re.compile(
    r"[ _.-](t1|t2|pd)(w|c|n|f|ce|gd|km)?|[ _.-](flair|dwi|adc|swi|bold|ct|cta|cbct|mr|mri|pet|suv)"
)  # at the end of the names of images of one patient


class _Facts(NamedTuple):
    """What is known of a file.

    Attributes:
        number: (n,) number of each slice.
        time: (n,) time of each slice.
        color: Whether it is in color.
        assumed: What its axes are taken for, "" if it says how the body lies in it.
        in_plane: Whether its slices are in the plane that was asked for.
    """

    number: NDArray[np.int64] = _ONE
    time: NDArray[np.int64] = _ONE
    color: bool = False
    assumed: str = ""
    in_plane: bool = True


class NiftiConfig(VolumeConfig):
    """Options of the NIfTI reader."""

    plane: Annotated[
        Literal["axial", "coronal", "sagittal"], Field(description="anatomical plane of the slices")
    ] = "axial"
    margin: Annotated[
        float,
        Field(ge=0, lt=0.5, description="share of the slices that is left out at each end"),
    ] = 0.0


class Nifti(Volumes):
    """Volumes of NIfTI, Analyze, MGH, MINC, PAR/REC, AFNI, NRRD and MetaImage, deflated too.

    They have 2, 3 or 4 axes, the fourth of which is time, and numbers or colors. Slices have the
    radiological orientation, by the file's affine. The group is the subject where names follow BIDS
    (sub-01), else the files of one name with different sequences (case1_t1, case1_flair), else the
    file. Segmentations beside images are recognized by their names and values, and left out.
    """

    Config = NiftiConfig
    options: NiftiConfig
    suffixes = (*_WHOLE, *_HALVES)
    kind = "volumes"

    def prepare(self) -> None:
        """Reads the header of each file, and a slice of each that may be a segmentation."""
        super().prepare()
        facts = self.inspect(self._facts)
        of_files = [facts.get(file, _Facts()) for file in range(len(self.files))]
        usable = list(facts.values())
        self._choose_channels(np.repeat([f.color for f in usable], [len(f.time) for f in usable]))
        self._scale_by("bytes" if self._rgb else "volume")
        self._say_what_is_assumed(usable)
        self._lay_out(self._cut(of_files))

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Tells whether the path is a volume, or a folder with one."""
        if path.is_file():
            return path.name.lower().endswith(cls.suffixes)
        names = [key.lower() for key in walk(path)]
        whole = any(n.endswith(cls.suffixes) and not _PAIRED.search(n) for n in names)
        return whole or len(_halves(names)) > 0

    def find_files(self) -> Index:
        """Returns the index of the volumes: one file of each pair, and no segmentations."""
        files = index_files(self.path, (*self.suffixes, *_VOXELS), self.labels)
        names = [files.key(i) for i in range(len(files))]
        halves = _halves(names)
        kept = [i for i, n in enumerate(names) if n.lower().endswith(self.suffixes)]
        kept = [i for i in kept if names[i] not in halves]
        if not kept:
            return super().find_files()  # which says what is there
        self.files = files.take(kept)
        if len(kept) > 1 and not self.labels.masks:
            self._leave_out_segmentations()
        return self.files

    def _leave_out_segmentations(self) -> None:
        """Leaves out the files that hold a few whole numbers, and that no table gives a label."""
        index = self.files
        masks, all_kinds = find_masks([index.key(i) for i in range(len(index))], self._is_mask)
        if self.declares_labels:
            masks = [i for i in masks if index.labels[i] < 0]
        if masks:
            kept = np.delete(np.arange(len(index)), masks)
            self.files = index.take(kept)
            if not self.declares_labels and len(np.unique(self.files.labels)) == 1:
                nothing = np.full_like(self.files.labels, -1)
                self.files = replace(self.files, labels=nothing, classes=())
            self._remark(
                f"{plural(len(masks), 'segmentation')} beside the images, known by few whole "
                "numbers, "
                f"{agree(len(masks), 'is', 'are')} left out; --set data.masks=true includes them."
            )
        if not all_kinds:
            self._remark(
                "Segmentations were looked for in some of the files only, because their names have "
                "nothing in common; keep segmentations in a folder beside that of the images."
            )

    def _is_mask(self, file: int) -> bool:
        try:
            volume = _volume(file_path(self.path, self.files.key(file)), self.options.plane)
            return not volume.color and any_labels(volume.stored_slices(_LOOKED_AT))
        except DataError:
            return False

    @classmethod
    def example(cls, folder: Path) -> Path:
        """Writes a deflated volume of one subject, and a series of three of another."""
        rng = np.random.default_rng(0)
        shapes = {"sub-01_T1w.nii.gz": (20, 24, 6), "sub-02_bold.nii": (12, 10, 4, 3)}
        for name, shape in shapes.items():
            write_nifti(folder / name, rng.integers(0, 2000, shape, np.int16))
        return folder

    def _say_what_is_assumed(self, usable: list[_Facts]) -> None:
        """Adds remarks on files whose orientation is unknown, or another than asked for."""
        assumed = Counter(facts.assumed for facts in usable if facts.assumed)
        for axes, unknown in assumed.items():
            self._remark(
                f"{plural(unknown, 'volume')} {agree(unknown, 'does', 'do')} not say how the "
                f"body lies: the axes are taken for {axes} in this order; data.options.plane "
                "chooses another."
            )
        other = sum(not facts.in_plane for facts in usable)
        if other:
            self._remark(
                f"{plural(other, 'file')} {agree(other, 'has', 'have')} a single slice that is "
                f"not {self.options.plane}; it is taken "
                "as it is."
            )

    def _cut(self, of_files: list[_Facts]) -> Parts:
        """Returns the slices of all files, and one for each file that cannot be used."""
        names = [self.files.key(file) for file in range(len(self.files))]
        file = parents_of([facts.number for facts in of_files])
        number = np.concatenate([facts.number for facts in of_files])
        time = np.concatenate([facts.time for facts in of_files])
        subjects = [_entity(name, "sub") for name in names]
        visits = [
            code(subject, _entity(name, "ses")) if subject else code(name)
            for name, subject in zip(names, subjects, strict=True)
        ]
        return Parts(
            keys=[
                f"{name}#{place}"
                for name, facts in zip(names, of_files, strict=True)
                for place in _places(facts.number, facts.time)
            ],
            file=file,
            part=time * 2**15 + number,  # no side of a volume is longer than 2^15 - 1
            study=np.array(visits)[file],
            volume=file * 2**15 + time,
            place=number.astype(np.float64),
            groups=self._groups(names, subjects),
        )

    def _groups(self, names: list[str], subjects: list[str]) -> list[str]:
        """Returns the group of each file, "" where it is a group of its own."""
        cases = [_case(name) for name in names]
        several = {case for case, count in Counter(cases).items() if count > 1}
        groups = [
            subject or (case if case in several else "")
            for subject, case in zip(subjects, cases, strict=True)
        ]
        alone = sum(not g and not self.declared_group(file) for file, g in enumerate(groups))
        together = sum(bool(g) and not s for g, s in zip(groups, subjects, strict=True))
        if together:
            self._remark(
                f"{together} files of the same names but for the sequence (such as _t1 and _flair) "
                "are in one group each; --labels with the column group declares others."
            )
        if alone > 1:
            self._remark(
                f"{alone} files are a group each; if a patient has several, name them as BIDS does "
                "(sub-01_...), or give --labels a table with the column group."
            )
        return groups

    def _facts(self, file: int) -> _Facts:
        """Returns what is known of a file."""
        volume = _volume(self.path_of(file), self.options.plane)
        left_out = int(self.options.margin * volume.slices)
        number = np.arange(left_out, volume.slices - left_out)
        return _Facts(
            np.tile(number, volume.times),
            np.repeat(np.arange(volume.times), len(number)),
            volume.color,
            volume.assumed,
            volume.in_plane,
        )

    def values(self, i: int) -> Image:
        """Returns slice i, (H, W, 1) float32, or (H, W, 3) uint8 of colors."""
        file = int(self._file[i])
        self.refuse_faulty(file)
        time, number = divmod(int(self._part[i]), 2**15)
        volume = _volume(self.path_of(file), self.options.plane)
        return self._in_channels(volume.read(number, time))


@keep_open(16)  # headers, and indices into deflated data
def _volume(path: Path, plane: str) -> Volume:
    return Volume(path, plane)


def _places(number: NDArray[np.int64], time: NDArray[np.int64]) -> list[str]:
    """Returns "3", or "3,0" where there are several times."""
    pairs = zip(number.tolist(), time.tolist(), strict=True)
    return [f"{n},{t}" if time.any() else f"{n}" for n, t in pairs]


def _entity(name: str, entity: str) -> str:
    """Returns an entity of a BIDS name, such as sub-01; "" if it has none."""
    match = re.search(rf"(?:^|[/_])({entity}-[0-9A-Za-z]+)(?=[/_.])", name)
    return match.group(1) if match else ""


def _case(name: str) -> str:
    """Returns a path without the sequence in the name, such as _flair; "" if it has none."""
    folder, _, file = name.rpartition("/")
    stem = re.sub(r"(\.nii|\.img)?\.\w+$", "", file.lower())
    match = re.search(rf"({_SEQUENCE.pattern})$", stem)
    if not match and re.fullmatch(r"images(tr|ts|va)", folder.rpartition("/")[2].lower()):
        match = re.search(r"_\d{4}$", stem)  # nnU-Net numbers the sequences of a case
    return f"{folder}/{stem[: match.start()]}" if match else ""


def _halves(names: Collection[str]) -> set[str]:
    """Returns the names of headers whose voxels are there too, as in a.hdr with a.img."""
    images = {_PAIRED.sub("", name) for name in names if re.search(r"\.img(\.gz)?$", name, re.I)}
    return {
        name
        for name in names
        if re.search(r"\.hdr(\.gz)?$", name, re.I) and _PAIRED.sub("", name) in images
    }
