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

_OPERATORS: Mapping[type, Callable[..., Any]] = {
    ast.USub: operator.neg,
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.BitOr: operator.or_,
}
_BUILT_IN = {"frozenset": frozenset, "dict": dict, "tuple": tuple, "list": list, "set": set}
_BARE = ("ABC", "BaseModel", "Module")  # declare no options and no facts of a plugin


class NotStatic(Exception):
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
    compute = _COMPUTE.get(type(node))
    if node is None or compute is None:
        raise NotStatic(ast.unparse(node) if node else "")
    return compute(node, module)


def _name(node: Any, module: str) -> Any:
    found = find(module, node.id)
    named = isinstance(found.node, ast.ClassDef | ast.FunctionDef)
    return found if named else evaluate(found.node, found.module)


def _call(node: Any, module: str) -> Any:
    """Computes `frozenset(...)` and the like, and `", ".join(NAMES)`."""
    arguments = [evaluate(argument, module) for argument in node.args]
    if not node.keywords and isinstance(node.func, ast.Name) and node.func.id in _BUILT_IN:
        return _BUILT_IN[node.func.id](*arguments)
    if isinstance(node.func, ast.Attribute) and node.func.attr == "join":
        return evaluate(node.func.value, module).join(*arguments)
    raise NotStatic(ast.unparse(node))


def _operation(node: Any, module: str) -> Any:
    left, right = evaluate(node.left, module), evaluate(node.right, module)
    return _OPERATORS[type(node.op)](left, right)


def _dict(node: ast.Dict, module: str) -> dict[Any, Any]:
    values: dict[Any, Any] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if key is None:
            values |= evaluate(value, module)
        else:
            values[evaluate(key, module)] = _value(value, module)
    return values


def _value(node: ast.AST, module: str) -> Any:
    """Computes a value of a dictionary; of a call of a class, the values of its arguments."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return [evaluate(argument, module) for argument in node.args]
    return evaluate(node, module)


_COMPUTE: Mapping[type, Callable[[Any, str], Any]] = {
    ast.Constant: lambda node, module: node.value,
    ast.Tuple: lambda node, module: tuple(evaluate(item, module) for item in node.elts),
    ast.List: lambda node, module: [evaluate(item, module) for item in node.elts],
    ast.Set: lambda node, module: {evaluate(item, module) for item in node.elts},
    ast.Dict: lambda node, module: _dict(node, module),
    ast.UnaryOp: lambda node, module: _OPERATORS[type(node.op)](evaluate(node.operand, module)),
    ast.BinOp: _operation,
    ast.Name: _name,
    ast.Call: _call,
    ast.JoinedStr: lambda node, module: "".join(str(evaluate(v, module)) for v in node.values),
    ast.FormattedValue: lambda node, module: evaluate(node.value, module),
}


def lineage(kind: Found) -> Iterator[Found]:
    """Yields a class and its bases, nearest first, without those that declare nothing of ours.

    Raises:
        NotStatic: At a base that is not a plain name.
    """
    yield kind
    for base in getattr(kind.node, "bases", ()):
        written = ast.unparse(base)
        if written.rpartition(".")[2] in _BARE:
            continue
        if not isinstance(base, ast.Name):
            raise NotStatic(written)
        yield from lineage(find(kind.module, base.id))


def attribute(kind: Found, name: str, default: Any = None) -> Any:
    """Computes the value of a class attribute, inherited ones included."""
    for parent in lineage(kind):
        for node in parent.node.body:  # type: ignore[attr-defined]
            if isinstance(node, ast.ClassDef) and node.name == name:
                return Found(node, parent.module)
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            target = node.target if isinstance(node, ast.AnnAssign) and node.value else target
            if isinstance(target, ast.Name) and target.id == name:
                return evaluate(node.value, parent.module)
    return default
