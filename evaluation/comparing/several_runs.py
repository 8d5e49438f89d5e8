"""A folder with several runs that count as one arm: one for each group, or one for each seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...core.errors import UsageError
from ...training.layers import flatten
from ...training.resume import warn_of_unfinished
from ...training.run import SEARCH, Run
from ..pretrained import Pretrained, from_run
from ..records import pretraining_of

_MAY_DIFFER = ("seed", "data.path", "data.labels", "train.workers", "train.checkpoint_every")


def runs_in(folder: Path) -> tuple[Run, ...]:
    """Returns the runs in a folder, sorted by name; none if the folder is itself a run or a search.

    Raises:
        RunError: If one has no encoder yet.
    """
    if (folder / "config.toml").is_file() or (folder / SEARCH).is_file():
        return ()
    runs = tuple(Run(file.parent) for file in sorted(folder.glob("*/config.toml")))
    for run in runs:
        run.require_encoder()
        warn_of_unfinished(run)
    return runs


def are_of_seeds(folder: Path, runs: Sequence[Run]) -> bool:
    """Tells whether runs differ in nothing but their seed; else each is of a group of its own.

    Args:
        folder: They are in it.
        runs: At least one.

    Raises:
        UsageError: If they are neither, or two have the same seed or group.
    """
    groups = [tuple(run.read_json("manifest.json")["groups"]) for run in runs]
    if len(set(groups)) == len(runs) and all(len(own) == 1 for own in groups):
        return False
    if len(runs) == 1:
        raise UsageError(f"'{folder}' is no run, but has one. Give '{runs[0].folder}'.")
    different = _different(runs)
    if different:
        raise UsageError(
            f"'{folder}' is no run, and its folders are neither runs of one group each nor runs "
            f"that differ in nothing but their seed: {', '.join(different[:5])} differ. Give the "
            "folder of a run, set data.groups of each, or repeat one run with --set seed=1, "
            "--set seed=2 and so on."
        )
    seeds = [run.config.seed for run in runs]
    if len(set(seeds)) < len(seeds):
        twice = next(seed for seed in seeds if seeds.count(seed) > 1)
        raise UsageError(f"Two runs in '{folder}' have the seed {twice}. Leave one of them out.")
    return True


def _different(runs: Iterable[Run]) -> list[str]:
    """Returns the settings that are not the same in all runs, and "the images" if these are not."""
    first, *others = (_facts(run) for run in runs)
    keys = {key for facts in (first, *others) for key in facts}
    return sorted(key for key in keys if any(o.get(key) != first.get(key) for o in others))


def _facts(run: Run) -> dict[str, Any]:
    settings = flatten(run.config.model_dump(mode="json"))
    facts = {key: value for key, value in settings.items() if key not in _MAY_DIFFER}
    return facts | {"the images": run.read_json("manifest.json")["data"]["fingerprint"]}


def from_runs(runs: Iterable[Run], image_size: int) -> Pretrained:
    """Loads the encoders of runs of one group each.

    Args:
        runs: At least one.
        image_size: Pixels.
    """
    encoders = {
        run.read_json("manifest.json")["groups"][0]: replace(from_run(run), image_size=image_size)
        for run in runs
    }
    first = next(iter(encoders.values()))
    loaded = f"{len(encoders)} runs, each pre-trained on one group; of the first: {first.loaded}"
    return replace(first, by_group=encoders, loaded=loaded)


def pretraining_of_all(runs: Iterable[Run], alike: bool = False) -> dict[str, float]:
    """Returns the seconds of all runs together, and the mean number of their epochs.

    Of a single run they are those of `pretraining_of`.

    Args:
        runs: The runs of an arm.
        alike: Whether each is the whole training, so that the mean of their seconds is meant.
    """
    each = [facts for facts in map(pretraining_of, runs) if facts]
    if len(each) < 2:
        return each[0] if each else {}
    epochs = sum(facts["epochs"] for facts in each) / len(each)
    seconds = sum(facts["seconds"] for facts in each)
    return {"seconds": seconds / len(each) if alike else seconds, "epochs": epochs}
