"""Whether one output of a network depends on a part of it that another output ignores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

Gradients = dict[str, list[Tensor]]


def uncovered(
    network: nn.Module,
    used: Callable[[], Tensor],
    trained: Callable[[], Tensor],
    prefix: int | None = None,
) -> str:
    """Names a part of a network that `used` depends on and `trained` does not.

    Parts are the parameters, and the tokens that modules return, such as the class token behind a
    block. An output depends on a part if its gradient is not zero.

    Args:
        network: The network, which is put into evaluation mode for the time of the call.
        used: Runs the network and returns what is used of it, such as the pooled features.
        trained: Runs it on the same images or views of them, and returns what a loss is computed
            from, or the loss.
        prefix: Number of tokens before the patches; the patches then count as one part, because
            not every patch is encoded in every pass. None takes every token by itself.

    Returns:
        Name of a parameter or module, "" if there is no such part.
    """
    training = network.training
    needed, reached = _gradients(network, used), _gradients(network, trained)
    network.train().train(training)
    weights = dict(network.named_parameters())
    for name, gradients in needed.items():
        others = reached.get(name, [])
        if name in weights and not others:
            return name
        if name not in weights and others and not _within(gradients, others, prefix):
            return name
    return ""


def _within(needed: list[Tensor], reached: list[Tensor], prefix: int | None) -> bool:
    """Tells whether each token with a gradient has one in another pass as well.

    Args:
        needed: Gradients (B, N, D) of what a module returned, one for each call.
        reached: Those of the other pass; tokens that it lacks are left out.
        prefix: See `uncovered`.
    """
    these, others = (
        {token for gradient in gradients for token in _tokens(gradient, prefix)}
        for gradients in (needed, reached)
    )
    known = max(gradient.shape[1] for gradient in reached)
    return all(token in others for token in these if token < known)


def _tokens(gradient: Tensor, prefix: int | None) -> list[int]:
    """Lists the tokens with a gradient; all patches have the number of the first."""
    tokens: list[int] = gradient.any(2).any(0).nonzero()[:, 0].tolist()
    return tokens if prefix is None else [min(token, prefix) for token in tokens]


def _gradients(network: nn.Module, run: Callable[[], Tensor]) -> Gradients:
    """Returns the nonzero gradients of a weighted sum of an output, by parameter or module."""
    network.train().eval()  # drops what some networks cache in evaluation mode
    with _outputs(network) as parts, torch.enable_grad():
        output = run()
        weights = torch.rand(output.shape, generator=torch.Generator().manual_seed(0)) - 0.5
        total = (output * weights).sum()
    parts = [*network.named_parameters(), *parts]
    gradients = torch.autograd.grad(total, [part for _, part in parts], allow_unused=True)
    nonzero: Gradients = {}
    for (name, _), gradient in zip(parts, gradients, strict=True):
        if gradient is not None and _any(gradient):
            nonzero.setdefault(name, []).append(gradient)
    return nonzero


def _any(gradient: Tensor) -> bool:
    """Tells whether any number is not zero; mostly one of the first is, and the others can wait."""
    return bool(gradient.flatten()[:100].any()) or bool(gradient.any())


@contextmanager
def _outputs(network: nn.Module) -> Iterator[list[tuple[str, Tensor]]]:
    """Collects the tokens (B, N, D) that the modules of a network return, with their names."""
    outputs: list[tuple[str, Tensor]] = []

    def collect(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, args: object, output: object) -> None:
            if isinstance(output, Tensor) and output.ndim == 3 and output.requires_grad:
                outputs.append((name, output))

        return hook

    handles = [m.register_forward_hook(collect(name)) for name, m in network.named_modules()]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()
