"""What ships with ssl-kit, registered through the same hooks as anyone's plugin."""

from __future__ import annotations

from ssl_kit.core.hookspecs import Register, hookimpl

_HERE = __name__


@hookimpl
def register_encoders(register: Register) -> None:
    """The encoder families."""
    register(
        "timm",
        f"{_HERE}.encoders.timm:TimmEncoder",
        summary="Every architecture of timm, by its name.",
    )


@hookimpl
def register_objectives(register: Register) -> None:
    """The objectives."""
    here = f"{_HERE}.objectives"
    register("byol", f"{here}.byol:BYOL", summary="Predicts a moving teacher's view; no negatives.")
    register(
        "rotation", f"{here}.rotation:Rotation", summary="Tells by how much an image was turned."
    )
    register(
        "simclr",
        f"{here}.simclr:SimCLR",
        summary="Contrasts an image with all others of the batch.",
    )
    register(
        "vicreg", f"{here}.vicreg:VICReg", summary="Views agree; variance kept, repetition removed."
    )


@hookimpl
def register_datasets(register: Register) -> None:
    """The datasets."""
    here = f"{_HERE}.datasets"
    register(
        "image_folder",
        f"{here}.image_folder:ImageFolder",
        summary="JPEG, PNG, BMP, WebP and TIFF files in folders; labels.csv if there is one.",
    )
    register(
        "arrays",
        f"{here}.arrays:Arrays",
        summary="NumPy files: one .npy or .npz, or a folder of .npy.",
    )
    register(
        "digits",
        f"{here}.digits:Digits",
        summary="1,797 handwritten digits that scikit-learn ships.",
    )


@hookimpl
def register_domains(register: Register) -> None:
    """The one domain that needs no package of its own, and those known but not installed."""
    register(
        "natural",
        f"{_HERE}.domains.natural:NATURAL",
        summary="Ordinary photographs; SimCLR's views.",
    )
    register(
        "remote_sensing",
        None,
        summary="Scenes from above: JPEG, PNG and GeoTIFF of any bands.",
        install="pip install -e domains/remote_sensing",
    )


@hookimpl
def register_evaluations(register: Register) -> None:
    """The evaluations."""
    here = f"{_HERE}.evaluations"
    register("knn", f"{here}.knn:KNN", summary="Weighted vote of the 20 nearest training images.")
    register("linear", f"{here}.linear:Linear", summary="Logistic regression on frozen features.")
