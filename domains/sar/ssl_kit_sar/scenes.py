"""Finds the files that belong together: polarizations of a scene, and Sentinel-1 products."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssl_kit import Index

_POLARIZATIONS = ("vv", "vh", "hh", "hv", "lh", "lv", "rh", "rv")
_TOKEN = re.compile(rf"(?<![a-z])({'|'.join(_POLARIZATIONS)})(?![a-z])", re.IGNORECASE)
_SENTINEL1 = re.compile(r"^(s1[a-d]-.*)-\d{3}(-cog)?(\.\w+)$", re.IGNORECASE)
_PRODUCT = re.compile(r"([^/]+\.SAFE)(/|$)", re.IGNORECASE)
_MEASUREMENT = re.compile(r"(^|/)s1[a-d]-[a-z0-9]+-(grd|slc)-[^/]*\.tiff?$", re.IGNORECASE)


def polarization_of(key: str) -> tuple[str, str]:
    """Returns the name of the scene of a file, and its polarization in lower case or "".

    Args:
        key: Path such as a/scene_VV.tif or X.SAFE/measurement/s1a-iw-grd-vv-...-001.tiff.
    """
    folder, _, name = key.rpartition("/")
    tokens = list(_TOKEN.finditer(name))
    if len(tokens) == 1:
        token = tokens[0]
        scene = _SENTINEL1.sub(r"\1\3", name[: token.start()] + "*" + name[token.end() :])
        return f"{folder}/{scene}", token[1].lower()
    if not tokens and folder:  # vv/scene.tif beside vh/scene.tif
        parent, _, last = folder.rpartition("/")
        if last.lower() in _POLARIZATIONS:
            return f"{parent}/*/{name}", last.lower()
    return key, ""


def join(keys: Sequence[str]) -> dict[int, dict[str, int]]:
    """Returns the scenes whose polarizations are in several files.

    Args:
        keys: Paths of files.

    Returns:
        For the position of the first file of a scene, the position of the file of each
        polarization, in the order vv, vh, hh, hv.
    """
    scenes: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for file, key in enumerate(keys):
        scene, polarization = polarization_of(key)
        if polarization:
            scenes[scene].setdefault(polarization, file)
    joined = {}
    for files in scenes.values():
        ordered = {name: files[name] for name in _POLARIZATIONS if name in files}
        if len(ordered) > 1:
            joined[next(iter(ordered.values()))] = ordered
    return joined


def is_measurement(key: str) -> bool:
    """Tells whether a file has the name of a Sentinel-1 measurement, such as s1a-iw-grd-vv-*."""
    return bool(_MEASUREMENT.search(key))


def product_of(path: str) -> str:
    """Returns the name of the .SAFE folder that a file is in, "" if it is in none."""
    match = _PRODUCT.search(path)
    return match[1] if match else ""


def accepts_products(keys: Iterable[str]) -> bool:
    """Tells whether there are measurements of Sentinel-1 products among files."""
    return any(map(is_measurement, keys))


@dataclass(frozen=True)
class Scenes:
    """Files that belong together.

    Attributes:
        index: The scenes; the key of a scene is that of its first file.
        members: Key of the file of each polarization, by the position of a scene that has several.
        remarks: What was assumed.
    """

    index: Index
    members: Mapping[int, Mapping[str, str]]
    remarks: tuple[str, ...]


def gather(files: Index, root: Path, join_files: bool, has_table: bool) -> Scenes:
    """Joins the polarizations of scenes, and makes a group of each Sentinel-1 product.

    Args:
        files: Index of the files.
        root: Folder that they are in.
        join_files: Whether polarizations in several files are one image.
        has_table: Whether a table gives labels and groups; folders of products are no classes.
    """
    keys = [files.key(file) for file in range(len(files))]
    joined = join(keys) if join_files else {}
    dropped = {file for scene in joined.values() for file in scene.values()} - set(joined)
    kept = [file for file in range(len(files)) if file not in dropped]
    members = {
        position: {name: keys[other] for name, other in joined[file].items()}
        for position, file in enumerate(kept)
        if file in joined
    }
    in_product = product_of(f"{root.resolve().as_posix()}/")
    if not members and not in_product and not any(map(product_of, keys)):
        return Scenes(files, {}, ())
    labels, groups = [], []
    for file in kept:
        label, group = files.label(file), files.group(file)
        product = product_of(keys[file]) or in_product
        if not has_table and (
            label.lower() in (*_POLARIZATIONS, "measurement") or product_of(label)
        ):
            label = ""
        labels.append(label)
        groups.append(product if product and group.startswith(f"{keys[file]}:") else group)
    remarks: tuple[str, ...] = ()
    if members:
        names = Counter(", ".join(scene) for scene in members.values()).most_common(1)[0][0]
        remarks = (
            f"{len(members)} scenes have a file for each polarization ({names}), which become "
            "channels of one image; data.options.join=false takes every file for an image.",
        )
    origins = {"group": "names of products"} if groups != [files.group(f) for f in kept] else {}
    index = files.expand(kept, labels=labels, groups=groups, origins=origins)
    return Scenes(index, members, remarks)
