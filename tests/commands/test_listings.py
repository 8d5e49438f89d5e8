"""Listings and pages, which are read from source and never import torch."""

import re
from pathlib import Path

import pytest

from ssl_kit.commands.listing import entries
from ssl_kit.commands.listings import facts, page, source
from ssl_kit.commands.listings.rows import describe
from ssl_kit.core import discovery
from ssl_kit.training.setup import resolve

ROOT = Path(__file__).parents[2]
REGISTRIES = [getattr(discovery, name) for name in
              ("objectives", "evaluations", "datasets", "encoders", "domains")]  # fmt: skip
NAMES = [(registry, name) for registry in REGISTRIES for name in registry]


@pytest.mark.parametrize(
    ("registry", "name"), NAMES, ids=lambda value: getattr(value, "kind", value)
)
def test_the_source_says_what_the_imported_thing_says(registry, name):
    entry = registry.entry(name)
    read = facts.read(entry)
    if name != "patches":  # its options are those of another reader
        assert read == facts._imported(entry)


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.kind)
def test_every_name_has_a_page_and_a_row(registry):
    rows = entries(registry)
    listed = page.listing(registry.kind, rows)
    for row in rows:
        assert f"\n{row['name']} " in f"\n{listed}"
        assert row["group"]


def test_a_page_shows_paper_options_and_defaults():
    known = facts.describe(discovery.objectives.entry("dino"))
    known |= {"defaults": {"a": {"b": 1}}, "pretrained_defaults": {"a": {"b": 2}}}
    text = page.page("objective", known)
    assert "Emerging Properties in Self-Supervised Vision Transformers" in " ".join(text.split())
    assert "https://arxiv.org/abs/2104.14294" in text
    assert "local_crops                 4        number of local crops" in text
    assert re.search(r"Sets by default +a.b=1\nSets for pre-trained weights +a.b=2\n", text)


@pytest.mark.parametrize(
    ("text", "short"),
    [
        (
            "A Title, Of Two Parts, Caron, van der Poel, 2021. LINK",
            "Caron and van der Poel 2021",
        ),
        ("In Speech, Vision and Language,\nBaevski, Hsu, Xu, 2022.\nLINK", "Baevski et al. 2022"),
        ("Own Latent, Grill et al., 2020. LINK", "Grill et al. 2020"),
        ("Of nobody. LINK", ""),
    ],
)
def test_authors_and_year_in_short(text, short):
    assert facts.citation_of(f"What it does.\n\n{text}", "LINK")[1] == short


def test_what_is_not_written_in_the_source_is_imported(tmp_path, monkeypatch):
    (tmp_path / "odd_plugin.py").write_text(
        "from ssl_kit import Config\n"
        "class Odd:\n    'Is odd.'\n    Config = type('C', (Config,), {})\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    entry = discovery.objectives.entry("simclr").__class__("odd", "odd_plugin:Odd", "An odd one.")
    assert facts.read(entry) == {}
    assert facts.describe(entry)["documentation"] == "Is odd."


@pytest.mark.parametrize(
    ("kind", "name"), [("domains", "natural"), ("datasets", "nifti"), ("objectives", "slice_order")]
)
def test_lists_and_pages_go_on_beside_a_name_that_is_registered_twice(monkeypatch, kind, name):
    registry = getattr(discovery, kind)
    list(registry)  # filled before it is changed
    monkeypatch.setitem(registry._clashes, name, "It is registered twice.")
    assert {row["name"] for row in entries(discovery.datasets)} == set(discovery.datasets)
    assert describe(discovery.domains, "medical")["name"] == "medical"


def test_a_name_in_no_source_is_not_static():
    with pytest.raises(source.NotStatic):
        source.find("ssl_kit.core.view", "no_such_name")


@pytest.mark.parametrize("name", list(discovery.domains))
def test_a_domain_says_everywhere_which_objective_is_trained_by_default(name):
    taken = [
        resolve({"domain": name, "encoder": {"init": init}}).objective.name
        for init in ("scratch", "imagenet")
    ]
    known = page.page("domain", describe(discovery.domains, name))
    words = f"{taken[0]} from random weights, {taken[1]} from pre-trained weights"
    assert words in " ".join(known.split())
    assert f"| {name} | `{taken[0]}` | `{taken[1]}` |" in (ROOT / "docs/defaults.md").read_text()
    readme = ROOT / "domains" / name / "README.md"
    if readme.exists():  # that of photographs is built in
        sentence = f"takes `{taken[0]}` from random weights and `{taken[1]}` from pre-trained"
        assert sentence in " ".join(readme.read_text(encoding="utf-8").split())
