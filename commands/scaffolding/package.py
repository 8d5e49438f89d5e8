"""Writes a small plugin package with a working example, for its author to change.

The templates are such packages themselves, in commands/templates.
"""

from __future__ import annotations

import importlib.util
import keyword
import re
import shlex
from pathlib import Path

from ...core.discovery import datasets, domains, evaluations, objectives, recipes
from ...core.errors import UnknownNameError, UsageError, explain_write_errors

_TEMPLATES = Path(__file__).parents[1] / "templates"
_REGISTRIES = {
    "objective": objectives,
    "domain": domains,
    "dataset": datasets,
    "evaluation": evaluations,
    "recipe": recipes,
}
_FIRST_USE = {
    "objective": "ssl-kit train --domain natural --objective {name} --epochs 5",
    "domain": "ssl-kit train --domain {name} --epochs 5",
    "dataset": "ssl-kit train --domain natural --data FOLDER --set data.reader={name}",
    "evaluation": "ssl-kit evaluate scratch --domain natural --evaluation {name}",
    "recipe": "ssl-kit recipes run {name} --small",
}


def create(kind: str, name: str, out: Path) -> Path:
    """Writes the package `ssl-kit-NAME` of a new plugin.

    Args:
        kind: "objective", "domain", "dataset", "evaluation" or "recipe".
        name: What users will type: lower case, a Python identifier.
        out: Folder to put it into; made where it does not exist.

    Returns:
        The folder of the package.

    Raises:
        UsageError: If there is no such kind, or the name cannot be used or is taken.
        RunError: If it cannot be written.
    """
    if kind not in _REGISTRIES:
        raise UnknownNameError("kind of plugin", kind, _REGISTRIES)
    _refuse_odd(name)
    words = _words(kind, name)
    _refuse_taken(kind, name, words)
    folder = out / f"ssl-kit-{words['example-name']}"
    if folder.exists():
        raise UsageError(f"'{folder}' exists already. Choose another NAME or --out.")
    with explain_write_errors(folder):
        for path, text in _template(kind).items():
            file = folder / _fill(str(path), words)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_fill(text, words), encoding="utf-8")
    return folder


def next_steps(kind: str, name: str, folder: Path) -> str:
    """Says what was written and what to do with it."""
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    lines = [f"Written to {folder}:", *(f"    {path}" for path in files), "Next:"]
    commands = (
        f"pip install -e {shlex.quote(str(folder))}",
        f"ssl-kit plugin check {name}",
        _FIRST_USE[kind].format(name=name),
    )
    return "\n".join([*lines, *(f"    {command}" for command in commands)])


def _template(kind: str) -> dict[Path, str]:
    """Returns the text of each file, by its path inside the package."""
    texts = {}
    for root in (_TEMPLATES / "common", _TEMPLATES / kind):
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                texts[path.relative_to(root)] = path.read_text(encoding="utf-8")
    return texts


def _words(kind: str, name: str) -> dict[str, str]:
    """Returns what stands in a template for what."""
    return {
        "example_name": name,
        "example-name": name.replace("_", "-"),
        "ExampleName": "".join(part.capitalize() for part in name.split("_")),
        "EXAMPLE_NAME": name.upper(),
        "example_kind": kind,
    }


def _fill(text: str, words: dict[str, str]) -> str:
    for placeholder, word in words.items():
        text = text.replace(placeholder, word)
    return text


def _refuse_odd(name: str) -> None:
    if re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) and not keyword.iskeyword(name):
        return
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    better = re.sub(r"[^a-z0-9]+", "_", snake).strip("_")
    if not re.match(r"[a-z]", better) or keyword.iskeyword(better):
        better = f"my_{better}".strip("_")
    raise UsageError(
        f"{name!r} cannot be a plugin's name: lower-case letters, digits and '_' make one. "
        f"Did you mean '{better}'?"
    )


def _refuse_taken(kind: str, name: str, words: dict[str, str]) -> None:
    demo = f"{name}_demo"
    taken = {
        f"The {kind} '{name}' exists already": name in _REGISTRIES[kind],
        f"The dataset '{demo}' exists already": kind == "domain" and demo in datasets,
        f"A package 'ssl_kit_{name}' is installed already": _installed(f"ssl_kit_{name}"),
        f"'{words['ExampleName']}' means something else in the code": _means(kind, words),
    }
    for reason, true in taken.items():
        if true:
            raise UsageError(f"{reason}. Choose another NAME, such as 'my_{name}'.")


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _means(kind: str, words: dict[str, str]) -> bool:
    """Tells whether the class or constant to be named is a word of the template already."""
    code = " ".join(text for path, text in _template(kind).items() if path.suffix == ".py")
    used = set(re.findall(r"\w+", code))
    return keyword.iskeyword(words["ExampleName"]) or bool(
        {words["ExampleName"], words["EXAMPLE_NAME"]} & used
    )
