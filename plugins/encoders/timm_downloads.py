"""Where timm finds architectures and weights, and what to do where there is no network."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import timm

from ... import RunError, UnknownNameError
from ..hub import network

_HUB = "https://huggingface.co"
_FILE = "model.safetensors"


def how_to_download(name: str, cfg: Any) -> str:
    """Says in sentences which file has the pretrained weights, and how to give it.

    Args:
        name: Architecture, with or without the tag of its weights.
        cfg: timm's configuration of the weights; None if timm has none.
    """
    repository, file = getattr(cfg, "hf_hub_id", None), getattr(cfg, "hf_hub_filename", None)
    address = getattr(cfg, "url", None)
    if repository:
        file = file or _FILE
        what = f"'{file}' of the Hugging Face repository '{repository}'"
        address = f"{_HUB}/{repository}/resolve/main/{file}"
    elif address:
        what = f"'{address.rpartition('/')[2]}'"
    else:
        architecture = name.partition(".")[0]
        near = timm.list_pretrained(f"{architecture.partition('_')[0]}*")[:3]
        others = f", such as {', '.join(near)}" if near else ""
        return (
            f"timm publishes no weights of this architecture. Choose another --encoder{others}, or "
            "give a file of weights with --init FILE."
        )
    return (
        f"Download {what} on another computer ({address}) and give the file in place of "
        "'imagenet': --init FILE, in a comparison --imagenet-weights FILE."
    )


def how_to_copy(identifier: str) -> str:
    """Says in a sentence which files of a repository an encoder is made of, and how to give them.

    Args:
        identifier: "OWNER/NAME" of the Hugging Face hub, with or without "@REVISION".
    """
    repository, _, revision = identifier.partition("@")
    return (
        f"Download 'config.json' and '{_FILE}' of {_HUB}/{repository}/tree/{revision or 'main'} on "
        "another computer into one folder, and say --encoder local-dir:FOLDER."
    )


def without_retries(name: str) -> AbstractContextManager[None]:
    """Lets a download that cannot work fail at once; a folder asks nothing of the network.

    Args:
        name: Of the encoder whose files are asked for.
    """
    return network(allowed=not name.startswith("local-dir:"))


def configuration_of(name: str, options: dict[str, Any]) -> tuple[Any, str, dict[str, Any]]:
    """Returns timm's configuration of the weights, the architecture, and all its options.

    Raises:
        UnknownNameError: If timm has no such architecture.
        RunError: If a folder or a model of the hub cannot be read.
    """
    try:
        source, identifier = timm.models.parse_model_name(name)
    except ValueError:
        source, identifier = None, name
    if source is None:
        if not timm.is_model(name.partition(".")[0]):
            raise UnknownNameError("timm architecture", name, timm.list_models())
        return timm.get_pretrained_cfg(name), name, options
    hub = timm.models._hub
    local = source == "local-dir"
    load = hub.load_model_config_from_path if local else hub.load_model_config_from_hf
    try:
        with without_retries(name):
            cfg, architecture, arguments = load(identifier)
    except Exception as error:
        folder = "A local-dir is a folder with config.json and model.safetensors."
        raise RunError(
            f"The encoder '{name}' cannot be read ({type(error).__name__}). "
            f"{folder if local else how_to_copy(identifier)}"
        ) from error
    return timm.models.PretrainedCfg(**cfg), architecture, {**(arguments or {}), **options}
