"""Sparse convolution on visible patches, emulated by masked dense operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool2d
from torch.nn.modules import batchnorm, conv, pooling

_SPATIAL = (conv.Conv2d, pooling._MaxPoolNd, pooling._AvgPoolNd)


def _masks(visible: Tensor) -> Callable[[Sequence[int]], Tensor]:
    """Returns a function of the shape (B, C, h, w) of a map that gives its mask (B, 1, h, w)."""

    @cache
    def resized(height: int, width: int) -> Tensor:
        return adaptive_max_pool2d(visible, (height, width))

    def at(shape: Sequence[int]) -> Tensor:
        if shape[0] != len(visible):  # positions that a head is applied to one by one
            return visible.new_ones(shape[0], 1, *shape[2:])
        return resized(*shape[2:])

    return at


@contextmanager
def visible_only(network: nn.Module, visible: Tensor) -> Iterator[None]:
    """Restricts a convolutional network to the visible patches of images, as sparse layers do.

    SparK (Tian et al. 2023, https://arxiv.org/abs/2301.03580), section 3.2. The inputs of
    convolution and pooling are zero at hidden positions, and batch normalization takes its
    statistics from visible positions only. A position of a coarser map is visible if any part of
    it is. Global pools inside the network (squeeze-excitation, GRN) see all positions.

    Args:
        network: Its layers get forward hooks inside the context.
        visible: (B, 1, h, w), 1 where visible and 0 where hidden.
    """
    shapes: list[torch.Size] = []
    at = _masks(visible)

    def hide(_: nn.Module, args: tuple[Tensor]) -> Tensor:
        return args[0] * at(args[0].shape).to(args[0].dtype)

    def narrow(_: nn.Module, args: tuple[Tensor]) -> Tensor:
        shapes.append(args[0].shape)
        sites = at(args[0].shape)[:, 0].bool()
        return args[0].permute(0, 2, 3, 1)[sites][..., None, None]  # (visible, C, 1, 1)

    def widen(_: nn.Module, args: tuple[Tensor], out: Tensor) -> Tensor:
        b, c, h, w = shapes.pop()
        x = out.new_zeros(b, h, w, c)
        x[at((b, c, h, w))[:, 0].bool()] = out[..., 0, 0]
        return x.permute(0, 3, 1, 2)

    with ExitStack() as hooks:
        for module in network.modules():
            if isinstance(module, _SPATIAL):
                hooks.enter_context(module.register_forward_pre_hook(hide))
            elif isinstance(module, batchnorm._BatchNorm):
                hooks.enter_context(module.register_forward_pre_hook(narrow))
                hooks.enter_context(module.register_forward_hook(widen))
        yield
