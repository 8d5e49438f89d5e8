"""How papers are cited. This module imports nothing heavy, so that listings stay fast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_FEW = 2


def citation(paper: Mapping[str, Any]) -> str:
    """Returns title, authors and year of a paper."""
    return f"{paper['title']}, {paper['authors']}, {paper['year']}"


def short_citation(paper: Mapping[str, Any]) -> str:
    """Returns "Chen et al. 2020"."""
    authors = paper["authors"].split(", ")
    names = " and ".join(authors) if len(authors) <= _FEW else f"{authors[0]} et al."
    return f"{names} {paper['year']}"
