"""What every encoder family must keep to."""

from __future__ import annotations

from ssl_kit.core.encoder import Encoder
from ssl_kit.core.errors import SslKitError

from .kit import require

Kind = type[Encoder]


def declares_itself(kind: Kind) -> None:
    """It is an Encoder with a docstring."""
    require(issubclass(kind, Encoder), f"{kind} is no subclass of ssl_kit.Encoder")
    require(bool((kind.__doc__ or "").strip()), "the class has no docstring")


def refuses_unknown_architectures(kind: Kind) -> None:
    """An unknown architecture is an ssl-kit error in one line."""
    try:
        kind("no_such_architecture", 3, 32)
    except SslKitError as error:
        require(len(str(error).splitlines()) == 1, "the message has several lines")
        return
    require(False, "an unknown architecture is accepted; raise ssl_kit.UnknownNameError")


RULES = (declares_itself, refuses_unknown_architectures)
