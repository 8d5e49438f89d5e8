"""Chooses the device that tensors live on."""

from __future__ import annotations

import torch

from ..data.process import prepare_process


def choose_device() -> torch.device:
    """Returns the GPU if there is one, else the CPU, and prepares the process for computing."""
    prepare_process()
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
