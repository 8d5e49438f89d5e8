"""What keeps the code legible and safe, measured."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ssl_kit
from ssl_kit.core import hookspecs
from ssl_kit.core.discovery import datasets, discovery, domains, evaluations, objectives

ROOT = Path(ssl_kit.__file__).parent
CORE = sorted((ROOT / "core").glob("*.py"))
PARTS = ("nn", "data", "training", "evaluation", "reports", "commands", "plugins", "testing")
REST = sorted(file for part in PARTS for file in (ROOT / part).rglob("*.py"))
SOURCES = [*CORE, *REST, ROOT / "cli.py", ROOT / "__init__.py"]
README = Path(__file__).parents[1] / "README.md"


def code_lines(node, text):
    """Counts the lines of a node that are neither docstring, comment nor blank."""
    kept = set(range(getattr(node, "lineno", 1), getattr(node, "end_lineno", text.count("\n")) + 1))
    for part in ast.walk(node):
        if isinstance(part, ast.Expr) and isinstance(getattr(part.value, "value", None), str):
            kept -= set(range(part.lineno, part.end_lineno + 1))
    lines = text.splitlines()
    return sum(bool(lines[i - 1].strip()) and lines[i - 1].strip()[0] != "#" for i in kept)


def functions(file):
    text = file.read_text()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, code_lines(node, text)


def built_in(registry):
    ours = [registry.entry(name) for name in registry]
    return [entry.name for entry in ours if entry.origin == "ssl-kit"]


def test_no_file_is_over_300_lines_of_code():
    sizes = {f.name: code_lines(ast.parse(f.read_text()), f.read_text()) for f in SOURCES}
    assert {name: size for name, size in sizes.items() if size > 300} == {}


def test_an_objective_file_is_at_most_150_lines():
    files = (ROOT / "plugins" / "objectives").glob("*.py")
    sizes = {file.name: len(file.read_text().splitlines()) for file in files}
    assert {name: size for name, size in sizes.items() if size > 150} == {}


def test_no_function_is_over_40_lines():
    sizes = {f"{f.name}:{name}": size for f in SOURCES for name, size in functions(f)}
    assert {name: size for name, size in sizes.items() if size > 40} == {}


def test_the_median_function_is_at_most_10_lines():
    sizes = sorted(size for file in SOURCES for _, size in functions(file))
    assert sizes[len(sizes) // 2] <= 10


def test_no_command_body_is_over_15_lines():
    text = (ROOT / "cli.py").read_text()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            assert sum(code_lines(part, text) for part in node.body) <= 15, node.name


def test_a_command_has_a_file_of_at_most_60_lines():
    files = [*(ROOT / "commands").glob("*.py")]
    sizes = {file.name: len(file.read_text().splitlines()) for file in files}
    assert {name: size for name, size in sizes.items() if size > 60} == {}
    assert len((ROOT / "cli.py").read_text().splitlines()) < 300


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.name)
def test_only_commands_print(file):
    """Progress goes to stderr; what a command found is printed by cli.py and its parts."""
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    printing = {"print", "click.echo"} & {ast.unparse(call.func) for call in calls}
    assert not printing or file == ROOT / "cli.py" or file.parent.name == "terminal"


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
    }
    names = fixed.union(objectives, datasets, domains, evaluations) - {"arrays", "linear"}
    allowed = {"simclr"} if file.name == "config.py" else set()
    strings = {
        node.value for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }  # fmt: skip
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


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.name)
def test_nothing_unpickles(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
            assert not {"pickle", "dill", "joblib", "shelve", "marshal"} & set(names)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            assert given.get("weights_only") == "True"
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.load":
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            assert given.get("allow_pickle") == "False"


def test_every_plugin_of_ours_loads():
    assert [plugin.name for plugin in discovery().failures] == []


@pytest.mark.parametrize("name", built_in(objectives))
def test_an_objective_links_its_paper_and_documents_its_options(name):
    kind = objectives[name]
    assert re.fullmatch(r"https://\S+", kind.paper)
    assert objectives.entry(name).summary.endswith(".")
    assert all(field.description for field in kind.Config.model_fields.values())


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
