"""Listings as tables, and one name with all that is known of it as a page."""

from __future__ import annotations

import io
import re
import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from ...training.layers import flatten

_MARK = "\N{SECTION SIGN}"
_NARROWEST, _WIDTH, _WIDEST = 60, 120, 160
_SETS = {
    "objective": "--set objective.{}=VALUE",
    "dataset": "--set data.options.{}=VALUE",
    "evaluation": "--set {name}.{}=VALUE",
}
_NEEDS = {
    "tokens": "tokens (a vision transformer)",
    "map": "a feature map",
    "pyramid": "a pyramid of feature maps",
}


def width() -> int:
    """Returns the width of texts: that of the terminal, within limits."""
    return min(_WIDEST, max(_NARROWEST, shutil.get_terminal_size((_WIDTH, 24)).columns))


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], indent: int = 0) -> str:
    """Returns a table whose cells are wrapped to the width of the terminal.

    Args:
        headings: Name of each column; none are shown if all are empty.
        rows: Texts of the cells; the first column is never wrapped.
        indent: Number of blanks before each line.
    """
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(headings))
    for number, heading in enumerate(headings):
        grid.add_column(heading, no_wrap=number == 0, overflow="fold")
    for row in rows:
        grid.add_row(*row)
    out = io.StringIO()
    console = Console(file=out, width=width() - indent, markup=False, highlight=False, emoji=False)
    console.print(grid)
    lines = (line.rstrip() for line in out.getvalue().splitlines())
    return "\n".join(f"{' ' * indent}{line}".rstrip() for line in lines)


def listing(kind: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Returns the table of everything of a kind, by group.

    Args:
        kind: Of the registry: "objective", ...
        rows: What `commands.listing.entries` returns.
    """
    names = {"objective": ("paper", "needs"), "dataset": ("domains",), "domain": ("reads",)}
    columns = ("name", "summary", *names.get(kind, ()))
    headings = [
        {"summary": "what it is", "domains": "opened by", "needs": "encoder needs"}.get(c, c)
        for c in columns
    ]
    lines: list[Sequence[str]] = []
    titles: list[str] = []
    groups = dict.fromkeys(row["group"] for row in rows)
    for group in groups:
        if 1 < len(groups) < len(rows):
            lines += [[""] * len(columns)] if lines else []
            lines.append([f"{_MARK}{len(titles)}", *[""] * (len(columns) - 1)])
            titles.append(group if "/" in group else group.upper())
        lines += [[row.get(c, "") for c in columns] for row in rows if row["group"] == group]
    text = table(headings, lines)
    for number, title in enumerate(titles):  # longer than the column of names
        text = text.replace(f"\n{_MARK}{number}\n", f"\n{title}\n")
    return "\n".join(
        [
            text,
            "",
            f"'ssl-kit {kind}s NAME' shows one with its {_CONTENT[kind]}.",
        ]
    )


_CONTENT = {
    "objective": "paper and options",
    "domain": "readers, defaults, augmentations and corruptions",
    "encoder": "documentation",
    "dataset": "options",
    "evaluation": "options",
}


def page(kind: str, facts: Mapping[str, Any]) -> str:
    """Returns all that is known of one name as a text.

    Args:
        kind: Of the registry: "objective", ...
        facts: What `describe` returns.
    """
    parts = [
        f"{facts['name']}: {facts['summary']}",
        _paragraphs(facts["documentation"]) if kind != "domain" else "",
        table(("", ""), _facts(facts)),
        *(_domain_parts(facts) if kind == "domain" else ()),
        _options(kind, facts),
    ]
    return "\n\n".join(part for part in parts if part)


def _paragraphs(doc: str) -> str:
    """Wraps the paragraphs of a docstring; its sections, such as Attributes, stay as they are."""
    texts = []
    for paragraph in doc.split("\n\n"):
        if paragraph.partition("\n")[0].endswith(":"):
            texts.append(paragraph)
        else:
            texts.append(textwrap.fill(" ".join(paragraph.split()), width()))
    return "\n\n".join(texts)


def _facts(facts: Mapping[str, Any]) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = []
    if facts.get("paper"):
        about = facts.get("about_paper", "")
        rows.append(("Paper", about if facts["paper"] in about else facts["paper"]))
    if "needs" in facts:
        needs = " and ".join(_NEEDS[name] for name in facts["needs"])
        rows.append(("Encoder", f"must have {needs}" if needs else "any"))
    if facts.get("example"):
        family = "" if facts["name"] == "timm" else f"{facts['name']}/"
        named = (f"--encoder {family}{name}" for name in facts["example"])
        rows.append(("Tested with", ", ".join(named)))
    if objectives := facts.get("default_objectives"):
        words = (f"{name} from {weights}" for weights, name in objectives.items())
        rows.append(("Trains by default", ", ".join(words)))
    titles = {
        "defaults": "Sets by default",
        "pretrained_defaults": "Sets for pre-trained weights",
    }
    for part, title in titles.items():
        settings = [f"{key}={value}" for key, value in flatten(facts.get(part, {})).items()]
        if settings:
            rows.append((title, ", ".join(settings)))
    return [*rows, ("Comes from", facts["plugin"])]


def _options(kind: str, facts: Mapping[str, Any]) -> str:
    options = facts.get("options", {})
    if not options:
        return ""
    how = _SETS[kind].format(next(iter(options)), name=facts["name"])
    rows = [(key, _text(o["default"]), o["about"]) for key, o in options.items()]
    about = _paragraphs(facts.get("about_defaults", ""))
    if _ONLY_A_TITLE.fullmatch(about):
        about = ""
    return f"Options, set like {how}\n{table(('name', 'default', 'what it is'), rows, 2)}" + (
        f"\n\n{about}" if about else ""
    )


_ONLY_A_TITLE = re.compile(r"Options of [^.;:]*\.")  # repeats what stands above the table


def _text(default: Any) -> str:
    if default is None or default == "" or default in ((), [], {}):
        return "-"
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, float):
        return f"{default:.6g}"
    if isinstance(default, tuple | list):
        return ", ".join(map(_text, default))
    return str(default)


def _domain_parts(facts: Mapping[str, Any]) -> list[str]:
    """Returns the sections of a domain's page."""
    corruptions = [
        (name, ", ".join(f"{s:g}" for s in c["strengths"]), c["unit"], c["about"])
        for name, c in facts["corruptions"].items()
    ]
    readers = [(name, facts["summaries"].get(name, "")) for name in facts["datasets"]]
    demo = [(f"{facts['demo']} (demo)", facts["summaries"].get(facts["demo"], ""))]
    objectives = [(name, facts["summaries"].get(name, "")) for name in facts["objectives"]]
    parts = {
        "Reads, the first that can": (("", ""), readers + demo),
        "Objectives of its own, for --objective": (("", ""), objectives),
        "Augmentation policies, for 'ssl-kit views --policy'": (
            ("", ""),
            facts["policies"].items(),
        ),
        "Pairings, for --pair-by": (("", ""), facts["pairings"].items()),
        "Recipes, for 'ssl-kit recipes show'": (("", ""), facts["recipes"].items()),
        "Corruptions of the evaluation 'robustness'": (
            ("name", "strengths", "unit", "what it is"),
            corruptions,
        ),
    }
    return [f"{title}\n{table(h, rows, 2)}" for title, (h, rows) in parts.items() if rows]
