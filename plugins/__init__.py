"""The built-in plugins, registered through the same hooks as all other plugins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from .. import hookimpl

_HERE = __name__
_OBJECTIVES = {
    "Contrastive": {
        "amdim": ("AMDIM", "Mutual information of global and local features of two views."),
        "dcl": ("DCL", "SimCLR with a decoupled loss, which works for small batches."),
        "densecl": ("DenseCL", "MoCo on images and on local features; for dense prediction tasks."),
        "moco": ("MoCo", "Contrastive learning with a momentum encoder and a queue of keys."),
        "moco_v3": ("MoCoV3", "Contrastive learning with a momentum encoder and a predictor."),
        "nnclr": (
            "NNCLR",
            "Contrastive learning whose positives are nearest neighbors in a queue.",
        ),
        "pirl": ("PIRL", "Contrastive learning of an image and its jigsaw, with a memory bank."),
        "simclr": ("SimCLR", "Contrastive learning against all other images of the batch."),
    },
    "Self-distillation": {
        "byol": ("BYOL", "Predicts a momentum encoder's projection; no negatives."),
        "dino": ("DINO", "Self-distillation: local crops match a momentum encoder's global crops."),
        "distillation": ("Distillation", "Learns to predict the features of another encoder."),
        "ressl": ("ReSSL", "Similarities between images agree in student and momentum encoder."),
        "simsiam": ("SimSiam", "Predicts one view from the other with a stop-gradient."),
    },
    "Clustering": {
        "deepcluster": (
            "DeepCluster",
            "Predicts the k-means cluster of an image; new clusters each epoch.",
        ),
        "smog": ("SMoG", "Contrastive learning between images and momentum-updated groups."),
        "swav": ("SwAV", "Predicts the cluster assignment of another view; multi-crop."),
    },
    "Redundancy reduction": {
        "barlow_twins": (
            "BarlowTwins",
            "Redundancy reduction by the cross-correlation of two views.",
        ),
        "lejepa": ("LeJEPA", "Invariance with embeddings regularized to an isotropic Gaussian."),
        "tico": ("TiCo", "Makes two views agree and penalizes the covariance of embeddings."),
        "vicreg": ("VICReg", "Invariance with variance and covariance regularization."),
        "vicregl": ("VICRegL", "VICReg on images and on matched local features."),
        "w_mse": ("WMSE", "Mean squared error of whitened embeddings of two views."),
    },
    "Masked images": {
        "context_encoder": ("ContextEncoder", "Inpaints a masked region from its surroundings."),
        "data2vec": ("Data2Vec", "Predicts a momentum encoder's features of masked patches."),
        "ijepa": ("IJEPA", "Predicts a momentum encoder's features of target blocks; for ViTs."),
        "mae": ("MAE", "Masked autoencoder: reconstructs masked patches; for ViTs."),
        "masked_clusters": (
            "MaskedClusters",
            "Predicts the cluster of masked patches, as HuBERT does.",
        ),
        "simmim": ("SimMIM", "Predicts the pixels of masked patches; for CNNs and ViTs."),
        "spark": ("SparK", "Masked image modeling for CNNs with sparse convolutions."),
    },
    "Pretext tasks": {
        "colorization": ("Colorization", "Predicts the colors of an image from its lightness."),
        "cutpaste": ("CutPaste", "Classifies which kind of patch was pasted into an image."),
        "descriptors": (
            "Descriptors",
            "Predicts hand-crafted descriptors of the image (color, LBP, gradients) from a crop.",
        ),
        "jigsaw": ("Jigsaw", "Classifies the permutation of the tiles of an image."),
        "relative_patch": ("RelativePatch", "Classifies the relative position of two patches."),
        "rotation": (
            "Rotation",
            "Classifies by which multiple of 90 degrees an image was rotated.",
        ),
    },
    "Several at once": {
        "combination": ("Combination", "A weighted sum of several objectives on one encoder."),
    },
}

_EVALUATIONS = {
    "Frozen features": {
        "knn": ("KNN", "Weighted vote of the 20 nearest training images."),
        "linear": ("Linear", "Linear probe: logistic regression on frozen features."),
        "retrieval": ("Retrieval", "Ranks training images by similarity: mAP and recall."),
        "robustness": (
            "Robustness",
            "Accuracy on test images with corruptions typical of the domain.",
        ),
        "spectrum": ("Spectrum", "Rank and variance of the features; needs no labels."),
        "svm": ("SVM", "Support-vector machine with an RBF kernel on frozen features."),
    },
    "Training": {
        "bags": ("Bags", "Predicts the label of a bag of images by pooling, attention or a graph."),
        "detection": ("Detection", "Faster or Mask R-CNN on COCO or VOC annotations: mAP."),
        "finetune": ("FineTune", "Fine-tuning of all or some layers of the encoder."),
        "search": ("Search", "Another evaluation with settings that suit the validation images."),
    },
    "Few labels": {
        "episodes": ("Episodes", "Few-shot episodes of N classes with K images each."),
        "few_labels": (
            "FewLabels",
            "Runs another evaluation with k labels per class, drawn several times.",
        ),
        "label_fractions": (
            "LabelFractions",
            "Runs another evaluation with fractions of the labeled groups.",
        ),
    },
    "Subjects": {
        "leave_one_out": ("LeaveOneOut", "A linear probe tested on each subject in turn (LOSO)."),
        "within_group": (
            "WithinGroup",
            "Another evaluation inside each subject, from early to late.",
        ),
    },
}

_ATTENTION = {
    "cbam": ("CBAMEncoder", "A CNN of timm with channel and spatial attention: cbam/resnet18."),
    "se": ("SEEncoder", "A CNN of timm with squeeze-and-excitation attention: se/resnet18."),
    "eca": ("ECAEncoder", "A CNN of timm with efficient channel attention: eca/resnet18."),
}

_FIELDS = {
    "audio": "Speech, music and other sounds, as log-mel pictures or as waveforms.",
    "eeg": "EEG and recordings of wearables, as signals or as images.",
    "histopathology": "Whole slides and patches of stained tissue.",
    "medical": "DICOM, NIfTI, radiographs and microscopy.",
    "remote_sensing": "Aerial and satellite images: JPEG, PNG and GeoTIFF with any bands.",
    "sar": "Radar images, complex or detected: MSTAR, Sentinel-1.",
}

_RECIPES = {
    "amdim": "Mutual information of global and local features, by a linear probe.",
    "inpainting": "Context encoder: a missing region is filled, then transfer.",
    "jigsaw": "Permutations of tiles are recognized, then transfer.",
    "moco": "Contrast with a queue of keys (MoCo v2), by a linear probe.",
    "relative-patch": "Relative positions of patches are recognized, then transfer.",
    "simclr": "Contrast with the images of the batch, by a linear probe.",
}


@hookimpl
def register_encoders(register: Callable[..., None]) -> None:
    """Registers the encoder families."""
    register(
        "timm",
        f"{_HERE}.encoders.timm:TimmEncoder",
        summary="Every architecture of timm, by its name.",
    )
    register(
        "handcrafted",
        f"{_HERE}.encoders.handcrafted:HandcraftedEncoder",
        summary="Histograms of images, statistics of signals; controls without weights.",
    )
    for name, (kind, summary) in _ATTENTION.items():
        register(name, f"{_HERE}.encoders.with_attention:{kind}", summary=summary)


@hookimpl
def register_objectives(register: Callable[..., None]) -> None:
    """Registers the objectives."""
    _register_groups(register, f"{_HERE}.objectives", _OBJECTIVES)


@hookimpl
def register_datasets(register: Callable[..., None]) -> None:
    """Registers the datasets."""
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
        "matlab",
        f"{here}.matlab:Matlab",
        summary="MATLAB files: .mat with pictures, cubes of channels or stacks.",
    )
    register(
        "digits",
        f"{here}.digits:Digits",
        summary="1,797 handwritten digits that scikit-learn contains.",
    )
    register(
        "torchvision",
        f"{here}.torchvision:Torchvision",
        summary="Sets such as CIFAR10, by --data torchvision:NAME; needs data.options.root.",
    )
    register(
        "hf",
        f"{here}.hugging_face:HuggingFace",
        summary="Hugging Face datasets, by --data hf:NAME or hf:FOLDER; needs ssl-kit[hf].",
    )


@hookimpl
def register_domains(register: Callable[..., None]) -> None:
    """Registers the built-in domain, and the names of domains that are not installed."""
    register(
        "natural",
        f"{_HERE}.domains.natural:NATURAL",
        summary="Natural photographs, with the augmentations of SimCLR.",
    )
    for name, summary in _FIELDS.items():
        register(name, None, summary=summary, install=f"pip install -e domains/{name}")


@hookimpl
def register_evaluations(register: Callable[..., None]) -> None:
    """Registers the evaluations."""
    _register_groups(register, f"{_HERE}.evaluations", _EVALUATIONS)


@hookimpl
def register_recipes(register: Callable[..., None]) -> None:
    """Registers experiments of papers on photographs."""
    for name, summary in _RECIPES.items():
        register(name, Path(__file__).parent / "recipes" / f"{name}.toml", summary=summary)


def _register_groups(
    register: Callable[..., None], here: str, groups: Mapping[str, Mapping[str, tuple[str, str]]]
) -> None:
    for group, members in groups.items():
        for name, (kind, summary) in members.items():
            register(name, f"{here}.{name}:{kind}", summary=summary, group=group)
