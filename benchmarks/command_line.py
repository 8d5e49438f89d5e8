"""The arguments that scripts on the sets of default_sets.py have in common."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from default_sets import ALL_SETS


def parser(about: str, out: str) -> argparse.ArgumentParser:
    """Returns a parser of --out, --data, --weights and --sets.

    Args:
        about: Docstring of the script, whose first line describes it.
        out: Default path of the results.
    """
    made = argparse.ArgumentParser(description=about.splitlines()[0])
    made.add_argument("--out", type=Path, default=Path(out), help="file of the results")
    made.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of sets")
    made.add_argument(
        "--weights",
        type=Path,
        default=Path("../shared/weights/tf_efficientnet_lite0.imagenet.safetensors"),
        help="file of ImageNet weights",
    )
    made.add_argument("--sets", type=names, default=[], help="names, separated by commas")
    return made


def names(text: str) -> list[str]:
    """Returns the names of sets in a text.

    Raises:
        ArgumentTypeError: If there is no set of a name.
    """
    found = text.split(",")
    if unknown := [name for name in found if name not in ALL_SETS]:
        raise argparse.ArgumentTypeError(f"no set '{unknown[0]}'; there are {', '.join(ALL_SETS)}")
    return found


def processor() -> str:
    """Returns the name of the processor, and the widest vectors of it that torch uses.

    Processors of one name differ in them, and in speed by much.
    """
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
    rows = (line.partition(":") for line in text.splitlines())
    name = next((value.strip() for key, _, value in rows if key.strip() == "model name"), "")
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"
