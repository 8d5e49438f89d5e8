"""Writes the table of docs/recipes.md from the folders of recipes that were run.

    ssl-kit recipes run sar-dca --small --data ../shared/data/mstar10
    python benchmarks/recipes.py runs/recipe-*-small

A folder has recipe.json and, below comparisons/, a compare.json for each comparison. Rows between
the two markers of the page whose command is that of a folder are replaced, those of other commands
are kept, and new ones come behind those of the same recipe. A recipe that was not run has no row.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "recipes.md"
BEGIN, END = "<!-- results -->", "<!-- end of results -->"
HEADINGS = ("recipe and claim", "pretext task", "comparison", "our number", "baselines", "cost")
Json = Mapping[str, Any]


def read(file: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return values


def estimate(values: Json | None) -> str:
    """Writes "60.0 [55.0, 65.0]" in percent."""
    if not values or values["value"] is None:
        return "-"
    value, low, high = (values[key] for key in ("value", "low", "high"))
    interval = "" if low is None else f" [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{100 * value:.1f}{interval}"


def pretext(values: Json) -> str:
    """Says of each run what its pretext task came to, against the reference."""
    texts = []
    for name, run in values["runs"].items():
        judged = run["pretext"]
        last, reference = (
            "-" if judged[key] is None else f"{judged[key]:.3g}" for key in ("last", "reference")
        )
        texts.append(
            f"{name}: {judged['metric']} {last}, reference {reference} "
            f"({judged['about']}): {judged['verdict']}"
        )
    return "<br>".join(texts)


def arms(compared: Json, runs: bool) -> str:
    """Lists the main metric of the runs, or of the other arms, at each label budget."""
    kinds = {arm["name"]: arm["kind"] == "run" for arm in compared["arms"]}
    lines = []
    for budget in compared["budgets"]:
        for row in compared["results"]:
            if row["budget"] == budget["name"] and kinds[row["arm"]] == runs:
                text = estimate(row["metrics"].get(compared["main"]))
                lines.append(f"{row['arm']}, budget {budget['name']}: {text}")
    return "<br>".join(lines)


def rows(folder: Path) -> Iterator[list[str]]:
    """Yields a row for each comparison; what holds for the recipe stands in the first."""
    values = read(folder / "recipe.json")
    paper, run = values["paper"], next(iter(values["runs"].values()))
    data = Path(run["data"]).name or "demo"
    wall, processor = values["seconds"] / 60, values["cpu_seconds"] / 60
    cost = f"{wall:.0f} min ({processor:.0f}), {values['peak_memory_mib']:,.0f} MiB"
    author = paper["authors"].split(",")[0]
    first = f"**{values['recipe']}** ({author} et al. {paper['year']}), on `{data}`"
    first += f" with `{run['encoder']}`" if "encoder.name=" in values["command"] else ""
    shared = [f"{first}: {values['claim']}", pretext(values)]
    for name, asked in values["comparisons"].items():
        compared = read(folder / asked["folder"] / "compare.json")
        metric = f"{name}: {compared['main']} by `{compared['evaluation']}`"
        yield [*shared, metric, arms(compared, True), arms(compared, False), cost]
        shared, cost = ["", ""], ""


def command(folder: Path) -> str:
    """Returns the command without --out and folders, with shared data where a reader has them."""
    text = str(read(folder / "recipe.json")["command"])
    text = re.sub(r" --out \S+", "", text)
    shared = os.environ.get("SSL_KIT_TEST_DATA", "")
    text = text.replace(str(Path(shared).parent), "../shared") if shared else text
    return re.sub(r"(?<=[ =])/\S*/", "", text)


def blocks(text: str) -> dict[str, list[str]]:
    """Returns the rows of a table by the commands below it, which have the same order."""
    table, _, below = text.partition("```\n")
    commands = below.partition("\n```")[0].splitlines()
    found: list[list[str]] = []
    for row in [line for line in table.split("\n") if line.startswith("| ")][2:]:
        if row.startswith("| **"):
            found.append([])
        found[-1].append(row)
    return dict(zip(commands, found, strict=True))


def name_of(block: list[str]) -> str:
    """Returns the name of the recipe of some rows."""
    return block[0].split("**")[1]


def merged(before: dict[str, list[str]], folders: list[Path]) -> dict[str, list[str]]:
    """Returns rows by their commands: those of before, and those of folders in their place."""
    found = dict(before)
    for folder in folders:
        block = [f"| {' | '.join(cells)} |" for cells in rows(folder)]
        if (key := command(folder)) in found:
            found[key] = block
            continue
        pairs = list(found.items())
        same = [n for n, (_, each) in enumerate(pairs) if name_of(each) == name_of(block)]
        pairs.insert(same[-1] + 1 if same else len(pairs), (key, block))
        found = dict(pairs)
    return found


def results(found: dict[str, list[str]]) -> str:
    """Returns the table, where the claim of a recipe stands once, and the commands behind it."""
    lines, above = [" | ".join(HEADINGS), " | ".join(["---"] * len(HEADINGS))], ""
    lines = [f"| {line} |" for line in lines]
    for block in found.values():
        first = block[0]
        if name_of(block) == above:
            first = re.sub(r"\*\* \([^)]*\), on|\*\*, on", "**, on", first, count=1)
            first = re.sub(r"(on `[^`]*`(?: with `[^`]*`)?)(?:: .*?)? \|", r"\1 |", first, count=1)
        lines += [first, *block[1:]]
        above = name_of(block)
    return "\n".join([*lines, "", "```", *found, "```"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--page", type=Path, default=PAGE)
    asked = parser.parse_args()
    before, _, rest = asked.page.read_text(encoding="utf-8").partition(BEGIN)
    known, _, after = rest.partition(END)
    found = merged(blocks(known), asked.folders)
    text = f"{before}{BEGIN}\n\n{results(found)}\n\n{END}{after}"
    asked.page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
