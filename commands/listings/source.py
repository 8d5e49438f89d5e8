"""Reads classes and values from the source of modules, which are not imported.

A page about one objective need not wait for torch. What cannot be read so is `NotStatic`, and the
caller imports it.
"""

from __future__ import annotations

import ast
import operator
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_OPERATORS: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.BitOr: operator.or_,
}
_BUILT_IN = {"frozenset": frozenset, "dict": dict, "tuple": tuple, "list": list, "set": set}


class NotStatic(Exception):  # noqa: N818  not an error: the module is imported instead
    """Something that only running the module would tell."""


@dataclass(frozen=True)
class Found:
    """A top-level statement: where it is, and the module for the names in it.

    Attributes:
        node: The class, the function, or the value of an assignment.
        module: Name of the module.
    """

    node: ast.AST
    module: str

    @property
    def doc(self) -> str:
        """The docstring of a class or function."""
        node = self.node
        documented = isinstance(node, ast.ClassDef | ast.FunctionDef)
        return (ast.get_docstring(node) or "") if documented else ""  # type: ignore[arg-type]


@cache
def parse(module: str) -> tuple[ast.Module, bool]:
    """Parses a module, of a package its list of public names; tells whether it is a package."""
    top, *parts = module.split(".")
    loaded = sys.modules.get(top)
    file = getattr(loaded, "__file__", None) or getattr(find_spec(top), "origin", None)
    if not file:
        raise NotStatic(module)
    path = Path(file)
    if path.name == "__init__.py":
        path = path.parent.joinpath(*parts)
    elif parts:
        raise NotStatic(module)
    for candidate in (path / "__init__.pyi", path / "__init__.py", path.with_suffix(".py")):
        if candidate.is_file():
            tree = ast.parse(candidate.read_text(encoding="utf-8"))
            return tree, candidate.stem == "__init__"
    raise NotStatic(module)


def find(module: str, name: str) -> Found:
    """Finds what a name means in a module, and follows imports."""
    tree, package = parse(module)
    for node in reversed(tree.body):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return Found(node, module)
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(t, ast.Name) and t.id == name for t in targets):
                return Found(node.value, module)
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return find(_absolute(node, module, package), alias.name)
    raise NotStatic(f"{module}:{name}")


def _absolute(node: ast.ImportFrom, module: str, package: bool) -> str:
    """Returns the full name of the module that a statement imports from."""
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    parts = parts[: len(parts) - node.level + package]
    return ".".join([*parts, *filter(None, [node.module])])


def evaluate(node: ast.AST | None, module: str) -> Any:
    """Computes a literal, names of literals included; a class or a function is a `Found`."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        kind = {ast.Tuple: tuple, ast.List: list, ast.Set: set}[type(node)]
        return kind(evaluate(item, module) for item in node.elts)
    if isinstance(node, ast.Dict):
        return _dict(node, module)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -evaluate(node.operand, module)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = evaluate(node.left, module), evaluate(node.right, module)
        return _OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.Name):
        found = find(module, node.id)
        named = isinstance(found.node, ast.ClassDef | ast.FunctionDef)
        return found if named else evaluate(found.node, found.module)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        if node.func.id in _BUILT_IN:
            return _BUILT_IN[node.func.id](*(evaluate(a, module) for a in node.args))
    if isinstance(node, ast.JoinedStr):
        return "".join(str(evaluate(part, module)) for part in node.values)
    if isinstance(node, ast.FormattedValue) and node.format_spec is None:
        return evaluate(node.value, module)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr == "join":  # ", ".join(NAMES)
            return evaluate(node.func.value, module).join(evaluate(node.args[0], module))
    raise NotStatic(ast.unparse(node) if node else "")


def _dict(node: ast.Dict, module: str) -> dict[Any, Any]:
    values: dict[Any, Any] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if key is None:
            values |= evaluate(value, module)
        else:
            values[evaluate(key, module)] = _value(value, module)
    return values


def _value(node: ast.AST, module: str) -> Any:
    """Computes a value of a dictionary; a call of a class is kept as the values of its arguments."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return [evaluate(argument, module) for argument in node.args]
    return evaluate(node, module)


def lineage(kind: Found) -> Iterator[Found]:
    """Yields a class and its bases, nearest first, as far as their source can be read."""
    yield kind
    for base in getattr(kind.node, "bases", ()):
        if isinstance(base, ast.Name) and base.id not in ("ABC", "BaseModel"):
            yield from lineage(find(kind.module, base.id))
        elif not isinstance(base, ast.Name | ast.Attribute):
            raise NotStatic(ast.unparse(base))


def attribute(kind: Found, name: str, default: Any = None) -> Any:
    """Computes the value of a class attribute, inherited ones included."""
    for parent in lineage(kind):
        for node in parent.node.body:  # type: ignore[attr-defined]
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            target = node.target if isinstance(node, ast.AnnAssign) and node.value else target
            if isinstance(target, ast.Name) and target.id == name:
                return evaluate(node.value, parent.module)
    return default
