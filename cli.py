"""The command line: parse, call one public function, print."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from .core.discovery import datasets, discovery, domains, encoders, evaluations, objectives
from .core.errors import SslKitError
from .reports.words import aligned


class Cli(click.Group):
    """Turns ssl-kit's errors into one line, and offers the commands of plugins."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Runs a command; a mistake is one line on stderr, any other error keeps its traceback."""
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(error.exit_code)
        except (SslKitError, click.ClickException) as error:
            text = error.format_message() if isinstance(error, click.ClickException) else error
            click.echo(f"Error: {text}", err=True)
            sys.exit(error.exit_code)
        except click.Abort:
            click.echo("Error: Interrupted.", err=True)
            sys.exit(1)
        sys.exit(code if isinstance(code, int) else 0)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names all commands, those of plugins included."""
        discovery().add_commands(self)
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Finds a command; plugins are asked only for names that are not ours."""
        command = super().get_command(ctx, name)
        if command is None:
            discovery().add_commands(self)
            command = super().get_command(ctx, name)
        return command


def _use_plugins_dir(ctx: click.Context, option: click.Parameter, folder: str | None) -> None:
    """Sets the folder before any command is looked up: its plugins may add commands."""
    if folder:
        os.environ["SSL_KIT_PLUGINS_DIR"] = folder


@click.group(
    cls=Cli, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="ssl-kit")
@click.option(
    "--plugins-dir",
    is_eager=True,
    expose_value=False,
    callback=_use_plugins_dir,
    help="Folder of single-file plugins under development.",
)
def main() -> None:
    """Self-supervised pre-training of any timm encoder on your kind of images.

    \b
    ssl-kit train --domain remote_sensing --data tiles/    pre-train an encoder
    ssl-kit evaluate RUN                                   did it help?
    """  # noqa: D301  \b is click's


def _print(values: Any, as_json: bool, text: Callable[[], str]) -> None:
    click.echo(json.dumps(values, indent=2, default=str) if as_json else text())


def _command() -> str:
    """Returns the command as it was typed."""
    return shlex.join(["ssl-kit", *sys.argv[1:]])


def _columns(rows: Sequence[Mapping[str, Any]], *names: str) -> str:
    return "\n".join(aligned([[row[name] for name in names] for row in rows]))


json_flag = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
domain_flag = click.option("--domain", default="", help="Kind of images; see 'ssl-kit domains'.")
data_flag = click.option("--data", default="", help="Folder, file or dataset name.")
labels_flag = click.option("--labels", default="", help="CSV with path, label, group, split.")


@main.command()
@click.option("--domain", help="Kind of images; see 'ssl-kit domains'.")
@click.option("--data", help="Folder, file or dataset name; the domain's demo if left out.")
@click.option("--labels", help="CSV with path, label, group, split.")
@click.option("--objective", help="Method; see 'ssl-kit objectives'. [simclr]")
@click.option("--encoder", help="timm architecture. [resnet18]")
@click.option("--init", help="scratch, imagenet, a run or a weights file. [scratch]")
@click.option("--image-size", type=int, help="Pixels of a view. [64]")
@click.option("--epochs", type=int, help="[100, or what fits into --max-time]")
@click.option("--max-time", help="Wall time such as 10m or 1h30m.")
@click.option("--batch-size", type=int, help="[128]")
@click.option("--seed", type=int, help="[0]")
@click.option("--workers", type=int, help="Loading processes. [chosen]")
@click.option("--precision", help="auto, fp32, bf16 or fp16. [auto]")
@click.option("--pair-by", help="Pairing of the domain that gives positives, or 'group'.")
@click.option("--holdout", type=float, help="Share of groups kept for testing. [0.2]")
@click.option("--max-skip", type=float, help="Share of unreadable images tolerated. [0.01]")
@click.option("--on-collapse", help="warn or stop. [warn]")
@click.option("--out", type=click.Path(path_type=Path), help="Run folder. [runs/...]")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with settings.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any setting.")
@click.option("--resume", type=click.Path(path_type=Path), help="Go on with this run.")
@click.option("--quiet", is_flag=True, help="Print warnings and the result only.")
def train(
    out: Path | None,
    config: Path | None,
    assignments: tuple[str, ...],
    resume: Path | None,
    quiet: bool,
    **flags: Any,
) -> None:
    """Pre-train an encoder on unlabeled images."""
    from .commands import actions
    from .reports import text as report
    from .training import settings
    from .training.progress import Progress

    if resume:
        report.refuse_with_resume(flags, out, config, assignments)
        run, verdict = actions.go_on(resume, Progress(quiet))
    else:
        layers = [settings.read_toml(config)] if config else []
        layers += [settings.from_flags(flags), *map(settings.parse_set, assignments)]
        run, verdict = actions.start(layers, out, Progress(quiet))
    if os.environ.get("RANK", "0") == "0":  # of several processes one speaks
        click.echo(report.trained(run, verdict))


@main.command()
@click.argument("what", metavar="RUN|scratch|imagenet|WEIGHTS")
@domain_flag
@data_flag
@labels_flag
@click.option(
    "--evaluation", default="knn,linear", show_default=True, help="See 'ssl-kit evaluations'."
)
@click.option("--encoder", default="resnet18", show_default=True, help="Where WHAT is no run.")
@click.option("--image-size", type=click.IntRange(0), default=0, help="[the run's, or 64]")
@click.option("--holdout", type=float, help="Share of groups to test on. [the run's, or 0.2]")
@click.option("--allow-overlap", is_flag=True, help="Test on groups that were pre-trained on.")
@click.option("--set", "assignments", multiple=True, metavar="EVALUATION.KEY=VALUE",
              help="Option of an evaluation, or data.KEY=VALUE.")  # fmt: skip
@click.option("--features", type=click.Path(path_type=Path), help="Folder that keeps features.")
@json_flag
def evaluate(what: str, evaluation: str, as_json: bool, **options: Any) -> None:
    """Measure an encoder on labeled images, beside the untrained one."""
    from .commands import actions
    from .reports import text as report

    names = evaluation.split(",")
    comparisons, shared = actions.evaluate(what, names, command=_command(), **options)
    values = report.evaluation_json(comparisons, shared)
    _print(values, as_json, lambda: report.evaluation(comparisons, shared))


@main.command()
@click.argument("what", metavar="RUN|scratch|imagenet|WEIGHTS")
@domain_flag
@data_flag
@labels_flag
@click.option("--encoder", default="resnet18", show_default=True, help="Where WHAT is no run.")
@click.option("--image-size", type=click.IntRange(0), default=0, help="[the run's, or 64]")
@click.option("--holdout", type=float, help="Share of groups to test on. [the run's, or 0.2]")
@click.option("--allow-overlap", is_flag=True, help="Test on groups that were pre-trained on.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE",
              help="Option of 'ssl-kit evaluations finetune'.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder.")
@click.option("--quiet", is_flag=True, help="Print warnings and the result only.")
@json_flag
def finetune(what: str, out: Path, quiet: bool, as_json: bool, **options: Any) -> None:
    """Train a classifier on labeled images, starting from an encoder."""
    from .commands import finetune as tuning
    from .reports import text as report
    from .training.progress import Progress

    values = tuning.finetune(what, out, _command(), Progress(quiet), **options)
    _print(values, as_json, lambda: report.finetuned(values, out))


@main.command()
@click.argument("arms", nargs=-1, required=True, metavar="RUN|scratch|imagenet|random-frozen...")
@domain_flag
@data_flag
@labels_flag
@click.option("--evaluation", default="linear", show_default=True, help="linear, knn or finetune.")
@click.option("--budgets", default="10,50,all", show_default=True,
              help="Labels: images a class, or shares like 0.1.")  # fmt: skip
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True,
              help="Draws of labels and of random weights.")  # fmt: skip
@click.option("--imagenet-weights", default="", help="File. [timm's own]")
@click.option("--encoder", default="", help="Without a run. [resnet18]")
@click.option("--image-size", type=click.IntRange(0), default=0, help="[the run's, or 64]")
@click.option("--holdout", type=float, help="Share of groups to test on. [the run's, or 0.2]")
@click.option("--allow-overlap", is_flag=True, help="Test on groups that were pre-trained on.")
@click.option("--set", "assignments", multiple=True, metavar="EVALUATION.KEY=VALUE",
              help="Option of the evaluation or of fine-tuning, or data.KEY=VALUE.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), required=True,
              help="Folder; an interrupted comparison goes on.")  # fmt: skip
@click.option("--quiet", is_flag=True, help="Print warnings and the result only.")
@json_flag
def compare(arms: tuple[str, ...], out: Path, quiet: bool, as_json: bool, **options: Any) -> None:
    """Tell whether pre-training helped: several encoders at several label budgets."""
    from .commands import compare as comparing
    from .reports.text import table
    from .training.progress import Progress

    asked = comparing.plan(arms, **options)
    values = comparing.compare(asked, out, _command(), Progress(quiet))
    _print(values, as_json, lambda: f"{table(values)}\nThe results are in {out}/compare.json")


@main.command()
@click.argument("what", metavar="RUN|WEIGHTS")
@domain_flag
@data_flag
@labels_flag
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File ending in .npz.")
@json_flag
def embed(what: str, out: Path, as_json: bool, **options: str) -> None:
    """Write the features of images to a file."""
    from .commands import actions

    count, skipped = actions.embed_to_file(what, out, **options)
    values = {"images": count, "file": str(out), "skipped": skipped}
    _print(values, as_json, lambda: f"{count} images embedded in {out}, {len(skipped)} skipped")


@main.command()
@domain_flag
@data_flag
@click.option("--policy", default="default", show_default=True)
@click.option("--image-size", type=click.IntRange(8), default=64, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("views.png"), show_default=True
)
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any setting.")
@json_flag
def views(out: Path, as_json: bool, **options: Any) -> None:
    """Draw augmented views, and tell what each augmentation clips."""
    from .commands import actions

    clips = {c.transform: c.clipped for c in actions.show_views(out=out, **options)}
    shown = [{"name": n, "clipped": f"clips {100 * c:4.1f} %"} for n, c in clips.items()]
    values = {"file": str(out), "clipped": clips}
    _print(values, as_json, lambda: f"{_columns(shown, 'name', 'clipped')}\nThe sheet is in {out}")


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--format", "kind", default="timm", show_default=True,
              help="timm, safetensors, torchvision, onnx or torch_export.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder.")
@json_flag
def export(run: Path, kind: str, out: Path, as_json: bool) -> None:
    """Hand the encoder of a run to other programs; what is written is checked."""
    from .commands.export import export as write
    from .training.run import Run

    gap = write(Run(run), kind, out)
    values = {"folder": str(out), "format": kind, "largest_difference": gap}
    _print(values, as_json, lambda: f"Written to {out}; features differ by at most {gap:.1g}.")


@main.command("report")
@click.argument("folder", metavar="RUN|COMPARISON", type=click.Path(path_type=Path))
@click.option("--data", default="", help="Images of the run, where they have moved.")
@click.option("--out", type=click.Path(path_type=Path), help="[report.html in the folder]")
@click.option("--serve", "live", is_flag=True, help="Show a running training, refreshed.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True)
@json_flag
def write_report(
    folder: Path, data: str, out: Path | None, live: bool, port: int, as_json: bool
) -> None:
    """Write a run or a comparison as one HTML file."""
    from .reports.html import page

    if live:
        page.serve(folder, port, click.echo)
    else:
        file = page.write_report(folder, data, out)
        _print({"file": str(file)}, as_json, lambda: f"The report is in {file}")


def _listing(registry: Any, plural: str) -> None:
    @main.command(plural, help=f"List the {plural}, or show one with its options.")
    @click.argument("name", required=False)
    @json_flag
    def listing(name: str | None, as_json: bool) -> None:
        from .commands.listing import describe, entries

        if name:
            facts = describe(registry, name)
            _print(facts, as_json, lambda: "\n".join(f"{k}: {v}" for k, v in facts.items()))
        else:
            rows = entries(registry)
            _print(rows, as_json, lambda: _columns(rows, "name", "summary"))


for _registry, _plural in (
    (domains, "domains"),
    (objectives, "objectives"),
    (encoders, "encoders"),
    (datasets, "datasets"),
    (evaluations, "evaluations"),
):
    _listing(_registry, _plural)


@main.command()
@json_flag
def plugins(as_json: bool) -> None:
    """List the plugins that were found, and why one could not be used."""
    from .commands.listing import plugin_rows

    rows = plugin_rows()
    shown = [{**row, "state": f"FAILED: {row['error']}" if row["error"] else "ok"} for row in rows]
    _print(rows, as_json, lambda: _columns(shown, "name", "from", "state"))


@main.command()
@json_flag
def doctor(as_json: bool) -> None:
    """Check this installation."""
    from .commands.listing import health

    rows = health()
    shown = [{**row, "ok": "ok " if row["ok"] else "BAD"} for row in rows]
    _print(rows, as_json, lambda: _columns(shown, "ok", "check", "found"))
    sys.exit(0 if all(row["ok"] for row in rows) else 1)


@main.group()
def plugin() -> None:
    """Make and check plugins."""


@plugin.command()
@click.argument("kind", metavar="objective|domain|dataset|evaluation")
@click.argument("name")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path(), help="Where to put it. [here]"
)
def new(kind: str, name: str, out: Path) -> None:
    """Write a small package with a working example, to be made your own."""
    from .commands import scaffold

    folder = scaffold.create(kind, name, out)
    click.echo(scaffold.next_steps(kind, name, folder))


@plugin.command()
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="Every plugin there is.")
def check(name: str | None, everything: bool) -> None:
    """Check that a plugin keeps to its contract; exit code 1 if it does not."""
    from . import testing

    if bool(name) == everything:
        raise click.UsageError("Give a NAME or --all.")
    outcomes = []
    for kind, known in testing.everything() if everything else testing.find(str(name)):
        for outcome in testing.run_checks(kind, known):
            click.echo(outcome)
            outcomes.append(outcome)
    click.echo(testing.summary(outcomes))
    sys.exit(int(any(outcome.problem for outcome in outcomes)))


if __name__ == "__main__":
    main()
