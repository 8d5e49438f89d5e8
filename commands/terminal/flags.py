"""Options that several commands have; those of a run are made from the fields of RunConfig."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from .group import Command
from .idle import needless as needless


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def _nested(ctx: click.Context, option: click.Parameter, texts: tuple[str, ...]) -> Any:
    """Turns the values of --set into the argument `set` of the Python API."""
    if not texts:
        return None
    from ...training.layers import merge, parse_set

    return merge(*map(parse_set, texts))


def values(metavar: str, text: str) -> Callable[[Any], Any]:
    """Makes the option --set."""
    return click.option("--set", multiple=True, metavar=metavar, callback=_nested, help=text)


def settings(metavar: str, text: str) -> Callable[[Any], Any]:
    """Makes the options --config and --set."""
    file = "TOML file with settings, as a run has, below flags and --set."
    config = click.option("--config", type=PATH, help=file)
    return lambda command: config(values(metavar, text)(command))


def out(text: str, **more: Any) -> Callable[[Any], Any]:
    """Makes the option --out."""
    return click.option("--out", type=PATH, help=text, **more)


PATH = click.Path(path_type=Path)
model = click.argument("model", metavar="RUN|scratch|imagenet|WEIGHTS")
setting = settings("KEY=VALUE", "Any setting of a run, such as objective.temperature=0.2.")
evaluation_setting = settings("EVALUATION.KEY=VALUE", "Option of an evaluation, or data.KEY=VALUE.")
image_setting = settings("KEY=VALUE", "Setting of the images, such as data.options.tile=64.")
compared_by = click.option(
    "--evaluation",
    default="linear",
    show_default=True,
    help="Name of the evaluation, such as knn or finetune.",
)
overlap = click.option(
    "--allow-overlap", is_flag=True, help="Test also on groups that were pre-trained on."
)
strict = click.option(
    "--strict", is_flag=True, help="Refuse images in which something looks wrong."
)
show_groups = click.option(
    "--show-groups",
    is_flag=True,
    help="Print the names of groups, such as subjects; they are never written to a file.",
)
gradcam = click.option(
    "--gradcam",
    type=click.IntRange(min=0),
    default=0,
    help="Number of test images drawn with their Grad-CAM in gradcam.png, named in gradcam.csv.",
)
label_budgets = click.option(
    "--budgets",
    default="10,50,all",
    show_default=True,
    help="Numbers of labeled images, per class in evaluations of classes, or shares of the groups "
    "such as 0.1, with commas.",
)
seeds = click.option(
    "--seeds",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Number of draws of labels and of random weights.",
)
port = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="Port of the live view on this machine.",
)
controls = click.option(
    "--controls/--no-controls",
    default=True,
    show_default=True,
    help="Add the arms handcrafted and start (the weights that the first run began from).",
)
quiet = click.option("--quiet", is_flag=True, help="Print only warnings and the result.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def tuning(command: Any) -> Any:
    """Adds the options of a search for settings."""
    options = (
        click.option(
            "--budget",
            default="1h",
            show_default=True,
            help="Wall time of the whole search, such as 15m or 2h.",
        ),
        click.option(
            "--objectives",
            default="",
            help="Names of objectives to choose from, with commas.  "
            "[default: the domain's and others that suit the encoder]",
        ),
        click.option("--scratch", is_flag=True, help="Try random weights beside those of --init."),
        click.option(
            "--trust-label-free",
            is_flag=True,
            help="Search all settings, not only the objective, where there are no labels.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


class Derived(Command):
    """A command some of whose options are fields of RunConfig.

    They are made when they are asked for, because a list of all commands need not wait for them.

    Args:
        flags: Names in `training.flags.FLAGS`, and where the default comes from if not from the
            field: "the run's", "".
        check: Name of the function of `keys` that refuses wrong settings before the command runs;
            "" for none.
    """

    def __init__(
        self, *args: Any, flags: Mapping[str, str], check: str = "", **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._flags, self._check = dict(flags), check

    def invoke(self, ctx: click.Context) -> Any:
        """Checks the settings, and runs the command."""
        if ctx.params.pop("download", False):
            from ...training.layers import merge

            allowed = {"data": {"options": {"download": True}}}
            ctx.params["set"] = merge(ctx.params.get("set") or {}, allowed)
        if self._check:
            from . import keys

            getattr(keys, self._check)(ctx.params)
        return super().invoke(ctx)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Returns all arguments and options."""
        first = sum(isinstance(param, click.Argument) for param in self.params)
        self.params[first:first] = [_derived(*flag) for flag in self._flags.items()]
        self.params += [_download()] if "data" in self._flags else []
        self._flags.clear()
        return super().get_params(ctx)


def _download() -> click.Option:
    text = "Permission to download a named set that is missing; sets data.options.download."
    return click.Option(["--download"], is_flag=True, help=text)


def _derived(name: str, source: str) -> click.Option:
    from ...training.flags import Flag

    flag = Flag.of(name)
    default = ", or ".join(part for part in (source, flag.default) if part)
    return click.Option(
        [f"--{name.replace('_', '-')}"],
        type=flag.kind if flag.least is None else click.IntRange(flag.least),
        metavar="|".join(flag.choices) or None,
        help=f"{flag.text}  [default: {default}]" if default else flag.text,
    )


TRAIN = {
    "domain": "",
    "data": "the domain's demo",
    "labels": "",
    "layout": "",
    "objective": "the domain's",
    "encoder": "the domain's",
    "init": "the domain's",
    "image_size": "the domain's",
    "epochs": "",
    "max_time": "",
    "batch_size": "the domain's",
    "seed": "",
    "workers": "the domain's",
    "precision": "the domain's",
    "pair_by": "",
    "holdout": "the domain's",
    "max_skip": "the domain's",
    "on_collapse": "the domain's",
}
TUNE = {
    name: source
    for name, source in TRAIN.items()
    if name not in ("objective", "epochs", "max_time", "pair_by", "on_collapse")
}
IMAGES = dict.fromkeys(("domain", "data", "labels"), "the run's")
EMBED = IMAGES | dict.fromkeys(("encoder", "image_size"), "the run's")
EVALUATE = EMBED | {"holdout": "the run's"}
INSPECT = {
    "domain": "",
    "data": "the domain's demo",
    "labels": "",
    "init": "the domain's",
    "layout": "",
    "holdout": "the domain's",
}
RECIPE = {"data": "the domain's demo", "labels": "", "seed": "the recipe's", "max_time": ""}
VIEWS = {"domain": "", "data": "the domain's demo", "image_size": "", "seed": ""}
