"""Where timm's pretrained weights are published, for those who have no network here."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import timm
from huggingface_hub import constants

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


@contextmanager
def without_retries() -> Iterator[None]:
    """Lets a download that cannot work fail at once: the hub's client would retry for a minute.

    Files in the cache are found all the same.
    """
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or _is_unknown(urlsplit(constants.ENDPOINT).hostname or "")
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _is_unknown(host: str) -> bool:
    """Tells whether the network does not know a host; a proxy may know more."""
    if getproxies():
        return False
    try:
        socket.getaddrinfo(host, 443)
    except OSError:
        return True
    return False
