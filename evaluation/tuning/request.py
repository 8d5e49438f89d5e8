"""What a search is asked for: checked before anything is trained, and kept for a resume."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.atomic import write_atomic
from ...core.discovery import objectives
from ...core.errors import DataError, UnknownNameError, UsageError
from ...training.durations import seconds
from ...training.layers import flatten, merge
from ...training.other_work import refuse_other_work
from ...training.run import SEARCH
from ...training.settings import RunConfig
from ...training.setup import resolve

BUDGET = "1h"
BESIDE = ("budget", "objectives", "scratch", "trust_label_free", "out", "config", "set")
"""Arguments of `ssl_kit.tune` that are no settings of a run and are fixed with the search."""

_NOT_GIVEN = (None, "", (), False, BUDGET)
_SETTLED = ("epochs", "max_time", "on_collapse", "checkpoint_every")


@dataclass(frozen=True)
class Request:
    """A search that was asked for.

    Attributes:
        asked: Nested settings that every candidate has.
        objectives: Names to choose from; empty for those that suit domain and encoder.
        scratch: Whether random weights are tried beside the initial weights.
        budget: Seconds of everything.
        trust: Whether all settings are searched without labels, not the objective alone.
        command: What was asked for, for the record.
    """

    asked: Mapping[str, Any]
    objectives: tuple[str, ...]
    scratch: bool
    budget: float
    trust: bool
    command: str = ""

    @classmethod
    def of(
        cls,
        layers: Sequence[Mapping[str, Any]],
        objectives: str | Sequence[str] = (),
        budget: str | float = BUDGET,
        scratch: bool = False,
        trust: bool = False,
        command: str = "",
    ) -> Request:
        """Checks what was asked for.

        Args:
            layers: Nested settings, later ones win.
            objectives: Names, or a text with commas.
            budget: Seconds, or a text such as "2h".
            scratch: See the attributes.
            trust: See the attributes.
            command: See the attributes.

        Raises:
            UsageError: At the first wrong name, key or value.
        """
        asked = merge(*layers)
        names = _named(objectives, "objective" in asked)
        config = resolve(asked)
        settled = [key for key in _SETTLED if key in asked.get("train", {})]
        if settled:
            raise UsageError(
                f"The search sets train.{settled[0]} itself, from --budget. Leave it out."
            )
        paths = config.data.model_dump(include={"path", "labels", "options"})
        absolute = {"data": {k: v for k, v in paths.items() if v}}
        if value := asked.get("encoder", {}).get("init"):
            absolute["encoder"] = {"init": config.encoder.init or value}
        return cls(merge(asked, absolute), names, scratch, _duration(budget), trust, command)

    def new_folder(self) -> Path:
        """Returns the folder of a search where none is named."""
        return Path("runs") / f"tune-{self.default.domain}-{time.strftime('%Y%m%d-%H%M%S')}"

    @property
    def default(self) -> RunConfig:
        """The configuration that `train` has with the same settings."""
        return resolve(self.asked)

    def save(self, out: Path) -> None:
        """Notes the request in a new folder, and refuses a folder of another one.

        Raises:
            UsageError: If the folder holds another search, or something else.
        """
        now = json.loads(json.dumps(self._facts()))
        if not (out / SEARCH).is_file():
            refuse_other_work(out, data=self.default.data.path)
            write_atomic(out / SEARCH, (json.dumps(now, indent=1) + "\n").encode())
            return
        refuse_other_work(out, ("config.toml", "plan.json", "tune.json"))
        before = json.loads(json.dumps(Request.load(out)._facts()))
        for key in now:
            if key != "command" and now[key] != before[key]:
                name = _different(now[key], before[key]) if key == "asked" else key
                raise UsageError(
                    f"'{out}' holds a search with other settings ({name}). Go on with 'ssl-kit "
                    f"tune --resume {out}', or choose another --out."
                )

    def _facts(self) -> dict[str, Any]:
        return {
            "asked": self.asked,
            "objectives": list(self.objectives),
            "scratch": self.scratch,
            "budget": self.budget,
            "trust": self.trust,
            "command": self.command,
        }

    @classmethod
    def load(cls, out: Path) -> Request:
        """Reads the request of a search that was begun.

        Raises:
            UsageError: If the folder holds none.
            DataError: If its file is damaged.
        """
        file = out / SEARCH
        if not file.is_file():
            raise UsageError(f"'{out}' holds no search: it has no {SEARCH}.")
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
            return cls(**{**values, "objectives": tuple(values["objectives"])})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DataError(f"Cannot read '{file}': {error}. Choose another --out.") from error


def _named(names: str | Sequence[str], fixed: bool) -> tuple[str, ...]:
    """Reads the names of objectives.

    Args:
        names: Names, or a text with commas.
        fixed: Whether the settings fix the objective.
    """
    parts = names.split(",") if isinstance(names, str) else names
    chosen = tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))
    for name in chosen:
        if name not in objectives:
            raise UnknownNameError("objective", name, objectives)
    if chosen and fixed:
        raise UsageError(
            "--objectives chooses among objectives, and a setting of 'objective' fixes one. Leave "
            "one of them out."
        )
    return chosen


def _different(asked: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    """Returns the first setting, as it is set, in which two nested settings differ."""
    new, old = flatten(asked), flatten(before)
    return next((key for key in sorted({*new, *old}) if new.get(key) != old.get(key)), "settings")


def refuse_beside_resume(given: Mapping[str, Any]) -> None:
    """Refuses settings beside --resume, which has those of the search.

    Args:
        given: Values by the name of the flag; one that has its default is not given.

    Raises:
        UsageError: If one is given.
    """
    stray = next((name for name, value in given.items() if not _is_default(value)), "")
    if stray:
        flag = f"--{stray.replace('_', '-')}"
        raise UsageError(f"--resume goes on with the settings of the search; leave out {flag}.")


def _is_default(value: Any) -> bool:
    return any(type(value) is type(each) and value == each for each in _NOT_GIVEN)  # 0 is not False


def _duration(budget: str | float) -> float:
    try:
        value = seconds(budget)
        if isinstance(value, int | float) and value > 0:
            return float(value)
    except ValueError:
        pass
    raise UsageError(f"--budget is a duration such as 90s, 10m or 2h, not '{budget}'.")
