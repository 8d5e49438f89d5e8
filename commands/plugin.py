"""Makes and checks plugins."""

from collections.abc import Iterator
from pathlib import Path

from ..testing import Outcome, everything, find, run_checks
from .scaffolding.package import create, next_steps


def new(kind: str, name: str, out: Path) -> str:
    """Writes the package of a new plugin; returns what to do with it.

    Args:
        kind: "objective", "domain", "dataset", "evaluation" or "recipe".
        name: What users will type: lower case, a Python identifier.
        out: Folder to put it into.
    """
    return next_steps(kind, name, create(kind, name, out))


def check(name: str | None) -> Iterator[Outcome]:
    """Runs the checks of a plugin's contract, one after another.

    Args:
        name: Of the plugin; None for all.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several times faster for work as small as this
    try:
        for kind, known in find(name) if name else everything():
            yield from run_checks(kind, known)
    finally:
        torch.set_num_threads(threads)
