"""What people read and type: texts of options, and the spelling of names."""

import io
import re
import tokenize
from pathlib import Path

import click
import pytest

import ssl_kit
from ssl_kit.cli import main
from ssl_kit.core.config import Config
from ssl_kit.core.discovery import datasets, encoders, evaluations, objectives
from ssl_kit.data.opening import DataConfig
from ssl_kit.data.view_settings import ViewsConfig
from ssl_kit.training.settings import (
    EncoderConfig,
    OptimizerConfig,
    RunConfig,
    TrainConfig,
)

ROOT = Path(ssl_kit.__file__).parent
SECTIONS = (RunConfig, DataConfig, EncoderConfig, ViewsConfig, OptimizerConfig, TrainConfig)
# A text that begins so says a limit, a condition or a place, and leaves out what it is of.
NO_NOUN = (
    "of", "at most", "at least", "how", "whether", "where", "when", "with", "without", "for", "to",
    "from", "until", "above", "below", "also", "only", "this", "it", "they", "that", "which",
    "''", "0", "-1", "auto",
)  # fmt: skip
BRITISH = re.compile(
    r"colour|grey|centre|metre|labell|modell|neighbour|behaviour|favour|honour|flavour"
    r"|catalogue|programme|artefact|defence|(normal|initial|standard|optim|regular|visual|organ"
    r"|quant|token|random|factor|serial|vector|binar|summar|special|util|minim|maxim|local|general"
    r"|parallel|synchron|color|discret|penal|memor|custom|recogn|equal|real)is(e|ing|ation)"
)
FOLDERS = [f for f in ROOT.iterdir() if f.is_dir() and f.name[0] != "." and f.name != "build"]
SOURCES = [*ROOT.glob("*.py"), *(file for folder in FOLDERS for file in folder.rglob("*.py"))]


def plugin_options():
    for registry in (objectives, evaluations, datasets, encoders):
        for name in registry:
            kind = getattr(registry[name], "Config", Config)
            for option, field in kind.model_fields.items():
                yield pytest.param(
                    f"{registry.kind} {name}.{option}", field.description or "",
                    id=f"{registry.kind}-{name}-{option}",
                )  # fmt: skip


def command_options(command=main, path="ssl-kit"):
    for name, inner in getattr(command, "commands", {}).items():
        yield from command_options(inner, f"{path} {name}")
    for param in command.get_params(click.Context(command, help_option_names=["-h", "--help"])):
        if isinstance(param, click.Option) and "--help" not in param.opts:
            yield pytest.param(param.help or "", id=f"{path} {param.opts[0]}")


def flaw_of(text):
    """Returns what is wrong with the text of an option, "" if nothing is."""
    words = re.findall(r"[A-Za-z][\w'-]*", re.sub(r"\[default:.*?\]|\(.*?\)", "", text))
    if len(words) < 3:
        return "it has less than three words"
    start = text.lower().split()
    for opening in NO_NOUN:
        if start[: len(opening.split())] == opening.split():
            return f"it begins with '{opening}' and not with what it is"
    return ""


@pytest.mark.parametrize("model", SECTIONS, ids=lambda model: model.__name__)
def test_every_setting_of_a_run_has_a_text(model):
    assert {
        k: flaw_of(f.description or "") for k, f in model.model_fields.items()
    } == dict.fromkeys(model.model_fields, "")


@pytest.mark.parametrize("text", list(command_options()))
def test_every_option_of_the_command_line_has_a_text(text):
    assert flaw_of(text) == ""


@pytest.mark.parametrize(("name", "text"), list(plugin_options()))
def test_every_option_of_a_plugin_has_a_text(name, text):
    assert flaw_of(text) == ""


def test_names_are_american():
    assert BRITISH.search("normalise_all")
    assert not BRITISH.search("normalize_all")
    texts = {file: file.read_text() for file in SOURCES}
    names = {
        f"{file.relative_to(ROOT)}: {token.string}"
        for file, text in texts.items()
        if BRITISH.search(text.lower())  # telling names from comments takes long
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.NAME and BRITISH.search(token.string.lower())
    }
    assert names == set()


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        ("of the teacher", "begins with 'of'"),
        ("temperature", "less than three"),
        ("at most this often saved", "begins with 'at most'"),
        ("momentum of the teacher (m in eq. 2)", ""),
    ],
)
def test_a_text_without_a_noun_is_told_from_one_with_it(text, flaw):
    assert flaw in flaw_of(text)
    assert bool(flaw) == bool(flaw_of(text))
