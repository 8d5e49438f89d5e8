"""What ships with ssl-kit, registered through the same hooks as anyone's plugin."""

from __future__ import annotations

from collections.abc import Callable

from .. import hookimpl

_HERE = __name__
_OBJECTIVES = {
    "amdim": ("AMDIM", "Matches one view's whole with the other's parts, at several scales."),
    "barlow_twins": ("BarlowTwins", "Views agree; no feature repeats another."),
    "byol": ("BYOL", "Predicts a moving teacher's view; no negatives."),
    "colorization": ("Colorization", "Guesses the colors of an image from its brightness."),
    "combination": ("Combination", "A weighted sum of several objectives on one encoder."),
    "context_encoder": ("ContextEncoder", "Fills a cut-out region from its surroundings."),
    "cutpaste": ("CutPaste", "Tells which kind of patch was pasted into an image."),
    "data2vec": ("Data2Vec", "Predicts a teacher's features of hidden places."),
    "dcl": ("DCL", "SimCLR without the positive in the denominator; small batches do."),
    "deepcluster": (
        "DeepCluster",
        "Tells the cluster of an image's features, found anew each epoch.",
    ),
    "densecl": ("DenseCL", "Contrasts places as well as images; for detection and segmentation."),
    "descriptors": (
        "Descriptors",
        "Tells colors, patterns and gradients of the image from a crop.",
    ),
    "dino": ("DINO", "Small crops match a teacher's view of large ones."),
    "distillation": ("Distillation", "Learns the features of another encoder."),
    "ijepa": ("IJEPA", "Predicts features of hidden blocks from the rest; ViT."),
    "jigsaw": ("Jigsaw", "Tells how the tiles of an image were shuffled."),
    "lejepa": ("LeJEPA", "Views agree while features are made an isotropic Gaussian."),
    "mae": ("MAE", "Restores the pixels of hidden patches from few visible ones; ViT."),
    "masked_clusters": (
        "MaskedClusters",
        "Tells the cluster of hidden places, in the manner of HuBERT.",
    ),
    "moco": ("MoCo", "Contrasts an image with a queue of earlier ones."),
    "moco_v3": ("MoCoV3", "Contrasts a prediction with a teacher's views of the batch."),
    "nnclr": ("NNCLR", "Takes an image's nearest neighbor among earlier ones as its positive."),
    "pirl": ("PIRL", "An image and its shuffled tiles share features, against a memory of others."),
    "relative_patch": ("RelativePatch", "Tells where one patch lies as seen from another."),
    "ressl": ("ReSSL", "Keeps the relations between images under augmentation."),
    "rotation": ("Rotation", "Tells by how much an image was turned."),
    "simclr": ("SimCLR", "Contrasts an image with all others of the batch."),
    "simmim": ("SimMIM", "Restores the pixels of hidden patches; CNN and ViT."),
    "simsiam": (
        "SimSiam",
        "Predicts one view from the other; a stopped gradient prevents collapse.",
    ),
    "smog": ("SMoG", "Contrasts images with groups that move along as they learn."),
    "spark": ("SparK", "Masked modeling for CNNs: convolutions see visible places only."),
    "swav": ("SwAV", "One view predicts the other's cluster; many small crops."),
    "tico": ("TiCo", "Views agree; directions in common use are pushed apart."),
    "vicreg": ("VICReg", "Views agree; variance kept, repetition removed."),
    "vicregl": ("VICRegL", "VICReg on images and on matching places."),
    "w_mse": ("WMSE", "Whitened views of an image agree."),
}


_EVALUATIONS = {
    "bags": ("Bags", "Tells the label of a bag of images: a pool of all, attention or a graph."),
    "detection": (
        "Detection",
        "Faster or Mask R-CNN from the encoder's weights, COCO or VOC annotations: mAP.",
    ),
    "episodes": ("Episodes", "N classes told apart from K images of each, 600 times."),
    "few_labels": ("FewLabels", "An evaluation with k labels of each class, drawn several times."),
    "finetune": ("FineTune", "The encoder trained on with labels, all of it or some layers."),
    "knn": ("KNN", "Weighted vote of the 20 nearest training images."),
    "label_fractions": ("LabelFractions", "An evaluation with shares of the labeled groups."),
    "leave_one_out": ("LeaveOneOut", "Each subject tested by a linear layer of the others: LOSO."),
    "linear": ("Linear", "Logistic regression on frozen features."),
    "retrieval": ("Retrieval", "Ranks training images by likeness: mAP and recall."),
    "robustness": ("Robustness", "Accuracy as test images get worse in ways the field knows."),
    "spectrum": ("Spectrum", "Rank and spread of features; needs no labels."),
    "within_group": ("WithinGroup", "An evaluation within each subject: early time for late time."),
}

_FIELDS = {
    "eeg": "EEG and wearable recordings, as signals or as images.",
    "histopathology": "Whole slides and patches of stained tissue.",
    "medical": "DICOM, NIfTI, radiographs and microscopy.",
    "remote_sensing": "Scenes from above: JPEG, PNG and GeoTIFF of any bands.",
    "sar": "Radar: complex and detected images, MSTAR, Sentinel-1.",
}


@hookimpl
def register_encoders(register: Callable[..., None]) -> None:
    """The encoder families."""
    register(
        "timm",
        f"{_HERE}.encoders.timm:TimmEncoder",
        summary="Every architecture of timm, by its name.",
    )


@hookimpl
def register_objectives(register: Callable[..., None]) -> None:
    """The objectives."""
    here = f"{_HERE}.objectives"
    for name, (where, summary) in _OBJECTIVES.items():
        register(name, f"{here}.{name}:{where}", summary=summary)


@hookimpl
def register_datasets(register: Callable[..., None]) -> None:
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
def register_domains(register: Callable[..., None]) -> None:
    """The one domain that needs no package of its own, and those known but not installed."""
    register(
        "natural",
        f"{_HERE}.domains.natural:NATURAL",
        summary="Ordinary photographs; SimCLR's views.",
    )
    for name, summary in _FIELDS.items():
        register(name, None, summary=summary, install=f"pip install -e domains/{name}")


@hookimpl
def register_evaluations(register: Callable[..., None]) -> None:
    """The evaluations."""
    here = f"{_HERE}.evaluations"
    for name, (where, summary) in _EVALUATIONS.items():
        register(name, f"{here}.{name}:{where}", summary=summary)
