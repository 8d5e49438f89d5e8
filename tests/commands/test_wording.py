"""Texts of listings say what they mean to a reader who does not know the code."""

import re

import pytest

from ssl_kit.commands.listing import entries
from ssl_kit.commands.listings.rows import describe
from ssl_kit.core import discovery


@pytest.mark.parametrize("name", list(discovery.domains))
def test_a_page_of_a_domain_names_no_argument_of_the_code(name):
    known = describe(discovery.domains, name)
    texts = [*known["policies"].values(), *known["pairings"].values()]
    texts += [each["about"] for each in known["corruptions"].values()]
    assert not [text for text in texts if "`" in text]
    assert not [text for text in texts if not text.endswith(".")]


@pytest.mark.parametrize("registry", [discovery.objectives, discovery.evaluations])
def test_summaries_are_no_bare_lists(registry):
    """A summary that ends in "; ViT." does not say what the word has to do with it."""
    rows = {row["name"]: row["summary"] for row in entries(registry)}
    assert not {n: text for n, text in rows.items() if re.search(r"; [A-Z]\w+( and \w+)?\.$", text)}
