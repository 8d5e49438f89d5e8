"""Bars on the size of files and functions, and rules that keep the code legible and safe."""

import ast
import os
import re
import statistics
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

import ssl_kit
from ssl_kit.core import hookspecs
from ssl_kit.core.discovery import datasets, discovery, domains, evaluations, objectives

ROOT = Path(ssl_kit.__file__).parent
TOP = Path(__file__).parents[1]
CORE = sorted((ROOT / "core").glob("*.py"))
PARTS = ("nn", "data", "training", "evaluation", "reports", "commands", "plugins", "testing")
REST = sorted(file for part in PARTS for file in (ROOT / part).rglob("*.py"))
DOMAINS = sorted((TOP / "domains").glob("*/ssl_kit_*/**/*.py"))
SOURCES = [*CORE, *REST, ROOT / "cli.py", ROOT / "__init__.py", *DOMAINS]
OBJECTIVES = [
    f for f in (*REST, *DOMAINS) if re.search(r"^class \w+\(Objective\)", f.read_text(), re.M)
]
README = TOP / "README.md"


def raw_lines(file):
    return len(file.read_text().splitlines())


def name_of(file):
    """Returns the path below the repository."""
    return str(file.relative_to(ROOT if file.is_relative_to(ROOT) else TOP))


def over(limit, files):
    """Returns the number of lines of the files that have more than `limit`."""
    sizes = {name_of(file): raw_lines(file) for file in files}
    return {name: size for name, size in sizes.items() if size > limit}


@cache
def parsed(file):
    return [*ast.walk(ast.parse(file.read_text()))]


def nodes(file, kind):
    """Returns the nodes of a source that are of some kind."""
    return [node for node in parsed(file) if isinstance(node, kind)]


def calls(file, *names):
    """Yields the calls of functions and methods that have one of these last names."""
    for call in nodes(file, ast.Call):
        if getattr(call.func, "id", getattr(call.func, "attr", "")) in names:
            yield ast.unparse(call.func), call


def functions(file):
    """Yields name and number of lines, without the docstring, of each function."""
    for node in nodes(file, ast.FunctionDef | ast.AsyncFunctionDef):
        docstring = node.body[0] if ast.get_docstring(node, clean=False) else None
        lines = docstring.end_lineno - docstring.lineno + 1 if docstring else 0
        yield node.name, node.end_lineno - node.lineno + 1 - lines


def built_in(registry):
    ours = [registry.entry(name) for name in registry]
    return [entry.name for entry in ours if entry.origin == "ssl-kit"]


def test_the_wheel_has_every_package():
    parts = [(TOP / part).rglob("__init__.py") for part in ("core", *PARTS)]
    folders = {file.parent.relative_to(TOP) for files in parts for file in files}
    ours = {".".join(("ssl_kit", *f.parts)) for f in folders if "templates" not in f.parts}
    listed = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert set(listed) == {"ssl_kit", *ours}


def test_no_file_is_over_300_lines():
    assert over(300, SOURCES) == {}


def test_core_is_at_most_1500_lines_in_14_files():
    files = [file for file in CORE if file.name != "__init__.py"]
    assert sum(map(raw_lines, files)) <= 1500
    assert len(files) <= 14


def test_an_objective_file_is_at_most_140_lines():
    assert len(OBJECTIVES) >= 35
    assert over(140, OBJECTIVES) == {}


def test_the_median_objective_file_is_at_most_110_lines():
    assert statistics.median(map(raw_lines, OBJECTIVES)) <= 110


def test_a_command_file_is_at_most_60_lines():
    assert over(60, (ROOT / "commands").glob("*.py")) == {}


def test_no_function_is_over_40_lines_without_its_docstring():
    sizes = {f"{name_of(f)}:{name}": size for f in SOURCES for name, size in functions(f)}
    assert {name: size for name, size in sizes.items() if size > 40} == {}


def test_no_source_switches_the_formatter_off():
    assert [name_of(file) for file in SOURCES if "# fmt: " + "skip" in file.read_text()] == []


def test_the_median_function_is_at_most_10_lines():
    assert statistics.median(size for file in SOURCES for _, size in functions(file)) <= 10


def test_no_command_body_is_over_15_lines():
    text = (ROOT / "cli.py").read_text()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            body = node.body[1:] if ast.get_docstring(node) else node.body
            assert sum(part.end_lineno - part.lineno + 1 for part in body) <= 15, node.name


def test_a_command_has_a_file_of_at_most_60_lines():
    files = [*(ROOT / "commands").glob("*.py")]
    sizes = {file.name: len(file.read_text().splitlines()) for file in files}
    assert {name: size for name, size in sizes.items() if size > 60} == {}
    assert len((ROOT / "cli.py").read_text().splitlines()) < 300


def test_only_commands_print():
    """Progress goes to stderr; what a command found is printed by cli.py and its parts."""
    others = [f for f in SOURCES if f != ROOT / "cli.py" and f.parent.name != "terminal"]
    called = {name_of(f): {name for name, _ in calls(f, "print", "echo")} for f in others}
    assert [file for file, names in called.items() if {"print", "click.echo"} & names] == []


@pytest.mark.parametrize("file", CORE, ids=lambda file: file.name)
def test_core_knows_no_plugin_by_name(file):
    """The defaults of the command line, simclr and the encoders' family timm, are the exception."""
    fixed = {
        "sar",
        "eeg",
        "medical",
        "remote_sensing",
        "histopathology",
        "geotiff",
        "dicom",
        "nifti",
        "audio",
    }
    names = fixed.union(objectives, datasets, domains, evaluations) - {"arrays", "linear"}
    allowed = {"simclr"} if file.name == "config.py" else set()
    nodes = ast.walk(ast.parse(file.read_text()))
    constants = {node.value for node in nodes if isinstance(node, ast.Constant)}
    strings = {value for value in constants if isinstance(value, str)}
    assert names & strings <= allowed
    found = set(re.findall(r"\w+", re.sub(r'""".*?"""|#.*', "", file.read_text(), flags=re.S)))
    assert names & found <= allowed


def test_the_root_has_at_most_35_names_and_its_docstring_lists_them():
    assert len(ssl_kit.__all__) <= 35
    assert set(ssl_kit.__all__) <= set(re.findall(r"\w+", ssl_kit.__doc__))


@pytest.mark.parametrize("name", ssl_kit.__all__)
def test_every_public_name_is_there_and_documented(name):
    thing = getattr(ssl_kit, name)
    assert thing is not None
    if name not in ("Image", "hookimpl"):
        assert thing.__doc__


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="SimCLR"):
        _ = ssl_kit.SimCLR


def test_every_hook_is_documented():
    hooks = [getattr(hookspecs, name) for name in dir(hookspecs) if name.startswith("register_")]
    assert len(hooks) >= 6
    assert all(hook.__doc__ for hook in hooks)


def unpickles(file):
    """Tells whether a source imports what unpickles, or lets torch or NumPy do so."""
    safe = {"torch.load": ("weights_only", "True"), "np.load": ("allow_pickle", "False")}
    for node in nodes(file, ast.Import | ast.ImportFrom):
        names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
        if {"pickle", "dill", "joblib", "shelve", "marshal"} & set(names):
            return True
    for name, node in calls(file, "load"):
        word, value = safe.get(name, ("", None))
        given = {word.arg: ast.unparse(word.value) for word in node.keywords}
        if word and given.get(word) != value:
            return True
    return False


def test_nothing_unpickles():
    assert [name_of(file) for file in SOURCES if unpickles(file)] == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pickle", True),
        ("from joblib import load", True),
        ("torch.load(f)", True),
        ("np.load(f, allow_pickle=True)", True),
        ("torch.load(f, weights_only=True)", False),
        ("np.load(f, allow_pickle=False)", False),
    ],
)
def test_what_unpickles_is_found(tmp_path, source, found):
    (tmp_path / "one.py").write_text(source)
    assert unpickles(tmp_path / "one.py") == found


def test_every_plugin_of_ours_loads():
    assert [plugin.name for plugin in discovery().failures] == []


@pytest.mark.parametrize("name", built_in(objectives))
def test_an_objective_links_its_paper(name):
    kind = objectives[name]
    assert re.fullmatch(r"https://\S+", kind.paper)
    assert objectives.entry(name).summary.endswith(".")


@pytest.mark.parametrize("name", list(objectives))
def test_the_text_of_an_option_says_what_it_is(name):
    """It has at least three words and begins with a noun, as in "momentum of the teacher"."""
    for option, field in objectives[name].Config.model_fields.items():
        words = (field.description or "").split()
        assert len(words) >= 3, option
        assert words[0] not in ("of", "in", "at", "how", "for", "with"), option


@pytest.mark.parametrize("name", built_in(evaluations) + built_in(datasets))
def test_evaluations_and_datasets_document_their_options(name):
    kind = (evaluations if name in evaluations else datasets)[name]
    assert kind.__doc__
    assert all(field.description for field in kind.Config.model_fields.values())


@pytest.mark.parametrize(
    "registry", [objectives, domains, datasets, evaluations], ids=lambda r: r.kind
)
@pytest.mark.skipif(not README.is_file(), reason="no README.md")
def test_the_readme_names_everything(registry):
    words = set(re.findall(r"\w+", README.read_text()))
    assert [name for name in built_in(registry) if name not in words] == []


def test_no_plugin_can_make_albumentations_ask_pypi():
    code = "import os, ssl_kit; assert os.environ['NO_ALBUMENTATIONS_UPDATE'] == '1'"
    environment = {k: v for k, v in os.environ.items() if k != "NO_ALBUMENTATIONS_UPDATE"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
