import pytest

from ssl_kit import PluginError, UnknownNameError
from ssl_kit.core.registry import Entry, Registry


@pytest.fixture
def registry():
    registry = Registry("objective", lambda: None)
    registry.add(Entry("beta", "collections:Counter", "Counts.", "pkg-a", "1.0"))
    registry.add(Entry("alpha", 7, origin="pkg-a"))
    return registry


def test_is_a_mapping_with_sorted_names(registry):
    assert list(registry) == ["alpha", "beta"]
    assert len(registry) == 2
    assert "beta" in registry
    with pytest.raises(TypeError):
        registry["gamma"] = 1


def test_a_value_may_be_the_thing_itself_or_where_it_is(registry):
    from collections import Counter

    assert registry["alpha"] == 7
    assert registry["beta"] is Counter


def test_entry_tells_summary_and_origin(registry):
    entry = registry.entry("beta")
    assert (entry.summary, entry.origin, entry.version) == ("Counts.", "pkg-a", "1.0")


def test_unknown_name_gives_the_nearest_and_all(registry):
    with pytest.raises(UnknownNameError, match=r"'betta'.*mean 'beta'.*Known: alpha, beta"):
        registry["betta"]


def test_unknown_name_is_not_a_key_error_but_get_has_no_default_either(registry):
    assert "gamma" not in registry
    with pytest.raises(UnknownNameError):
        registry.get("gamma")


def test_filled_once_before_the_first_read():
    calls = []
    registry = Registry("domain", lambda: calls.append(1))
    assert calls == []
    assert len(registry) == 0
    assert calls


def test_duplicate_fails_on_look_up_of_that_name_only(registry):
    with pytest.raises(PluginError, match="'pkg-a' and by 'pkg-b'"):
        registry.add(Entry("alpha", 8, origin="pkg-b"))
    with pytest.raises(PluginError, match="'pkg-a' and by 'pkg-b'"):
        registry["alpha"]
    assert registry.entry("beta").origin == "pkg-a"


@pytest.mark.parametrize("name", ["", "Alpha", "my method", "my\nmethod", 7, None])
def test_names_are_lower_case_without_spaces(registry, name):
    with pytest.raises(PluginError, match="'pkg-b' registers the objective name"):
        registry.add(Entry(name, 1, origin="pkg-b"))


@pytest.mark.parametrize("wrong", [("collections.Counter", ""), (":Counter", ""), (1, None)])
def test_values_name_a_module_and_an_attribute_and_summaries_are_texts(registry, wrong):
    with pytest.raises(PluginError, match="'pkg-b' registers the objective 'gamma' wrongly"):
        registry.add(Entry("gamma", *wrong, origin="pkg-b"))


def test_what_exits_when_it_is_imported_names_the_plugin(registry, monkeypatch, tmp_path):
    (tmp_path / "leaves_at_once.py").write_text("import sys\nsys.exit(3)")
    monkeypatch.syspath_prepend(tmp_path)
    registry.add(Entry("gamma", "leaves_at_once:X", origin="pkg-b"))
    with pytest.raises(PluginError, match=r"'gamma' of plugin 'pkg-b' failed.*SystemExit: 3"):
        registry["gamma"]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_known_name_gives_way_to_the_installed_one(order):
    registry = Registry("domain", lambda: None)
    entries = [Entry("sar", None, install="pip install sar"), Entry("sar", 3)]
    for i in order:
        registry.add(entries[i])
    assert registry["sar"] == 3


def test_a_known_name_that_is_not_installed_says_how(registry):
    registry.add(Entry("sar", None, install="pip install sar"))
    assert "sar" not in registry
    with pytest.raises(UnknownNameError, match="run 'pip install sar'"):
        registry["sar"]


@pytest.mark.parametrize("value", ["no_such_module:X", "collections:NoSuch"])
def test_what_cannot_be_imported_names_the_plugin(registry, value):
    registry.add(Entry("broken", value, origin="pkg-b"))
    with pytest.raises(PluginError, match="'broken' of plugin 'pkg-b' failed to load from"):
        registry["broken"]
