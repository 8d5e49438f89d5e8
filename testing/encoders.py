"""The rules that every encoder family must keep."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..core.encoder import Encoder
from ..core.errors import SslKitError, UsageError
from ..nn.coverage import uncovered
from .kit import explaining, require

Kind = type[Encoder]
_SIZE = 64
_NOTHING = "not checked: name a small architecture or two in the class attribute `example`"


def declares_itself(kind: Kind) -> None:
    """It is an Encoder with a docstring."""
    require(issubclass(kind, Encoder), f"{kind} is no subclass of ssl_kit.Encoder")
    require(bool((kind.__doc__ or "").strip()), "the class has no docstring")


def refuses_unknown_architectures(kind: Kind) -> None:
    """An unknown architecture raises an ssl-kit error of one line."""
    try:
        kind("no_such_architecture", 3, _SIZE)
    except SslKitError as error:
        require(len(str(error).splitlines()) == 1, "the message has several lines")
        return
    require(False, "an unknown architecture is accepted; raise ssl_kit.UnknownNameError")


def _small(kind: Kind, channels: int = 3) -> Iterator[Encoder]:
    """Yields the examples of the family."""
    for name in kind.example:
        try:
            torch.manual_seed(0)
            yield kind(name, channels, _SIZE).eval()
        except SslKitError as error:
            require(False, f"it refuses '{name}' of its `example`: {error}")


def _images(encoder: Encoder) -> Tensor:
    """Returns images, or signals for an encoder that takes only signals."""
    images = torch.randn(2, encoder.channels, _SIZE, _SIZE)
    try:
        encoder(images)
    except (RuntimeError, UsageError):
        return images[:, :, :1]
    return images


@torch.no_grad()
def features_are_rows(kind: Kind) -> str:
    """It maps images of 1, 3 and 13 channels to finite features (B, num_features)."""
    checked = False
    for channels in (1, 3, 13):
        for encoder in _small(kind, channels):
            with explaining(f"{encoder.name} with {channels} channels; the first layer takes C"):
                features = encoder(_images(encoder))
            shape, expected = tuple(features.shape), (2, encoder.num_features)
            require(
                shape == expected,
                f"{encoder.name}: features are {shape}, not (B, D) = "
                f"{expected}; set `num_features` and pool",
            )
            require(bool(features.isfinite().all()), f"{encoder.name}: features are not finite")
            checked = True
    return "" if checked else _NOTHING


@torch.no_grad()
def provides_what_it_says(kind: Kind) -> str:
    """What it lists in `provides` (map, pyramid, tokens) has the promised shapes."""
    checked = False
    for encoder in _small(kind):
        images = _images(encoder)
        with explaining(
            f"{encoder.name} lists {', '.join(sorted(encoder.provides))} in "
            "`provides`; leave out what it does not have"
        ):
            if encoder.provides & {"map", "pyramid"}:
                _check_pyramid(encoder, images)
            if "tokens" in encoder.provides:
                _check_tokens(encoder, images)
        checked = True
    return "" if checked else _NOTHING


def _check_pyramid(encoder: Encoder, images: Tensor) -> None:
    pooled, pyramid = encoder.forward_features(images)
    same = torch.allclose(pooled, encoder(images), rtol=1e-3, atol=1e-5)
    require(same, "the pooled features of `forward_features` are not those of `forward`")
    shapes = [tuple(level.shape[1:]) for level in pyramid]
    require(
        all(len(shape) == 3 for shape in shapes),
        f"the pyramid has shapes {shapes}, not (D, h, w) each",
    )
    require(
        torch.equal(encoder.forward_map(images), pyramid[-1]),
        "`forward_map` is not the last of `forward_pyramid`",
    )
    areas = [h * w for _, h, w in shapes]
    require(
        areas == sorted(areas, reverse=True),
        f"the pyramid has shapes {shapes}; the finest map comes first",
    )


def _check_tokens(encoder: Encoder, images: Tensor) -> None:
    tokens = encoder.forward_tokens(images)
    right = tokens.ndim == 3 and len(tokens) == 2
    require(right, f"tokens are {tuple(tokens.shape)}, not (B, prefix + N, D)")
    kept = encoder.forward_tokens(images, torch.tensor([[0, 2], [1, 0]]))
    shape, expected = tuple(kept.shape), (2, encoder.num_prefix_tokens + 2, tokens.shape[2])
    require(shape == expected, f"tokens of 2 kept patches are {shape}, not {expected}")


@torch.no_grad()
def body_holds_the_weights(kind: Kind) -> str:
    """The state of `body` alone brings a fresh encoder to the same features."""
    checked = False
    for encoder, fresh in zip(_small(kind), _small(kind), strict=True):
        images = _images(encoder)
        for value in fresh.parameters():
            value.add_(0.1)
        fresh.body.load_state_dict(encoder.body.state_dict())
        same = torch.equal(encoder(images), fresh(images))
        require(
            same,
            f"{encoder.name}: features differ after loading; only `body` is shipped, so "
            "all weights must be in it",
        )
        checked = True
    return "" if checked else _NOTHING


def pools_what_is_trained(kind: Kind) -> str:
    """After `pool_from` the features depend on the map or the tokens only, and can be rebuilt."""
    refused = []
    for part in ("map", "tokens"):
        for encoder in _small(kind):
            if part not in encoder.provides:
                continue
            try:
                encoder.pool_from(part)
            except UsageError as error:
                refused.append(str(error))
                continue
            _check_pooling(kind, encoder, part)
    return " ".join(refused)


def _check_pooling(kind: Kind, encoder: Encoder, part: str) -> None:
    x = _images(encoder)
    run = encoder.forward_map if part == "map" else encoder.forward_tokens
    other = uncovered(encoder.body, lambda: encoder(x), lambda: run(x))
    require(
        not other,
        f"{encoder.name}: after pool_from('{part}') the features depend on '{other}' as well; pool "
        f"the {part}, or raise ssl_kit.UsageError",
    )
    architecture = encoder.name.rpartition("/")[2]
    fresh = kind(architecture, encoder.channels, encoder.image_size, **encoder.options).eval()
    with explaining("put the arguments that pool_from changed into `options` and `arguments`"):
        fresh.body.load_state_dict(encoder.body.state_dict())
        torch.testing.assert_close(fresh(x), encoder(x))


RULES = (
    declares_itself,
    refuses_unknown_architectures,
    features_are_rows,
    provides_what_it_says,
    body_holds_the_weights,
    pools_what_is_trained,
)
