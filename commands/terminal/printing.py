"""How results are printed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from ...training.json_values import without_nan


def show(values: Any, as_json: bool, text: Callable[[], object]) -> None:
    """Prints plain values as JSON, or a text."""
    plain = without_nan(values) if as_json else None
    click.echo(json.dumps(plain, indent=2, default=str) if as_json else text())


def columns(rows: Sequence[Mapping[str, Any]], *names: str) -> str:
    """Returns a table.

    Args:
        rows: Values by name.
        names: The columns, which are also the headings.
    """
    from ..listings.page import table  # rich takes a while to import

    return table(names, [[str(row[name]) for name in names] for row in rows])
