"""Counts with their nouns and verbs, for remarks and messages."""

from __future__ import annotations


def plural(count: int, word: str) -> str:
    """Writes a count with its noun: "1 image", "1,204 images", "2 classes", "3 epochs"."""
    return f"{count:,} {word if count == 1 else _many(word)}"


def agree(count: int, one: str, many: str) -> str:
    """Returns the form of a verb or a pronoun that agrees with a count: "is" or "are"."""
    return one if count == 1 else many


def _many(word: str) -> str:
    if word.endswith(("s", "x", "ch")) and not word.endswith("och"):
        return f"{word}es" if word != "series" else word
    if word.endswith("y") and word[-2] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}s"
