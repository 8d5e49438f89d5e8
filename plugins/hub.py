"""The network of the Hugging Face hub."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies

from huggingface_hub import constants


@contextmanager
def network(allowed: bool) -> Iterator[None]:
    """Lets the hub's client ask the network if it may, and if there is one.

    Without a network it would retry for a minute. Files in the cache are found all the same.

    Args:
        allowed: Whether it may.
    """
    before = constants.HF_HUB_OFFLINE
    host = urlsplit(constants.ENDPOINT).hostname or ""
    constants.HF_HUB_OFFLINE = before or not allowed or _is_unknown(host)
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
