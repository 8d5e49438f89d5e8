"""The floors of the house: which folder may import which, and which distributions it may use."""

import ast
import re
import sys
import tomllib
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest

import ssl_kit

ROOT = Path(ssl_kit.__file__).parent
FLOORS = ("core", "nn", "data", "training", "evaluation", "reports", "testing", "commands", "cli")
PUBLIC = {"", "nn", "data", "data.augment", "evaluation", "testing"}
FOLDERS = [ROOT / name for name in (*FLOORS, "plugins")]
FILES = [
    file
    for folder in FOLDERS
    for file in ([folder.with_suffix(".py")] if folder.name == "cli" else folder.rglob("*.py"))
    if "templates" not in file.parts
]
DISTRIBUTIONS = [ROOT, *sorted(file.parent for file in ROOT.glob("domains/*/pyproject.toml"))]


def module_of(file):
    """Returns the dotted name of a file below the package."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(file): file for file in FILES}


@cache
def import_nodes(file):
    """Returns the import statements of a file."""
    kinds = ast.Import | ast.ImportFrom
    return [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, kinds)]


@cache
def imports(file):
    """Returns the dotted names, below the package, of the modules that a file imports."""
    package = module_of(file).split(".")
    if file.name != "__init__.py":
        package = package[:-1]
    found = set()
    for node in import_nodes(file):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            name = ".".join([*base, *filter(None, [node.module])])
            for alias in node.names:
                inner = f"{name}.{alias.name}".strip(".")
                found.add(inner if inner in MODULES else name)
    return frozenset(found)


def folder_of(module):
    return module.partition(".")[0]


def test_inside_the_package_imports_are_relative():
    assert [module_of(file) for file in FILES if "ssl_kit" in _top_imports(file)] == []


@pytest.mark.parametrize("floor", FLOORS)
def test_no_floor_imports_one_above_it(floor):
    allowed = set(FLOORS[: FLOORS.index(floor) + 1])
    upward = {
        f"{module} -> {target}"
        for module, file in MODULES.items()
        if folder_of(module) == floor
        for target in imports(file)
        if target and folder_of(target) not in allowed
    }
    assert upward == set()


def test_no_imports_run_in_a_circle():
    graph = {
        module: {target for target in imports(file) if target in MODULES and target != module}
        for module, file in MODULES.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        pytest.fail(f"imports run in a circle: {circle}")


def test_plugins_use_public_names_only():
    inner = {
        f"{module} -> {target}"
        for module, file in MODULES.items()
        if folder_of(module) == "plugins"
        for target in imports(file)
        if target not in PUBLIC and folder_of(target) != "plugins"
    }
    assert inner == set()


@pytest.mark.parametrize("folder", DISTRIBUTIONS[1:], ids=lambda folder: folder.name)
def test_domains_use_public_names_only(folder):
    inner = set()
    for file in folder.glob("ssl_kit_*/**/*.py"):
        for node in import_nodes(file):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ssl_kit."):
                inner.add(node.module.removeprefix("ssl_kit."))
    assert inner <= PUBLIC


@pytest.mark.parametrize("file", sorted(ROOT.glob("benchmarks/*.py")), ids=lambda file: file.name)
def test_benchmarks_use_public_names_only(file):
    for node in import_nodes(file):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            if name.partition(".")[0] == "ssl_kit":
                assert name.removeprefix("ssl_kit").strip(".") in PUBLIC, name
            assert not name.startswith("ssl_kit_"), name


def declared_in(folder, extras=True):
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    if extras:
        wanted += chain.from_iterable(project.get("optional-dependencies", {}).values())
    return {_normal(re.match(r"[\w.-]+", text).group()) for text in wanted}


@pytest.mark.skipif(not (ROOT / "pyproject.toml").is_file(), reason="no pyproject.toml")
@pytest.mark.parametrize("folder", DISTRIBUTIONS, ids=lambda folder: folder.name)
def test_every_import_is_a_declared_dependency(folder):
    declared = declared_in(folder)
    if folder != ROOT:  # what ssl-kit itself requires comes with it
        declared |= declared_in(ROOT, extras=False)
    files = FILES if folder == ROOT else list(folder.glob("ssl_kit_*/**/*.py"))
    distributions = homes_of_packages()
    undeclared = set()
    for name in set().union(*map(_top_imports, files)):
        homes = {_normal(home) for home in distributions.get(name, [name])}
        if name != folder_name(folder) and not homes & declared:
            undeclared.add(name)
    assert undeclared == set()


TOOLS = {"build", "mypy", "pytest", "pytest-xdist", "ruff"}  # of development


@pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="no docs")
@pytest.mark.parametrize("folder", DISTRIBUTIONS, ids=lambda folder: folder.name)
def test_every_dependency_has_a_reason(folder):
    rows = re.findall(r"^\| ([^|]+) \|", (ROOT / "docs/decisions.md").read_text(), re.MULTILINE)
    explained = {_normal(name) for row in rows for name in re.findall(r"[\w.-]+", row)}
    assert declared_in(folder) - TOOLS - {"ssl-kit"} - explained == set()


@cache
def homes_of_packages():
    """Returns the installed distributions of each package, which takes a while to read."""
    return packages_distributions()


def folder_name(folder):
    return "ssl_kit" if folder == ROOT else f"ssl_kit_{folder.name}"


def _normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def _top_imports(file):
    """Names the packages beside the standard library that a file imports."""
    names = set()
    for node in import_nodes(file):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names)


def test_albumentations_is_imported_in_one_module():
    """Another engine can replace it there."""
    domains = [f for folder in DISTRIBUTIONS[1:] for f in folder.glob("ssl_kit_*/**/*.py")]
    users = [file for file in FILES + domains if "albumentations" in _top_imports(file)]
    assert [module_of(file) for file in users] == ["data.augment"]


def test_the_core_is_small():
    files = sorted((ROOT / "core").glob("*.py"))
    assert len(files) <= 14
    assert sum(len(file.read_text().splitlines()) for file in files) <= 1500


@pytest.mark.parametrize("heavy", ["torch", "pluggy", "numpy"])
def test_a_view_costs_nothing(heavy):
    import subprocess

    code = f"import sys; from ssl_kit import View; assert '{heavy}' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
