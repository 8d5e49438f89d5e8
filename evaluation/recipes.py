"""Runs a recipe: its pre-trainings, then its comparisons, each step kept and done once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.atomic import write_atomic
from ..core.discovery import domains
from ..core.errors import RunError, UsageError
from ..data.opening import open_dataset
from ..data.process import show_log
from ..data.said import each_said_once
from ..data.splits import split
from ..training.engine import Stopped, late_signals_stop
from ..training.layers import expand, merge
from ..training.locks import exclusive
from ..training.other_work import refuse_other_work
from ..training.progress import Progress
from ..training.recipe import Comparison, Recipe
from ..training.resources import measured
from ..training.run import Run
from ..training.settings import RunConfig
from ..training.setup import resolve
from ..training.start import go_on, start
from .checklist import fill_in
from .comparing.arms import IMAGENET, KINDS, START, evaluations_of
from .comparing.cells import compute
from .comparing.plan import parse_budgets, plan
from .data import EvaluationData
from .recipe_outcome import OUTCOME, outcome_of, read_json
from .requests import check_and_say, choose, open_images

_REQUEST, _USED = "request.json", "used.json"
_COMPARISONS, _CLASSIFIERS = "comparisons", "classifiers"
Draw = Callable[[Path, Comparison, Path], None]
"""Fine-tunes a run as a comparison does, and draws Grad-CAM, in a folder of its own."""


@dataclass(frozen=True)
class Request:
    """A recipe that is to be run on some images.

    Attributes:
        name: Name of the recipe.
        recipe: The recipe with all overrides.
        small: Whether its overrides for a small machine hold.
        layer: Settings from the command line, above those of the recipe: images, seed, time.
        imagenet_weights: File of ImageNet weights; "" for timm's.
        command: What was asked for, for the record.
    """

    name: str
    recipe: Recipe
    small: bool
    layer: Mapping[str, Any]
    imagenet_weights: str
    command: str

    def config_of(self, run: str, group: int | None = None) -> RunConfig:
        """Returns the resolved settings of a pre-training, of one group if one is given.

        Raises:
            UsageError: At the first wrong name, key or value.
        """
        own = {} if group is None else {"data": {"groups": [group]}}
        config = resolve(self.recipe.settings_of(run, merge(self.layer, own)))
        if config.encoder.init == IMAGENET and self.imagenet_weights:
            encoder = config.encoder.model_copy(update={"init": self.imagenet_weights})
            config = config.model_copy(update={"encoder": encoder})
        return config

    def trainings(self, run: str) -> dict[str, RunConfig]:
        """Returns the settings of each training of a run, by folder: one, or one a group."""
        config = self.config_of(run)
        if not self.recipe.runs[run].each:
            return {run: config}
        index = open_dataset(domains[config.domain], config.data).index
        groups = np.unique(index.groups[index.labels >= 0]).tolist()
        if not groups:
            raise UsageError(
                f"The recipe makes a run '{run}' for each labeled group, and no image has a label. "
                "Give --labels, or the option of the reader that the recipe names."
            )
        return {f"{run}/{group}": self.config_of(run, group) for group in groups}

    def check(self) -> None:
        """Refuses what cannot be run before anything is trained.

        Raises:
            UsageError: If settings, options, budgets, arms or labels do not fit together.
        """
        configs = {run: self.config_of(run) for run in self.recipe.runs}
        for name, comparison in self.recipe.comparisons.items():
            odd = [arm for arm in comparison.arms if arm not in KINDS]
            if odd:
                raise UsageError(
                    f"The comparison '{name}' has the arm '{odd[0]}'; arms beside the runs are "
                    f"{', '.join(KINDS)}."
                )
            parse_budgets(comparison.budgets)
            chosen = choose(evaluations_of(comparison.evaluation), comparison.options)
            data = configs[self.recipe.runs_of(name)[0]].data
            images = merge({"data": data.model_dump()}, expand(comparison.options))
            domain, dataset, config = open_images("", self.recipe.domain, "", "", None, images)
            labeled = EvaluationData(dataset, split(dataset.index, config.holdout), domain)
            check_and_say([chosen[comparison.evaluation]], labeled)

    def save(self, out: Path) -> None:
        """Notes what was asked for in a new folder, and refuses a folder of something else.

        Raises:
            UsageError: If the folder holds a run, or was made with other settings.
            DataError: If its note is damaged.
        """
        file = out / _REQUEST
        now = {
            "recipe": self.name,
            "small": self.small,
            "settings": {
                run: self.config_of(run).model_dump(mode="json") for run in self.recipe.runs
            },
            "comparisons": self.recipe.model_dump(mode="json")["comparisons"],
        }
        if not file.is_file():
            refuse_other_work(out)
            write_atomic(file, (json.dumps(now, indent=1) + "\n").encode())
            return
        before = read_json(file)
        for key, value in now.items():
            if json.loads(json.dumps(value)) != before.get(key):
                raise UsageError(
                    f"'{out}' holds a recipe with other {key}. Repeat its command to go on, or "
                    "choose another --out."
                )


def run_recipe(request: Request, out: Path, draw: Draw, progress: Progress) -> dict[str, Any]:
    """Runs a recipe, or goes on with it; one process at a time works in the folder.

    Args:
        request: What was asked for.
        out: Folder with runs/, comparisons/, classifiers/ and recipe.json.
        draw: Writes a classifier and its pictures, unless they are there.
        progress: Shows what happens.

    Returns:
        The content of recipe.json; docs/recipes.md describes it.

    Raises:
        UsageError: If something does not fit together.
        RunError: If no pre-training has the weights that it starts from.
        KeyboardInterrupt: If it is interrupted; the message says how to go on.
    """
    with each_said_once():
        request.check()  # first: what does not fit together leaves no folder behind
        return _run(request, out, draw, progress)


def _run(request: Request, out: Path, draw: Draw, progress: Progress) -> dict[str, Any]:
    with exclusive(out):
        request.save(out)
        with measured(out / _USED):
            runs, missing = _pretrain(request, out, progress)
            if not runs:
                raise RunError(next(iter(missing.values())))
            compared = _compare(request, runs, out, progress)
            drawn = _draw(request, runs, out, draw, progress)
        values = _outcome(request, runs, missing, compared, drawn) | read_json(out / _USED)
        write_atomic(out / OUTCOME, (json.dumps(values, indent=1) + "\n").encode())
        return values


def _pretrain(
    request: Request, out: Path, progress: Progress
) -> tuple[dict[str, list[Run]], dict[str, str]]:
    """Returns the runs by their names, and why others have no weights to start from."""
    runs, missing = dict[str, list[Run]](), dict[str, str]()
    for name in request.recipe.runs:
        progress.say(f"Pre-training '{name}'")
        try:
            runs[name] = [
                _trained(request, config, out / "runs" / folder, progress)
                for folder, config in request.trainings(name).items()
            ]
        except Stopped:  # a RunError too
            raise KeyboardInterrupt(_go_on(out)) from None
        except RunError as error:
            config = request.config_of(name)
            if config.encoder.init != IMAGENET or (out / "runs" / name).exists():
                raise
            missing[name] = str(error)
            progress.warn(f"'{name}' is left out. {error}")
        finally:
            show_log(progress.say, progress.warn)
    return runs, missing


def _trained(request: Request, config: RunConfig, folder: Path, progress: Progress) -> Run:
    """Returns a run whose training has ended: it is read, continued or started."""
    with late_signals_stop():
        if not (folder / "config.toml").is_file():
            return start([config.model_dump()], folder, progress, request.command)[0]
        run = Run(folder)
        ended = (folder / "manifest.json").is_file() and run.has_ended
        return run if ended else go_on(folder, progress)[0]


def _compare(
    request: Request, runs: Mapping[str, list[Run]], out: Path, progress: Progress
) -> dict[str, dict[str, Any]]:
    """Computes the comparisons; returns the content of their compare.json by their names."""
    compared = {}
    for name, asked in request.recipe.comparisons.items():
        own = [str(out / "runs" / run) for run in request.recipe.runs_of(name) if run in runs]
        if not own:
            progress.warn(f"The comparison '{name}' is left out: none of its runs has weights.")
            continue
        progress.say(f"Comparison '{name}': {asked.about}")
        planned = plan(
            [*own, *asked.arms],
            evaluation=asked.evaluation,
            budgets=asked.budgets,
            seeds=asked.seeds,
            imagenet_weights=request.imagenet_weights if IMAGENET in asked.arms else "",
            controls=START not in asked.arms,
            settings=asked.options,
        )
        try:
            folder = out / _COMPARISONS / name
            compared[name] = compute(planned, folder, request.command, progress)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(_go_on(out)) from None
    return compared


def _draw(
    request: Request, runs: Mapping[str, list[Run]], out: Path, draw: Draw, progress: Progress
) -> dict[str, dict[str, str]]:
    """Makes the classifiers with Grad-CAM; returns folders by comparison and run."""
    drawn = dict[str, dict[str, str]]()
    for name, asked in request.recipe.comparisons.items():
        own = [run for run in request.recipe.runs_of(name) if run in runs] if asked.gradcam else []
        drawn[name] = {run: f"{_CLASSIFIERS}/{name}/{run}" for run in own}
        for run, folder in drawn[name].items():
            progress.say(f"Grad-CAM of '{name}', from '{run}'")
            try:
                draw(out / "runs" / run, asked, out / folder)
            except KeyboardInterrupt:
                raise KeyboardInterrupt(_go_on(out)) from None
    return drawn


def _go_on(out: Path) -> str:
    return f"Interrupted; what is done is in '{out}'. The same command goes on."


def _outcome(
    request: Request,
    runs: Mapping[str, list[Run]],
    missing: Mapping[str, str],
    compared: Mapping[str, Mapping[str, Any]],
    drawn: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """Returns the content of recipe.json, without time and memory."""
    about = {"recipe": request.name, "small": request.small, "command": request.command}
    values = {
        **outcome_of(request.recipe, runs, about),
        "missing": dict(missing),
        "comparisons": {
            name: {
                "about": request.recipe.comparisons[name].about,
                "folder": f"{_COMPARISONS}/{name}",
                "classifiers": dict(drawn[name]),
            }
            for name in compared
        },
    }
    checked = fill_in(request.recipe.checklist, values, list(compared.values()))
    return values | {"checklist": [asdict(each) for each in checked]}
