"""Everything that is known of a registered name, as plain values."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Mapping
from typing import Any

from ...core.registry import Entry
from . import source
from .source import Found, NotStatic

Facts = dict[str, Any]
_UNREADABLE = (NotStatic, OSError, SyntaxError, TypeError, ValueError, LookupError, AttributeError)
_PARTS = ("datasets", "demo", "objectives")
_ATTRIBUTES = ("paper", "needs", "defaults", "example", "takes_folders")
_MOST_NAMES = 2  # of authors in a listing


def describe(entry: Entry) -> Facts:
    """Returns what is known of a name: documentation, paper, options, defaults and parts.

    The source is read where that is enough, because importing torch takes seconds.

    Raises:
        PluginError: If the thing has to be imported and cannot be.
    """
    plugin = f"{entry.origin} {entry.version}".strip()
    facts: Facts = {"name": entry.name, "summary": entry.summary, "plugin": plugin}
    try:
        return facts | _read(entry)
    except _UNREADABLE:
        return facts | _imported(entry)


def read(entry: Entry) -> Facts:
    """Returns what the source alone tells of a name; nothing if it would have to be imported."""
    try:
        return _read(entry)
    except _UNREADABLE:
        return {}


def citation_of(module_doc: str, paper: str) -> tuple[str, str]:
    """Returns the paragraph of a docstring about a paper, and its authors and year in short."""
    for paragraph in module_doc.split("\n\n"):
        if paper and paper in paragraph:
            text = " ".join(paragraph.split())
            return text, _short(text.partition(paper)[0])
    return "", ""


_NAME = re.compile(r"^(?:(?:van|der|de|von|la) )*[A-Z][\w'-]+(?: et al\.?)?$")


def _short(text: str) -> str:
    """Returns "Caron et al. 2021" from "Title, Caron, Misra, 2021."."""
    year = re.search(r"\b(19|20)\d\d\b", text)
    if not year:
        return ""
    names: list[str] = []
    for part in reversed(text[: year.start()].rstrip(", ").split(", ")):
        if not _NAME.match(part.strip()):
            break
        names.insert(0, part.strip())
    if len(names) > _MOST_NAMES:
        names = [f"{names[0]} et al."]
    return " ".join([" and ".join(names), year[0]]).strip()


def _default(field: Any) -> Any:
    return None if field.is_required() else field.get_default(call_default_factory=True)


def _read(entry: Entry) -> Facts:
    """Returns the facts from the source of the thing."""
    if not isinstance(entry.value, str):
        raise NotStatic(entry.name)
    module, _, attribute = entry.value.partition(":")
    found = source.find(module, attribute)
    if isinstance(found.node, ast.Call):
        return _read_domain(found)
    if not isinstance(found.node, ast.ClassDef):
        raise NotStatic(entry.name)
    module_doc = ast.get_docstring(source.parse(found.module)[0]) or ""
    config = source.attribute(found, "Config")
    facts = _of_class(
        found.doc,
        module_doc,
        {name: source.attribute(found, name) for name in _ATTRIBUTES},
    )
    if isinstance(config, Found):
        facts |= {"options": _read_options(config), "about_defaults": config.doc}
    return facts


def _of_class(doc: str, module_doc: str, attributes: Mapping[str, Any]) -> Facts:
    """Returns the facts of an objective, a dataset, an evaluation or an encoder."""
    facts: Facts = {"documentation": doc}
    paper, needs = attributes["paper"], attributes["needs"]
    if isinstance(needs, frozenset):  # an objective
        about, citation = citation_of(module_doc, paper or "")
        facts |= {"paper": paper or "", "about_paper": about, "citation": citation}
        facts |= {"needs": sorted(needs), "defaults": dict(attributes["defaults"] or {})}
    if isinstance(attributes["example"], tuple):  # an encoder
        facts["example"] = list(attributes["example"])
    if attributes["takes_folders"] is not None:  # a dataset that is opened by a name
        facts["named"] = True
    return facts


def _read_options(config: Found) -> Facts:
    """Returns default and text of each field, those of the bases first."""
    options: Facts = {}
    for kind in reversed(list(source.lineage(config))):
        for node in kind.node.body:  # type: ignore[attr-defined]
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                written = ast.unparse(node.annotation)
                if not written.startswith("ClassVar") and not node.target.id.startswith("_"):
                    options[node.target.id] = _read_option(node, kind.module)
    return options


def _read_option(node: ast.AnnAssign, module: str) -> Facts:
    calls = [*_fields(node.annotation, module), *_fields(node.value, module)]
    words = {word.arg: word.value for call in calls for word in call.keywords if word.arg}
    value = node.value if not _fields(node.value, module) else words.get("default")
    factory = words.get("default_factory")
    default = source.evaluate(value, module) if value else None
    if isinstance(factory, ast.Name):
        default = {"dict": {}, "list": [], "tuple": ()}[factory.id]
    text, extra = words.get("description"), words.get("json_schema_extra")
    about = source.evaluate(text, module) if text else ""
    return {"default": default, "about": about} | (source.evaluate(extra, module) if extra else {})


def _fields(node: ast.AST | None, module: str) -> list[ast.Call]:
    """Returns the calls of Field in an annotation or a default; a named annotation is followed."""
    if isinstance(node, ast.Name) and node.id not in ("int", "str", "float", "bool"):
        found = source.find(module, node.id)
        return [] if isinstance(found.node, ast.ClassDef) else _fields(found.node, found.module)
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Annotated":
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else []
        return [call for part in parts[1:] for call in _fields(part, module)]
    is_field = isinstance(node, ast.Call) and ast.unparse(node.func) == "Field"
    return [node] if is_field else []  # type: ignore[list-item]


def _read_domain(found: Found) -> Facts:
    """Returns the facts of a domain from the call that makes it."""
    call: Any = found.node
    if ast.unparse(call.func) != "Domain" or call.args:
        raise NotStatic(ast.unparse(call.func))
    values = {
        word.arg: source.evaluate(word.value, found.module)
        for word in call.keywords
        if word.arg != "channel_names"  # a page has no need of it
    }
    return _of_domain(values)


def _of_domain(values: Mapping[str, Any]) -> Facts:
    def docs(part: str) -> dict[str, str]:
        return {name: _first_line(f) for name, f in values.get(part, {}).items()}

    return {
        **{part: values.get(part, ()) for part in _PARTS},
        "defaults": dict(values.get("defaults", {})),
        "pretrained_defaults": dict(values.get("pretrained_defaults", {})),
        "policies": docs("policies"),
        "pairings": docs("pairings"),
        "corruptions": {
            name: {"strengths": list(strengths), "unit": unit, "about": _first_line(make)}
            for name, (make, strengths, unit) in values.get("corruptions", {}).items()
        },
    }


def _first_line(thing: Any) -> str:
    doc = thing.doc if isinstance(thing, Found) else inspect.getdoc(thing) or ""
    return " ".join(doc.partition("\n\n")[0].split())


def _imported(entry: Entry) -> Facts:
    """Returns the facts of the imported thing."""
    thing = entry.load()
    module = sys.modules.get(getattr(thing, "__module__", ""), None)
    if not isinstance(thing, type):
        parts = (*_PARTS, "defaults", "pretrained_defaults", "policies", "pairings")
        values = {name: getattr(thing, name) for name in parts if hasattr(thing, name)}
        values["corruptions"] = {
            name: (c.transform, c.strengths, c.unit)
            for name, c in getattr(thing, "corruptions", {}).items()
        }
        return _of_domain(values)
    attributes = {name: getattr(thing, name, None) for name in _ATTRIBUTES}
    facts = _of_class(inspect.getdoc(thing) or "", inspect.getdoc(module) or "", attributes)
    config = getattr(thing, "Config", None)
    if config is not None:
        facts["options"] = {
            key: {"default": _default(field), "about": field.description or ""}
            | (dict(field.json_schema_extra) if isinstance(field.json_schema_extra, dict) else {})
            for key, field in config.model_fields.items()
        }
        facts["about_defaults"] = inspect.getdoc(config) or ""
    return facts
