"""Creation of encoders and loading of initial weights."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..core.discovery import encoders
from ..core.encoder import Encoder
from ..core.errors import RunError, SslKitError, UsageError
from .architectures import architecture_of_weights
from .channel_names import adapt_channels, channels_in_words
from .checkpoints import (
    converted,
    facts_beside,
    listed,
    options_beside,
    read_checkpoint,
    unwrap,
    weights_file,
)
from .image_size import NOT_BUILT, cannot_be_built, refuse_image_size
from .weight_match import WeightMatch

DEFAULT_FAMILY = "timm"

RGB = ("red", "green", "blue")
_ENOUGH = 0.9  # of the weights


def create_encoder(name: str, channels: int, image_size: int, **options: Any) -> Encoder:
    """Builds an encoder with random weights.

    Args:
        name: "family/architecture"; an architecture without a family is one of timm, and so is
            "local-dir:FOLDER" or "hf-hub:OWNER/NAME".
        channels: C, the number of input channels.
        image_size: Height and width in pixels, which position embeddings are built for.
        options: Further arguments of the architecture, such as `init_values=1e-5`.

    Raises:
        UnknownNameError: If there is no such family or architecture.
        UsageError: If the architecture does not take the options or the image size.
    """
    encoder = _build(name, channels, image_size, options)
    refuse_image_size(name, encoder, channels, image_size)
    return encoder


def _build(name: str, channels: int, image_size: int, options: Mapping[str, Any]) -> Encoder:
    """Builds an encoder, which the image size may be wrong for."""
    family, slash, architecture = name.partition("/")
    if ":" in family or (not slash and name not in encoders):
        family, architecture = DEFAULT_FAMILY, name
    try:
        encoder: Encoder = encoders[family](architecture, channels, image_size, **options)
    except TypeError as error:
        if not options:
            raise
        raise UsageError(
            f"The encoder '{name}' does not take the arguments {listed(options)}: {error}."
        ) from error
    except NOT_BUILT as error:
        raise cannot_be_built(name, image_size, options, error) from error
    return encoder


def existing_weights(init: str, name_of_run_weights: str = "encoder.safetensors") -> Path:
    """Returns the file of weights that `init` means, which is neither "scratch" nor "imagenet".

    Args:
        init: A run folder or a weights file.
        name_of_run_weights: The file looked for when `init` is a folder.

    Raises:
        UsageError: If there is no such file.
    """
    path = weights_file(init, name_of_run_weights)
    if not path.is_file():
        raise UsageError(
            f"--init takes scratch, imagenet, a run folder or a weights file; '{init}' is none."
        )
    return path


def load_initial_weights(
    encoder: Encoder,
    init: str,
    channels: Sequence[str],
    name_of_run_weights: str = "encoder.safetensors",
) -> str:
    """Loads initial weights into an encoder.

    Args:
        encoder: Changed in place.
        init: "scratch", "imagenet", a run folder or a weights file.
        channels: Names of the encoder's input channels.
        name_of_run_weights: The file looked for when `init` is a folder.

    Returns:
        A sentence that says which weights were loaded, how many of them match, and which channels
        were matched by name.

    Raises:
        UsageError: If `init` is neither of these.
        RunError: If less than 90 % of the weights match.
    """
    if init == "scratch":
        return "random weights"
    if init == "imagenet":
        return load_weights(encoder, encoder.imagenet(), RGB, channels, "ImageNet weights")
    path = existing_weights(init, name_of_run_weights)
    state, source = read_weights(path)
    loaded = load_weights(encoder, state, source, channels, str(path))
    if tuple(source) == tuple(channels) and facts_beside(init):
        loaded += f"; all {len(channels)} channels matched by name"
    options = options_beside(init, encoder.name)
    return f"{loaded}; built with its {listed(options)}" if options else loaded


def read_weights(path: Path) -> tuple[Mapping[str, Any], Sequence[str]]:
    """Reads a safetensors or torch file, never unpickling.

    Returns:
        What the file holds, which may be a nested checkpoint, and the names of its input channels
        (RGB unless the file says otherwise).

    Raises:
        RunError: If the file cannot be read without running code from it.
    """
    content, channels = read_checkpoint(path)
    return content, channels.split(",") if channels else RGB


def load_weights(
    encoder: Encoder,
    checkpoint: Mapping[str, Any],
    source: Sequence[str],
    target: Sequence[str],
    origin: str,
) -> str:
    """Copies weights into an encoder and checks that they give the right features.

    The weights are looked for below any key and behind any prefix of the checkpoint, resampled
    to the encoder's image size, and the first layer is adapted to its channels. Where the
    architecture's own library can load the same weights, features of fixed images are compared.

    Args:
        encoder: Changed in place.
        checkpoint: Weights of the same architecture; a classifier in it is left out.
        source: Channel names of the checkpoint.
        target: Channel names of the encoder.
        origin: Where the weights come from, for the message.

    Returns:
        A sentence with the numbers of matched and missing weights, and which channels were matched
        by name if they are not the same.

    Raises:
        RunError: If less than 90 % match, weights that the encoder lacks included, or if the
            features differ from those of the architecture's own library.
    """
    match, found, remarks = _fit(encoder, checkpoint, source, target)
    if match.share < _ENOUGH or match.argument:
        other = "" if match.argument else _architecture(origin, checkpoint, encoder, source, target)
        raise RunError(
            f"{origin} does not fit the encoder '{encoder.name}': {match.refusal(other)}"
        )
    broken = [key for key, value in match.matched.items() if not bool(value.isfinite().all())]
    if broken:
        raise RunError(
            f"{origin} has weights that are not finite, the first '{broken[0]}': the training that "
            "wrote it has diverged. Give an earlier checkpoint."
        )
    encoder.body.load_state_dict(match.matched, strict=False)
    if not match.missing and tuple(source) == tuple(target):
        _prove(encoder, found, origin)
    return "; ".join([f"{origin}: {match.count}", *remarks])


def _fit(
    encoder: Encoder, checkpoint: Mapping[str, Any], source: Sequence[str], target: Sequence[str]
) -> tuple[WeightMatch, dict[str, Tensor], list[str]]:
    """Finds the weights of an encoder in a checkpoint; see `load_weights`.

    Returns:
        How they fit, the weights under the names of the file, and remarks on what was done.
    """
    encoder_state = encoder.body.state_dict()
    unwrapped, notes = unwrap(checkpoint, encoder_state, encoder.convert)
    found, left_out = _without_training_parts(unwrapped, encoder)
    state = dict(converted(found, encoder.convert))
    first, channels = encoder.first_layer, ""
    if first in state and first in encoder_state and state[first].ndim == encoder_state[first].ndim:
        channels = channels_in_words(source, target, state[first].shape[1])
        state[first] = adapt_channels(state[first], source, target)
    match = WeightMatch(encoder, state)
    remarks = [*match.remarks(), *notes, *filter(None, [channels])]
    if left_out:
        remarks.append(f"{left_out} tensors of a classifier or of pre-training left out")
    return match, found, remarks


def _architecture(
    origin: str,
    checkpoint: Mapping[str, Any],
    encoder: Encoder,
    source: Sequence[str],
    target: Sequence[str],
) -> str:
    """Names the architecture of weights that do not fit an encoder, "" if none is found."""

    def share(name: str) -> float:
        try:
            with torch.device("meta"):  # shapes alone, without any memory
                other = _build(name, encoder.channels, encoder.image_size, {})
                match = _fit(other, checkpoint, source, target)[0]
                if fits := match.share >= _ENOUGH and not match.argument:
                    size = encoder.image_size
                    refuse_image_size(name, other, encoder.channels, size)  # slow
                return match.share if fits else 0.0
        except (SslKitError, RuntimeError, NotImplementedError):
            return 0.0  # it cannot be built at this size, or not without memory

    return architecture_of_weights(origin, checkpoint, share)


_TRAINING_PARTS = re.compile(
    r"^(mask_token|decoder\w*|projector|predictor|projection_head|prediction_head|prototypes|queue"
    r"|queue_ptr|dino_head|ibot_head|pre_logits)(\.|$)"
)


def _without_training_parts(
    state: Mapping[str, Tensor], encoder: Encoder
) -> tuple[dict[str, Tensor], int]:
    """Leaves out classifiers and heads of pre-training that the encoder has no place for."""
    heads = tuple(f"{name}." for name in encoder.classifier)
    names = encoder.body.state_dict()
    kept = {
        key: value
        for key, value in state.items()
        if key in names or not (key.startswith(heads) or _TRAINING_PARTS.match(key))
    }
    mask_token = {"mask_token"} & set(state)  # by which timm recognizes DINOv2
    return kept | {key: state[key] for key in mask_token}, len(state) - len(kept)


def _prove(encoder: Encoder, state: Mapping[str, Tensor], origin: str) -> None:
    """Compares features of fixed images with those of the architecture's own library.

    Raises:
        RunError: If they differ by more than 1e-4 of the largest.
    """
    size = encoder.image_size
    x = torch.randn((2, encoder.channels, size, size), generator=torch.Generator().manual_seed(0))
    training = encoder.training
    with torch.no_grad():
        with torch.random.fork_rng(devices=[]):  # its random weights are overwritten
            expected = encoder.reference_features(dict(state), x)
        if expected is None:
            return
        features = encoder.eval()(x)
    encoder.train(training)
    gap = float((features - expected).abs().max())
    if not gap <= 1e-4 * float(expected.abs().max().clamp(min=1e-6)):
        raise RunError(
            f"{origin} gives other features in the encoder '{encoder.name}' than its own library "
            f"does (by {gap:.2g}). Please report this architecture."
        )


def check_trainable(encoder: Encoder) -> None:
    """Raises UsageError if an encoder has no weights, such as hand-crafted descriptors."""
    if next(encoder.parameters(), None) is None:
        raise UsageError(
            f"The encoder '{encoder.name}' has no weights to train. Choose another --encoder; "
            "evaluations of features, such as --evaluation linear, can use it as it is."
        )


def check_needs(encoder: Encoder, objective: str, needs: frozenset[str]) -> None:
    """Raises UsageError, before any data are read, if an encoder lacks what an objective needs."""
    check_trainable(encoder)
    missing = sorted(needs - encoder.provides)
    if missing:
        raise UsageError(
            f"The objective '{objective}' needs an encoder with {', '.join(missing)}; "
            f"'{encoder.name}' has {', '.join(sorted(encoder.provides)) or 'none of it'}."
        )
