"""Whether one output of a network depends on a part of it that another output ignores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

Gradients = dict[str, list[Tensor]]


def uncovered(network: nn.Module, used: Callable[[], Tensor], trained: Callable[[], Tensor]) -> str:
    """Names a part of a network that `used` depends on and `trained` does not.

    Parts are the parameters, and the positions along each axis of what the modules return, such as
    the class token behind a block. An output depends on a part where its gradient is not zero.

    Args:
        network: The network, which is put into evaluation mode for the time of the call.
        used: Runs the network and returns what is used of it, such as the pooled features.
        trained: Runs it on the same input and returns what a loss is computed from.

    Returns:
        Name of a parameter or module, "" if there is no such part.
    """
    training = network.training
    needed, reached = _gradients(network, used), _gradients(network, trained)
    network.train().train(training)
    for name, _ in network.named_parameters():
        if name in needed and name not in reached:
            return name
    for name, gradients in needed.items():
        others = reached.get(name, [])
        if len(gradients) == len(others) and not all(map(_within, gradients, others)):
            return name
    return ""


def _within(needed: Tensor, reached: Tensor) -> bool:
    """Tells whether a gradient is nonzero at each index of each axis at which another one is."""
    if needed.shape != reached.shape:
        return True  # of another call
    axes = range(1, needed.ndim)
    others = [[n for n in range(needed.ndim) if n != axis] for axis in axes]
    return not any((needed.any(o) & ~reached.any(o)).any() for o in map(tuple, others))


def _gradients(network: nn.Module, run: Callable[[], Tensor]) -> Gradients:
    """Returns the nonzero gradients of a weighted sum of an output, by parameter or module."""
    network.train().eval()  # drops what some networks cache in evaluation mode
    with outputs_of(network) as parts, torch.enable_grad():
        output = run()
        weights = torch.rand(output.shape, generator=torch.Generator().manual_seed(0)) - 0.5
        total = (output * weights).sum()
    parts = [*network.named_parameters(), *parts]
    gradients = torch.autograd.grad(total, [part for _, part in parts], allow_unused=True)
    nonzero: Gradients = {}
    for (name, _), gradient in zip(parts, gradients, strict=True):
        if gradient is not None and bool(gradient.any()):
            nonzero.setdefault(name, []).append(gradient)
    return nonzero


@contextmanager
def outputs_of(network: nn.Module) -> Iterator[list[tuple[str, Tensor]]]:
    """Collects what the modules of a network return in each call, with their names."""
    outputs: list[tuple[str, Tensor]] = []

    def collect(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, args: object, output: object) -> None:
            if isinstance(output, Tensor) and output.requires_grad:
                outputs.append((name, output))

        return hook

    handles = [m.register_forward_hook(collect(name)) for name, m in network.named_modules()]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()
