"""Creation of encoders and loading of initial weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..core.discovery import encoders
from ..core.encoder import Encoder
from ..core.errors import RunError, UsageError

DEFAULT_FAMILY = "timm"

RGB = ("red", "green", "blue")


def create_encoder(name: str, channels: int, image_size: int) -> Encoder:
    """Builds an encoder with random weights.

    Args:
        name: "family/architecture"; an architecture without a family is one of timm.
        channels: C, the number of input channels.
        image_size: Height and width in pixels, which position embeddings are built for.

    Raises:
        UnknownNameError: If there is no such family or architecture.
    """
    family, slash, architecture = name.partition("/")
    if not slash and name not in encoders:
        family, architecture = DEFAULT_FAMILY, name
    encoder: Encoder = encoders[family](architecture, channels, image_size)
    return encoder


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
        A sentence that says which weights were loaded and how many of them match.

    Raises:
        UsageError: If `init` is neither of these.
        RunError: If less than 90 % of the weights match.
    """
    if init == "scratch":
        return "random weights"
    if init == "imagenet":
        return load_weights(encoder, encoder.imagenet(), RGB, channels, "ImageNet weights")
    path = Path(init)
    path = path / name_of_run_weights if path.is_dir() else path
    if not path.is_file():
        raise UsageError(
            f"--init takes scratch, imagenet, a run folder or a weights file; '{init}' is none."
        )
    state, source = read_weights(path)
    return load_weights(encoder, state, source, channels, str(path))


def read_weights(path: Path) -> tuple[dict[str, Tensor], Sequence[str]]:
    """Reads a state dict from a safetensors or torch file, without unpickling.

    Returns:
        The state dict, and the names of its input channels (RGB unless the file names others).
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, framework="pt") as file:
                state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                names = (file.metadata() or {}).get("channels", "")
            return state, names.split(",") if names else RGB
        state = torch.load(path, map_location="cpu", weights_only=True)
        return dict(state.get("state_dict", state)), RGB
    except Exception as error:
        raise RunError(
            f"'{path}' is no readable weights file ({type(error).__name__}); "
            "give a .safetensors file or a torch state dict without pickled objects."
        ) from error


def load_weights(
    encoder: Encoder,
    state: Mapping[str, Tensor],
    source: Sequence[str],
    target: Sequence[str],
    origin: str,
) -> str:
    """Copies a state dict into an encoder, adapting the first layer to its channels.

    Args:
        encoder: Changed in place.
        state: Weights of the same architecture; those of a classifier are ignored.
        source: Names of the input channels of `state`.
        target: Names of the input channels of the encoder.
        origin: Source of the weights, for the message.

    Returns:
        A sentence with the numbers of matched and missing weights.

    Raises:
        RunError: If less than 90 % match.
    """
    expected = encoder.body.state_dict()
    first = encoder.first_layer
    state = dict(state)
    if first in state and first in expected and state[first].ndim == expected[first].ndim:
        state[first] = adapt_channels(state[first], source, target)
    matched = {k: v for k, v in state.items() if k in expected and v.shape == expected[k].shape}
    missing = sorted(set(expected) - set(matched))
    summary = f"{len(matched)} of {len(expected)} weights match"
    if len(matched) < 0.9 * len(expected):
        raise RunError(
            f"{origin} does not fit the encoder '{encoder.name}': only {summary} (first without a "
            f"match: '{missing[0]}'). Choose the --encoder the weights were trained for."
        )
    encoder.body.load_state_dict(matched, strict=False)
    names = ", ".join(missing[:5])
    return f"{origin}: {summary}" + (f"; missing {names}" if names else "")


def adapt_channels(weight: Tensor, source: Sequence[str], target: Sequence[str]) -> Tensor:
    """Adapts the weight (out, N, ...) of an input layer to other channels (out, M, ...).

    A target channel takes the weights of the source channel of that name, or the mean over all
    channels; the factor N / M keeps the scale of the response.
    """
    if tuple(source) == tuple(target) or len(source) != weight.shape[1]:
        if weight.shape[1] == len(target):
            return weight
        source = [""] * weight.shape[1]
    mean = weight.mean(dim=1)
    names = list(source)
    columns = [weight[:, names.index(name)] if name in names else mean for name in target]
    return torch.stack(columns, dim=1) * (len(names) / len(target))


def check_needs(encoder: Encoder, objective: str, needs: frozenset[str]) -> None:
    """Raises UsageError, before any data are read, if an encoder lacks what an objective needs."""
    missing = sorted(needs - encoder.provides)
    if missing:
        raise UsageError(
            f"The objective '{objective}' needs an encoder with {', '.join(missing)}; "
            f"'{encoder.name}' has {', '.join(sorted(encoder.provides)) or 'none of it'}."
        )
