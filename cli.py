"""The command line: parse, call one public function, print."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from .commands.terminal import flags
from .commands.terminal.group import Cli, plugins_dir
from .commands.terminal.printing import columns, show
from .commands.terminal.recipes import recipes


@click.group(
    cls=Cli, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="ssl-kit")
@plugins_dir
def main() -> None:
    """Self-supervised pre-training of any timm encoder on your kind of images.

    \b
    ssl-kit train --domain remote_sensing --data tiles/    pre-train an encoder
    ssl-kit evaluate RUN                                   measure whether it helped
    """  # noqa: D301  \b is click's


@main.command(cls=flags.Derived, flags=flags.TRAIN, check="check_run")
@flags.out("Folder of the run.  [default: runs/NAME-TIME]")
@flags.setting
@click.option("--resume", type=flags.PATH, help="Folder of a run to continue; takes no settings.")
@flags.strict
@flags.quiet
def train(**options: Any) -> None:
    """Pre-train an encoder on unlabeled images.

    A domain and an objective may set defaults of their own: see 'ssl-kit domains NAME' and
    'ssl-kit objectives NAME'.
    """
    from .commands.train import train
    from .reports.text import trained

    run = train(**flags.given(options))
    if os.environ.get("RANK", "0") == "0":  # of several processes one prints
        click.echo(trained(run, run.verdict))


@main.command(cls=flags.Derived, flags=flags.TUNE, check="check_run")
@flags.tuning
@flags.out("Folder of the search.  [default: runs/tune-NAME-TIME]")
@flags.setting
@click.option("--resume", type=flags.PATH, help="Folder of a search to continue.")
@flags.quiet
@flags.as_json
def tune(as_json: bool, **options: Any) -> None:
    """Search objective, views, learning rate and more for your images, in a given time.

    What you set is not searched. An interrupted search goes on with --resume.
    """
    from .commands.tune import tune

    values = tune(**flags.given(options))
    show(values, as_json, lambda: values)


@main.command(cls=flags.Derived, flags=flags.EVALUATE, check="check_evaluations")
@flags.model
@click.option(
    "--evaluation",
    help="Names of evaluations, with commas; see 'ssl-kit evaluations'.  "
    "[default: knn,linear; for a classifier its own predictions]",
)
@flags.overlap
@flags.strict
@flags.evaluation_setting
@click.option("--features", type=flags.PATH, help="Folder that keeps features for the next time.")
@flags.show_groups
@flags.quiet
@flags.as_json
@flags.needless("as_json", beside=["show_groups"])
def evaluate(model: str, as_json: bool, **options: Any) -> None:
    """Measure an encoder on labeled images, beside the weights that it started from."""
    from .commands.evaluate import evaluate

    results = evaluate(model, **flags.given(options))
    show(results.to_json(), as_json, lambda: results)


@main.command(cls=flags.Derived, flags=flags.EVALUATE, check="check_finetuning")
@flags.model
@flags.overlap
@flags.strict
@flags.settings("KEY=VALUE", "Option of 'ssl-kit evaluations finetune', or data.KEY=VALUE.")
@flags.gradcam
@flags.out("New folder for the classifier.", required=True)
@flags.quiet
@flags.as_json
def finetune(model: str, as_json: bool, **options: Any) -> None:
    """Train a classifier on labeled images, starting from an encoder."""
    from .commands.finetune import finetune

    metrics = finetune(model, **flags.given(options))
    show(metrics, as_json, lambda: metrics)


@main.command(cls=flags.Derived, flags=flags.EVALUATE, check="check_comparison")
@click.argument("arms", nargs=-1, required=True, metavar="RUN|scratch|imagenet|...")
@flags.compared_by
@flags.label_budgets
@flags.seeds
@click.option("--imagenet-weights", help="File for the arm imagenet.  [default: timm's weights]")
@flags.controls
@flags.overlap
@flags.strict
@flags.evaluation_setting
@flags.out("Folder of the comparison.  [default: RUN/comparisons/...]")
@flags.quiet
@flags.as_json
def compare(arms: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Tell whether pre-training helped: several encoders at several label budgets.

    An interrupted comparison goes on where it stopped.
    """
    from .commands.compare import compare

    values = compare(*arms, **flags.given(options))
    show(values, as_json, lambda: f"{values}\nThe results are in {values.folder}/compare.json")


@main.command(cls=flags.Derived, flags=flags.EMBED, check="check_images")
@click.argument("model", metavar="RUN|WEIGHTS")
@flags.image_setting
@flags.out("File of features, ending in .npz.", required=True)
@flags.quiet
@flags.as_json
def embed(model: str, as_json: bool, out: Path, **options: Any) -> None:
    """Write the features of images to a file."""
    from .commands.embed import embed

    features = embed(model, out=out, **flags.given(options))
    values = {"images": len(features.keys), "file": str(out), "skipped": features.skipped}
    text = f"{values['images']} images embedded in {out}, {len(features.skipped)} skipped"
    show(values, as_json, lambda: text)


@main.command(cls=flags.Derived, flags=flags.INSPECT, check="check_images")
@flags.image_setting
@flags.as_json
def inspect(as_json: bool, **options: Any) -> None:
    """Tell what was understood of images: values, labels, groups, parts and copies."""
    from .commands.inspect import inspect

    facts = inspect(**flags.given(options))
    show(facts, as_json, lambda: facts)


@main.command(cls=flags.Derived, flags=flags.VIEWS, check="check_images")
@click.option(
    "--policy", default="default", show_default=True, help="Name of the augmentation policy."
)
@flags.out("PNG file of the views.", default=Path("views.png"), show_default=True)
@flags.image_setting
@flags.as_json
def views(as_json: bool, **options: Any) -> None:
    """Draw augmented views, and tell which share of the values each clips."""
    from .commands.views import views

    sheet = views(**flags.given(options))
    clips = [{"augmentation": n, "clips": f"{100 * c:.1f} %"} for n, c in sheet.clipped.items()]
    text = f"{columns(clips, 'augmentation', 'clips')}\nThe sheet is in {sheet.file}"
    show({"file": str(sheet.file), "clipped": sheet.clipped}, as_json, lambda: text)


@main.command()
@click.argument("run", metavar="RUN|CLASSIFIER", type=flags.PATH)
@click.option(
    "--format",
    default="timm",
    show_default=True,
    help="Name of the format: timm, safetensors, torchvision, onnx or torch_export.",
)
@flags.out("New folder for the export.", required=True)
@flags.quiet
@flags.as_json
def export(run: Path, as_json: bool, **options: Any) -> None:
    """Write an encoder or a classifier for other programs, and check what was written."""
    from .commands.export import export

    made = export(run, **options)
    gap, folder = made.largest_difference, made.folder
    values = {"folder": str(folder), "format": made.format, "largest_difference": gap}
    show(values, as_json, lambda: f"Written to {folder}; its outputs differ by at most {gap:.1g}.")


@main.command()
@click.argument("folder", metavar="RUN|COMPARISON|CLASSIFIER|SEARCH|RECIPE", type=flags.PATH)
@click.option("--data", help="Images of the run, where they have moved.")
@flags.out("HTML file to write.  [default: report.html in the folder]")
@click.option("--serve", "live", is_flag=True, help="Show a running training, and refresh it.")
@flags.port
@flags.quiet
@flags.as_json
@flags.needless("live", beside=["out", "data", "as_json"], without=["port"])
def report(folder: Path, live: bool, port: int, as_json: bool, **options: Any) -> None:
    """Write a run, a comparison, a classifier, a search or a recipe as one HTML file."""
    from .commands.report import report
    from .reports.html.page import serve

    if live:
        return serve(folder, port, click.echo)
    file = report(folder, **flags.given(options))
    show({"file": str(file)}, as_json, lambda: f"The report is in {file}")


def _listing(plural: str) -> None:
    @main.command(plural, help=f"List the {plural}, or show one with its options.")
    @click.argument("name", required=False)
    @flags.as_json
    def listing(name: str | None, as_json: bool) -> None:
        from .commands.listing import describe, entries
        from .commands.listings import page
        from .core import discovery

        registry = getattr(discovery, plural)
        if name:
            facts = describe(registry, name)
            show(facts, as_json, lambda: page.page(registry.kind, facts))
        else:
            rows = entries(registry)
            show(rows, as_json, lambda: page.listing(registry.kind, rows))


for _plural in ("domains", "objectives", "encoders", "datasets", "evaluations"):
    _listing(_plural)
main.add_command(recipes)


@main.command()
@flags.as_json
def plugins(as_json: bool) -> None:
    """List the plugins that were found, and why one could not be used."""
    from .commands.listing import plugin_rows

    rows = plugin_rows()
    show(rows, as_json, lambda: columns(rows, "name", "from", "state"))


@main.command()
@flags.as_json
def doctor(as_json: bool) -> None:
    """Check this installation."""
    from .commands.doctor import health

    rows = health()
    shown = [{**row, "ok": "ok " if row["ok"] else "BAD"} for row in rows]
    show(rows, as_json, lambda: columns(shown, "ok", "check", "found"))
    sys.exit(0 if all(row["ok"] for row in rows) else 1)


@main.group()
def plugin() -> None:
    """Make and check plugins."""


@plugin.command()
@click.argument("kind", metavar="objective|domain|dataset|evaluation|recipe")
@click.argument("name")
@flags.out("Folder to put it into.  [default: here]", default=Path())
def new(kind: str, name: str, out: Path) -> None:
    """Write a small package with a working example to start from."""
    from .commands.plugin import new

    click.echo(new(kind, name, out))


@plugin.command()
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="Check every plugin there is.")
def check(name: str | None, everything: bool) -> None:
    """Check that a plugin keeps to its contract; exit code 1 if it does not."""
    from .commands.plugin import check
    from .testing import summary

    if bool(name) == everything:
        raise click.UsageError("Give a NAME or --all.")
    outcomes = []
    for outcome in check(name):
        click.echo(outcome)
        outcomes.append(outcome)
    click.echo(summary(outcomes))
    sys.exit(int(any(outcome.problem for outcome in outcomes)))


if __name__ == "__main__":
    main()
