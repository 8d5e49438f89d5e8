"""Files that belong to images and are no images themselves: masks and segmentations."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection

_IMAGES = (
    r"(images?|imgs?|jpegimages|leftimg8bit|raw|inputs?|originals?|photos?|pics|pictures|scans?"
    r"|rgb)"
)
_MASKS = (
    r"(masks?|labels?|annotations?|annots?|segmentations?|segs?|gts?|gt(fine|coarse)|targets?"
    r"|ground_?truths?|truths?|segmentation(class|object))"
)
_SET = r"([_-]?(tr|ts|va|train|val|valid|test|training|testing|validation))?(png|s)?"
_IMAGE = re.compile(rf"{_IMAGES}{_SET}", re.I)
_MASK = re.compile(rf"{_MASKS}{_SET}", re.I)
_PREFIXED = re.compile(rf"(.+?)[ _.-]+{_MASKS}", re.I)  # train_masks
_WORDS = (
    r"(masks?|segs?|segmentations?|labels?|dseg|gt|groundtruth|lesions?|roi|annotations?|manual)"
)
_MASK_NAME = re.compile(
    rf"(?P<base>.+?)[ _.-]+{_WORDS}[ _-]?\d*|{_WORDS}[ _.-]+(?P<rest>.+)",
    re.I,
)


def masks_among(keys: Collection[str]) -> set[str]:
    """Returns the keys of masks and segmentations that lie beside images.

    A mask is a file in a folder such as `masks`, `labelsTr` or `train_masks` beside a folder such
    as `images`, `imagesTr` or `train`; or in a folder such as `masks` below images of the same
    names; or a file such as `a_mask.png`, `mask_a.png` or `sub-01_seg.nii.gz` beside another one of
    the same name without this word.

    Args:
        keys: Paths with "/".
    """
    return _in_mask_folders(keys) | _below_images(keys) | _with_mask_names(keys)


def _in_mask_folders(keys: Collection[str]) -> set[str]:
    siblings: defaultdict[str, set[str]] = defaultdict(set)
    for key in keys:
        folders = key.split("/")[:-1]
        for level, folder in enumerate(folders):
            siblings["/".join(folders[:level])].add(folder)
    masks = {
        (parent, name)
        for parent, names in siblings.items()
        for name in names
        if _is_mask_folder(name, names)
    }

    def is_mask(key: str) -> bool:
        folders = key.split("/")[:-1]
        places = (("/".join(folders[:level]), name) for level, name in enumerate(folders))
        return any(place in masks for place in places)

    return {key for key in keys if is_mask(key)}


def _is_mask_folder(name: str, siblings: Collection[str]) -> bool:
    """Tells whether a folder has masks, from its name and those of the folders beside it."""
    if _MASK.fullmatch(name):
        return any(map(_IMAGE.fullmatch, siblings))
    match = _PREFIXED.fullmatch(name)
    if match is None:
        return False
    images = re.compile(rf"{re.escape(match[1])}([ _.-]*{_IMAGES})?", re.I)
    return any(map(images.fullmatch, siblings))


def _below_images(keys: Collection[str]) -> set[str]:
    """Returns the files in folders such as `a/masks` that are called like files in `a`."""
    images = {re.sub(r"\.[^/]*$", "", key) for key in keys}
    found = set()
    for key in keys:
        *outer, folder, name = ["", *key.split("/")]
        stem = name.partition(".")[0]
        match = _MASK_NAME.fullmatch(stem)
        stems = {stem, *(match.group("base", "rest") if match else ())}
        if _MASK.fullmatch(folder) and images & {"/".join([*outer[1:], str(s)]) for s in stems}:
            found.add(key)
    return found


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
            bases[key] = folder, match["base"] or match["rest"]
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
