"""Chooses the number format that training computes in."""

from __future__ import annotations

import torch
from torch import nn


def choose_precision(precision: str, model: nn.Module | None = None) -> str:
    """Returns fp32, bf16 or fp16.

    "auto" is bf16 on GPUs that support it and on CPUs where it is faster: those with AMX, and
    AMD's with AVX512-BF16, for networks without depthwise convolutions (docs/decisions.md has the
    figures).

    Args:
        precision: fp32, bf16, fp16 or auto.
        model: What is trained.
    """
    if precision != "auto":
        return precision
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    cpu = torch.cpu.get_capabilities()
    fast = cpu.get("amx_bf16") or (cpu.get("avx512_bf16") and "AMD" in cpu.get("cpu_name", ""))
    return "bf16" if fast and not (model and _is_depthwise(model)) else "fp32"


def _is_depthwise(model: nn.Module) -> bool:
    """Tells whether a network has convolutions of each channel alone."""
    convolutions = (m for m in model.modules() if isinstance(m, nn.Conv2d))
    return any(1 < conv.groups == conv.in_channels for conv in convolutions)
