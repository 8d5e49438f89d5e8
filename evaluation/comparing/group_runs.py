"""A folder with a run for each group, which counts as one arm within groups."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ...core.errors import UsageError
from ...training.resume import warn_of_unfinished
from ...training.run import SEARCH, Run
from ..pretrained import Pretrained, from_run
from ..records import pretraining_of


def runs_of_groups(folder: Path) -> tuple[Run, ...]:
    """Returns the runs in a folder, each pre-trained on one group; none if it is no such folder.

    Raises:
        UsageError: If one was pre-trained on several groups, or two on the same.
        RunError: If one has no encoder yet.
    """
    if (folder / "config.toml").is_file() or (folder / SEARCH).is_file():
        return ()
    runs = tuple(Run(file.parent) for file in sorted(folder.glob("*/config.toml")))
    groups = set[str]()
    for run in runs:
        run.require_encoder()
        warn_of_unfinished(run)
        own = run.read_json("manifest.json")["groups"]
        if len(own) != 1 or groups.intersection(own):
            raise UsageError(
                f"'{folder}' is no run, and its folders are not runs of one group each: "
                f"'{run.folder.name}' was pre-trained on {len(own)} groups, or on one that another "
                "run has. Give the folder of a run, or set data.groups of each."
            )
        groups.update(own)
    return runs


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


def pretraining_of_all(runs: Iterable[Run]) -> dict[str, float]:
    """Returns the seconds of all runs together, and the mean number of their epochs.

    Of a single run they are those of `pretraining_of`.
    """
    each = [facts for facts in map(pretraining_of, runs) if facts]
    if len(each) < 2:
        return each[0] if each else {}
    epochs = sum(facts["epochs"] for facts in each) / len(each)
    return {"seconds": sum(facts["seconds"] for facts in each), "epochs": epochs}
