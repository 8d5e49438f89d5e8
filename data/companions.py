"""Files that belong to images and are no images themselves: masks and segmentations."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection

IMAGE_FOLDERS = re.compile(r"(images?|imgs?|jpegimages|raw|inputs?|originals?|photos?|scans?|rgb)")
MASK_FOLDERS = re.compile(
    r"(masks?|labels?|annotations?|segmentations?|segs?|gts?|ground_?truths?|targets?)"
    r"|segmentation(class|object)|annots?"
)
_SET = r"([_-]?(tr|ts|va|train|val|valid|test|training|testing|validation))?(png|s)?"
_IMAGE = re.compile(rf"({IMAGE_FOLDERS.pattern}){_SET}", re.I)
_MASK = re.compile(rf"({MASK_FOLDERS.pattern}){_SET}", re.I)
_MASK_NAME = re.compile(
    r"(.+?)[ _.-]+(masks?|segs?|segmentations?|labels?|dseg|gt|groundtruth|lesions?|roi"
    r"|annotations?|manual)[ _-]?\d*",
    re.I,
)


def masks_among(keys: Collection[str]) -> set[str]:
    """Returns the keys of masks and segmentations that lie beside images.

    A mask is a file in a folder such as `masks` or `labelsTr` beside a folder such as `images` or
    `imagesTr`, or a file such as `a_mask.png` or `sub-01_seg.nii.gz` beside another one of the same
    name without this ending.

    Args:
        keys: Paths with "/".
    """
    return _in_mask_folders(keys) | _with_mask_names(keys)


def _in_mask_folders(keys: Collection[str]) -> set[str]:
    siblings: defaultdict[str, set[str]] = defaultdict(set)
    for key in keys:
        folders = key.split("/")[:-1]
        for level, folder in enumerate(folders):
            siblings["/".join(folders[:level])].add(folder)
    with_images = {
        parent for parent, names in siblings.items() if any(map(_IMAGE.fullmatch, names))
    }

    def is_mask(key: str) -> bool:
        folders = key.split("/")[:-1]
        return any(
            _MASK.fullmatch(folder) and "/".join(folders[:level]) in with_images
            for level, folder in enumerate(folders)
        )

    return {key for key in keys if is_mask(key)}


def _with_mask_names(keys: Collection[str]) -> set[str]:
    stems: defaultdict[str, list[str]] = defaultdict(list)
    bases: dict[str, tuple[str, str]] = {}
    for key in keys:
        folder, _, name = key.rpartition("/")
        stem = (
            name.partition(".")[0]
            if name.count(".") == 1
            else re.sub(r"(\.\w{1,5}){1,2}$", "", name)
        )
        match = _MASK_NAME.fullmatch(stem)
        if match:
            bases[key] = folder, match.group(1)
        else:
            stems[folder].append(stem)
    prefixes = {
        (folder, stem[:end])
        for folder, names in stems.items()
        for stem in names
        for end in range(1, len(stem) + 1)
        if end == len(stem) or not stem[end].isalnum()
    }
    return {key for key, base in bases.items() if base in prefixes}


def counted_by_ending(names: Collection[str], most: int = 5) -> str:
    """Returns how many files there are of each ending: "2 .gif, 1 .avif"."""
    endings = Counter(re.sub(r"^.*?((\.nii)?\.\w+|)$", r"\1", name.lower()) for name in names)
    shown = [f"{n} {ending or 'without ending'}" for ending, n in endings.most_common(most)]
    more = len(endings) - len(shown)
    return ", ".join(shown) + (f" and {more} other endings" if more else "")
