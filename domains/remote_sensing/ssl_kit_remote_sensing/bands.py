"""One vocabulary of band names for all sensors.

A name is the role of a band, so that weights of a first layer transfer between sensors by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ssl_kit import UsageError

RGB = ("red", "green", "blue")
INDICES = ("ndvi", "ndwi", "mndwi", "ndbi", "ndmi", "nbr", "ndre", "savi")

# Center wavelengths in nanometers: of Sentinel-2 MSI where it has the band, else of Landsat.
_NANOMETERS = {
    "coastal": 443.0,
    "blue": 490.0,
    "green": 560.0,
    "pan": 590.0,
    "yellow": 600.0,
    "red": 665.0,
    "red_edge_1": 705.0,
    "red_edge_2": 740.0,
    "red_edge_3": 783.0,
    "nir": 842.0,
    "nir_narrow": 865.0,
    "water_vapor": 945.0,
    "cirrus": 1375.0,
    "swir_1": 1610.0,
    "swir_2": 2190.0,
    "thermal": 10900.0,
    "thermal_2": 12000.0,
}
VOCABULARY = tuple(_NANOMETERS)
THERMAL = ("thermal", "thermal_2")

# Common names of the STAC electro-optical extension 1.1, then what files are often described with.
_ALIASES = {
    "rededge": "red_edge_1",
    "rededge071": "red_edge_1",
    "rededge075": "red_edge_2",
    "rededge078": "red_edge_3",
    "nir08": "nir_narrow",
    "nir09": "water_vapor",
    "swir16": "swir_1",
    "swir22": "swir_2",
    "lwir": "thermal",
    "lwir11": "thermal",
    "lwir12": "thermal_2",
    "red_edge": "red_edge_1",
    "red_edge1": "red_edge_1",
    "red_edge2": "red_edge_2",
    "red_edge3": "red_edge_3",
    "near_infrared": "nir",
    "narrow_nir": "nir_narrow",
    "swir1": "swir_1",
    "swir2": "swir_2",
    "coastal_aerosol": "coastal",
    "water_vapor": "water_vapor",
    "thermal_1": "thermal",
    "tir": "thermal",
    "panchromatic": "pan",
}

# What users call channels, in lower case without marks. Sentinel-2 alone has bands 12 and 8A; other
# numbers mean different bands of different sensors.
SPELLINGS: Mapping[str, str] = {
    **{name.replace("_", ""): name for name in (*_NANOMETERS, *INDICES)},
    **{alias.replace("_", ""): name for alias, name in _ALIASES.items()},
    **dict.fromkeys(("b12", "band12"), "swir_2"),
    **dict.fromkeys(("b8a", "b08a", "band8a"), "nir_narrow"),
}

# Bands of a product in their order, by the number they are known by.
_TM = {
    "1": "blue",
    "2": "green",
    "3": "red",
    "4": "nir",
    "5": "swir_1",
    "6": "thermal",
    "7": "swir_2",
}
SENSORS: Mapping[str, Mapping[str, str]] = {
    "sentinel2": {
        "1": "coastal",
        "2": "blue",
        "3": "green",
        "4": "red",
        "5": "red_edge_1",
        "6": "red_edge_2",
        "7": "red_edge_3",
        "8": "nir",
        "8a": "nir_narrow",
        "9": "water_vapor",
        "10": "cirrus",
        "11": "swir_1",
        "12": "swir_2",
    },
    "landsat45": _TM,
    "landsat7": {**_TM, "8": "pan"},
    "landsat89": {
        "1": "coastal",
        "2": "blue",
        "3": "green",
        "4": "red",
        "5": "nir",
        "6": "swir_1",
        "7": "swir_2",
        "8": "pan",
        "9": "cirrus",
        "10": "thermal",
        "11": "thermal_2",
    },
    "naip": {"1": "red", "2": "green", "3": "blue", "4": "nir"},
}
# Bands that the usual stacks of a product do without, beside the stack of all.
_WITHOUT: Mapping[str, Sequence[Sequence[str]]] = {
    "sentinel2": (
        ("10",),
        ("1", "9", "10"),
        ("1", "5", "6", "7", "8a", "9", "10", "11", "12"),
    ),
    "landsat45": (("6",),),
    "landsat7": (("8",), ("6", "8")),
    "landsat89": (("8", "9", "10", "11"), ("1", "8", "9", "10", "11")),
    "naip": (("4",),),
}
_BAND_ID = re.compile(r"(?:sr_|st_)?b0*(\d{1,2}a?)(?:_vcid_([12]))?", re.IGNORECASE)


def canonical(name: str) -> str:
    """Returns the name of the vocabulary, "" if it is none."""
    plain = re.sub(r"[\s-]+", "_", name.strip().lower())
    plain = _ALIASES.get(plain, plain)
    return plain if plain in _NANOMETERS else ""


def role(name: str, sensor: str) -> str:
    """Returns the vocabulary's name of a description or band number such as B8A or SR_B4, or ""."""
    match = _BAND_ID.fullmatch(name.strip())
    if match is None:
        return canonical(name)
    known = SENSORS.get(sensor, {}).get(match[1].lower(), "")
    return "thermal_2" if known == "thermal" and match[2] == "2" else known


def is_band_number(name: str, number: str) -> bool:
    """Tells whether a name is that band number: B08A and SR_B8A are number 8a."""
    match = _BAND_ID.fullmatch(name.strip())
    return match is not None and match[1].lower() == number


def name_bands(described: Sequence[str], sensor: str, asked: bool) -> tuple[str, ...]:
    """Names the bands of a file.

    Args:
        described: Names in the file, "" where it has none.
        sensor: A key of `SENSORS`, or "" if it is not known.
        asked: Whether the user named the sensor; then every band must get a name.

    Returns:
        Names of the vocabulary where possible, else the file's, else band1, band2, ...

    Raises:
        UsageError: If the bands are not those of the sensor that was asked for.
    """
    named = [role(name, sensor) for name in described]
    for layout in _layouts(sensor):
        if len(layout) == len(named) and all(
            name in ("", known) for name, known in zip(named, layout, strict=True)
        ):
            return layout
    if asked and not all(named):
        counts = ", ".join(str(len(layout)) for layout in _layouts(sensor))
        names_in_file = ", ".join(name or "?" for name in described)
        raise UsageError(
            f"The files have {len(described)} bands ({names_in_file}); stacks of {sensor} have "
            f"{counts} in their usual order. Name them with data.options.channels."
        )
    if len(set(filter(None, named))) < sum(map(bool, named)):
        named = [""] * len(named)  # two of one role: their own names tell them apart
    names = [a or b.strip().lower() or f"band{i}" for i, (a, b) in _numbered(named, described)]
    if len(set(names)) < len(names):
        names = [f"band{i}" for i, _ in _numbered(named, described)]
    return tuple(names)


def _numbered(first: Sequence[str], second: Sequence[str]) -> list[tuple[int, tuple[str, str]]]:
    return list(enumerate(zip(first, second, strict=True), start=1))


def _layouts(sensor: str) -> list[tuple[str, ...]]:
    """Returns the bands of the usual stacks of a sensor."""
    bands = SENSORS.get(sensor, {})
    left_out = [(), *_WITHOUT[sensor]] if bands else []
    return [tuple(name for n, name in bands.items() if n not in out) for out in left_out]


def wavelengths(channels: Sequence[str]) -> tuple[float, ...]:
    """Returns the center wavelength of each channel in nanometers; () if any name is not known.

    A spectral index has none: infinity, where haze has no effect.
    """
    nanometers = [
        float("inf") if name in INDICES else _NANOMETERS.get(canonical(name)) for name in channels
    ]
    return tuple(value for value in nanometers if value) if all(nanometers) else ()
