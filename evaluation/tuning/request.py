"""What a search is asked for: checked before anything is trained, and kept for a resume."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...core.atomic import write_atomic
from ...core.dataset import Dataset
from ...core.discovery import domains, objectives
from ...core.domain import Domain
from ...core.encoder import Encoder
from ...core.errors import DataError, UsageError
from ...core.objective import Objective
from ...data.opening import open_dataset
from ...data.splits import Splits, split
from ...nn.checkpoints import options_beside
from ...nn.weights import create_encoder
from ...training.engine import process_count
from ...training.settings import RunConfig, merge, seconds
from ...training.setup import resolve
from .space import OBJECTIVE, POLICY, SIZE, START

SETTINGS = "settings.json"
_COMMON = ("simclr", "byol", "vicreg", "descriptors", "mae")
_LARGER = (1.5, 2.0)  # image sizes beside the default, as multiples of it
_LOOKED_AT = 8  # images whose size is looked at
_SETTLED = ("epochs", "max_time", "on_collapse", "checkpoint_every")


@dataclass(frozen=True)
class Request:
    """A search that was asked for.

    Attributes:
        asked: Nested settings that every candidate has.
        objectives: Names to choose from; empty for those that suit domain and encoder.
        scratch: Whether random weights are tried beside the initial weights.
        budget: Seconds of everything.
        trust: Whether a label-free measure may choose a candidate in place of the default.
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
        budget: str | float = "1h",
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
        names = objectives.split(",") if isinstance(objectives, str) else objectives
        asked = merge(*layers)
        settled = [key for key in _SETTLED if key in asked.get("train", {})]
        if settled:
            raise UsageError(
                f"The search sets train.{settled[0]} itself, from --budget. Leave it out."
            )
        config = resolve(asked)
        paths = {"path": config.data.path, "labels": config.data.labels}
        absolute = {"data": {k: v for k, v in paths.items() if v}}
        if value := asked.get("encoder", {}).get("init"):
            absolute["encoder"] = {"init": config.encoder.init or value}
        chosen = tuple(name.strip() for name in names if name.strip())
        return cls(merge(asked, absolute), chosen, scratch, _duration(budget), trust, command)

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
            UsageError: If the folder holds another search, or a run.
        """
        now = json.loads(json.dumps(self._facts()))
        if not (out / SETTINGS).is_file():
            if (out / "config.toml").exists():
                raise UsageError(f"'{out}' holds a run. Choose another --out.")
            write_atomic(out / SETTINGS, (json.dumps(now, indent=1) + "\n").encode())
            return
        before = Request.load(out)._facts()
        for key in now:
            if key != "command" and now[key] != json.loads(json.dumps(before[key])):
                raise UsageError(
                    f"'{out}' holds a search with other settings ({key}). Go on with 'ssl-kit tune "
                    f"--resume {out}', or choose another --out."
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
        file = out / SETTINGS
        if not file.is_file():
            raise UsageError(f"'{out}' holds no search: it has no {SETTINGS}.")
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
            return cls(**{**values, "objectives": tuple(values["objectives"])})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DataError(f"Cannot read '{file}': {error}. Choose another --out.") from error


def refuse_beside_resume(given: Mapping[str, Any]) -> None:
    """Refuses settings beside --resume, which has those of the search.

    Args:
        given: Values by the name of the flag; None is not given.

    Raises:
        UsageError: If one is given.
    """
    stray = next((name for name, value in given.items() if value is not None), "")
    if stray:
        flag = f"--{stray.replace('_', '-')}"
        raise UsageError(f"--resume goes on with the settings of the search; leave out {flag}.")


def _duration(budget: str | float) -> float:
    try:
        value = seconds(budget)
        if isinstance(value, int | float) and value > 0:
            return float(value)
    except ValueError:
        pass
    raise UsageError(f"--budget is a duration such as 90s, 10m or 2h, not '{budget}'.")


@dataclass(frozen=True)
class Images:
    """The images of a search.

    Attributes:
        domain: Their domain.
        dataset: All images.
        splits: The three parts.
        reason: Why validation labels do not allow to judge candidates; "" if they do.
    """

    domain: Domain
    dataset: Dataset
    splits: Splits
    reason: str

    @property
    def labeled(self) -> bool:
        """Whether validation labels allow to judge candidates."""
        return not self.reason

    @property
    def pool(self) -> Any:
        """Positions of the images that candidates are pre-trained on, sorted."""
        return np.sort(self.splits.train)


def open_images_of(config: RunConfig) -> Images:
    """Opens the images, and tells whether candidates can be judged by labels.

    Raises:
        UsageError: If several processes ask for it.
        DataError: If the images cannot be read.
    """
    if process_count() > 1:
        raise UsageError("The search runs in one process. Start it without torchrun.")
    domain: Domain = domains[config.domain]
    dataset = open_dataset(domain, config.data)
    splits = split(dataset.index, config.data.holdout)
    return Images(domain, dataset, splits, _why_no_labels(dataset, splits))


def _why_no_labels(dataset: Dataset, splits: Splits) -> str:
    labels = dataset.index.labels
    train, val = labels[splits.train], labels[splits.val]
    if not (labels >= 0).any():
        kind = "no labels" if dataset.index.targets is None else "labels that are no classes"
        return f"The images have {kind}"
    if len(np.unique(train[train >= 0])) < 2 or not (val >= 0).any():
        return "The labels are too few for a training part of two classes and a validation part"
    return ""


def choices(request: Request, images: Images, most: int) -> dict[str, tuple[Any, ...]]:
    """Returns what is searched where it depends on domain, encoder and images, by key.

    Args:
        request: What was asked for.
        images: The images.
        most: Number of objectives at most, where none were named.
    """
    default = request.default
    policies = [p for p in images.domain.policies if p not in ("default", "upright", "eval")]
    starts = (default.encoder.init, "scratch") if request.scratch else (default.encoder.init,)
    return {
        OBJECTIVE: _objectives(request, images, most),
        START: tuple(dict.fromkeys(starts)),
        POLICY: ("default", *dict.fromkeys(["weak", *policies])),
        SIZE: _sizes(default.encoder.image_size, images.dataset),
    }


def _objectives(request: Request, images: Images, most: int) -> tuple[str, ...]:
    """Returns the default's first, then those that were named, or that suit the encoder."""
    default, named = request.default, request.objectives
    if "objective" in request.asked:
        return (default.objective.name,)
    if named:
        for name in named:
            _ = objectives[name]  # refuses an unknown one
        return tuple(dict.fromkeys((default.objective.name, *named)))
    encoder = encoder_of(default, images.dataset)
    others = [name for name in (*_COMMON, *images.domain.objectives) if _suits(name, encoder)]
    return tuple(dict.fromkeys((default.objective.name, *others)))[:most]


def _suits(name: str, encoder: Encoder) -> bool:
    if name not in objectives:
        return False
    kind: type[Objective] = objectives[name]
    required = any(field.is_required() for field in kind.Config.model_fields.values())
    return kind.needs <= encoder.provides and not required


def encoder_of(config: RunConfig, dataset: Dataset) -> Encoder:
    """Returns the encoder of a configuration with random weights."""
    name, init = config.encoder.name, config.encoder.init
    arguments = options_beside(init, name) | config.encoder.arguments
    return create_encoder(name, len(dataset.channels), config.encoder.image_size, **arguments)


def _sizes(size: int, dataset: Dataset) -> tuple[int, ...]:
    """Returns the default image size, and larger ones that the images have the pixels for."""
    sides = []
    for i in np.linspace(0, len(dataset) - 1, _LOOKED_AT).astype(int).tolist():
        try:
            sides.append(max(dataset[i].image.shape[:2]))
        except DataError:
            continue
    largest = float(np.median(sides)) if sides else size
    larger = [round(size * factor / 16) * 16 for factor in _LARGER]
    return tuple(dict.fromkeys((size, *(p for p in larger if size < p <= largest))))
