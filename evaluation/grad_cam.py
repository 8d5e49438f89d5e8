"""Grad-CAM: which positions of an image speak for a class.

Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization,
Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra, 2017. https://arxiv.org/abs/1610.02391
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from ..core.encoder import Encoder
from ..core.errors import UsageError
from .classifier import Classifier

_FEWEST = 4  # positions along the larger side of a map; fewer show next to nothing

Shape = Sequence[int]
"""(D, h, w) of a feature map."""


def grad_cam(classifier: Classifier, x: Tensor, classes: Tensor) -> Tensor:
    """Weighs the channels of a feature map by their mean gradient, eq. 1 and 2.

    The map is the last one of the network that has at least four positions along a side, or the
    one with the most. Of a vision transformer these are the patch tokens that the class still
    depends on, such as those that enter the attention of the last block.

    Args:
        classifier: In evaluation mode; its parameters stay without gradients.
        x: Images (B, C, H, W), standardized.
        classes: (B,) class numbers that are explained.

    Returns:
        (B, h, w) in [0, 1], with the maximum 1 of each image; 0 where nothing speaks for the class.

    Raises:
        UsageError: If the encoder has no feature map that the prediction depends on.
    """
    encoder = classifier.encoder
    shape = _level(encoder, x)
    with _outputs(encoder, shape) as outputs, torch.enable_grad():
        logits = classifier(x.detach().requires_grad_())
        score = logits.gather(1, classes[:, None]).sum()
    gradients = torch.autograd.grad(score, outputs, allow_unused=True) if outputs else ()
    for output, gradient in zip(reversed(outputs), reversed(gradients), strict=True):
        if gradient is None or not (slope := _as_map(gradient, shape)).any():
            continue
        weights = slope.mean(dim=(2, 3), keepdim=True)
        maps = relu((weights * _as_map(output.detach(), shape)).sum(dim=1))
        return maps / maps.amax(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(maps.dtype).tiny)
    raise UsageError(
        f"Grad-CAM needs a feature map that the prediction depends on, and '{encoder.name}' has "
        "none. Leave out --gradcam."
    )


@torch.no_grad()
def _level(encoder: Encoder, x: Tensor) -> Shape:
    """Returns the shape of the last feature map with enough positions, or with the most."""
    shapes = [tuple(level.shape[1:]) for level in encoder.forward_pyramid(x[:1])]
    large = [shape for shape in shapes if max(shape[1:]) >= _FEWEST]
    return large[-1] if large else max(shapes, key=lambda shape: shape[1] * shape[2])


@contextmanager
def _outputs(encoder: Encoder, shape: Shape) -> Iterator[list[Tensor]]:
    """Collects what the modules of an encoder return, in order, if it has the shape of a map."""
    outputs: list[Tensor] = []

    def collect(_: nn.Module, args: object, output: object) -> None:
        if isinstance(output, Tensor) and _layout(output.shape[1:], shape) is not None:
            outputs.append(output)

    handles = [module.register_forward_hook(collect) for module in encoder.modules()]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def _as_map(values: Tensor, shape: Shape) -> Tensor:
    """Returns what a module returned, or its gradient, as (B, D, h, w)."""
    arrange = _layout(values.shape[1:], shape)
    assert arrange is not None  # noqa: S101
    return arrange(values)


def _layout(found: Shape, shape: Shape) -> Callable[[Tensor], Tensor] | None:
    """Returns what rearranges an output to (B, D, h, w); None if it has another shape.

    Args:
        found: Shape of the output without B: (D, h, w), (h, w, D) or tokens (prefix + h w, D).
        shape: (D, h, w).
    """
    d, h, w = shape
    if tuple(found) == (d, h, w):
        return lambda values: values
    if tuple(found) == (h, w, d):
        return lambda values: values.permute(0, 3, 1, 2)
    if len(found) == 2 and found[1] == d and found[0] >= h * w:
        return lambda values: values[:, -h * w :].transpose(1, 2).reshape(-1, d, h, w)
    return None
