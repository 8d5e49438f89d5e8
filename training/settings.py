"""Settings of a run: defaults < objective < domain < --config < flags < --set."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from ..core.config import Config
from ..core.errors import UsageError, did_you_mean
from ..data.named import InitialWeights
from ..data.opening import DataConfig
from ..data.view_settings import ViewsConfig
from .durations import Epochs, Seconds
from .flags import FLAGS


class Named(BaseModel):
    """A plugin's name and its own options, which the plugin's `Config` checks."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: Annotated[str, Field(description="name of the plugin")]

    @property
    def options(self) -> dict[str, Any]:
        """The options beside the name."""
        return dict(self.model_extra or {})


class EncoderConfig(Config):
    """Which network, from which weights."""

    name: Annotated[
        str, Field(description="architecture of the encoder: a name of timm, or family/name")
    ] = "resnet18"
    init: Annotated[
        InitialWeights,
        Field(description="initial weights: scratch, imagenet, a run folder or a weights file"),
    ] = "scratch"
    image_size: Annotated[
        int, Field(ge=8, description="height and width of images and views in pixels")
    ] = 64
    arguments: dict[str, Any] = Field(
        default={}, description="arguments of the architecture, such as init_values=1e-5"
    )
    frozen_layers: Annotated[
        int,
        Field(
            ge=0,
            description="number of first layers that are not trained, their batch-norm statistics "
            "included",
        ),
    ] = 0
    frozen_statistics: Annotated[
        bool,
        Field(
            description="statistics of batch normalization stay those of the initial weights, in "
            "training as well"
        ),
    ] = False


class OptimizerConfig(Config):
    """Optimizer and learning-rate schedule."""

    name: Annotated[
        Literal["adamw", "sgd", "lars"], Field(description="name of the optimizer algorithm")
    ] = "adamw"
    lr: Annotated[
        float,
        Field(
            gt=0,
            description="peak learning rate for 256 images per step; it is scaled with "
            "batch_size times accumulate",
        ),
    ] = 2e-3
    scaling: Annotated[
        Literal["linear", "sqrt", "none"],
        Field(description="growth of the learning rate with the number of images per step"),
    ] = "linear"
    layer_decay: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="factor on the learning rate from each layer of the encoder to the one "
            "before it; 1 is off",
        ),
    ] = 1.0
    anchor: Annotated[
        float,
        Field(
            ge=0,
            description="strength of the pull of the encoder's weights to their start, times the "
            "learning rate; 0 is off (alpha of L2-SP)",
        ),
    ] = 0.0
    weight_decay: Annotated[
        float, Field(ge=0, description="weight decay of the optimizer, 0 or more")
    ] = 0.05
    weight_decay_end: Annotated[
        float | None,
        Field(ge=0, description="weight decay at the end, by a half cosine; constant if not set"),
    ] = None
    momentum: Annotated[
        float, Field(ge=0, lt=1, description="momentum of sgd and lars, from 0 to 1")
    ] = 0.9
    warmup: Annotated[
        float, Field(ge=0, lt=1, description="share of the steps that warm up, from 0 to 1")
    ] = 0.05
    final_lr: Annotated[
        float,
        Field(ge=0, le=1, description="learning rate at the end as a share of its peak, 0 to 1"),
    ] = 0.0
    clip: Annotated[
        float, Field(ge=0, description="largest norm of the gradients; 0 sets no limit")
    ] = 0.0


class TrainConfig(Config):
    """The loop."""

    epochs: Annotated[
        Epochs | None,
        Field(description="number of epochs, also 0.5; 100, or what max_time allows, if not set"),
    ] = None
    batch_size: Annotated[
        int, Field(ge=2, description="number of images per batch, in all processes together")
    ] = 128
    accumulate: Annotated[
        int, Field(ge=1, description="number of batches whose gradients make one optimizer step")
    ] = 1
    max_time: Annotated[
        Seconds | None,
        Field(description="wall time of the training, such as 10m or 1h30m; the schedule fits it"),
    ] = None
    workers: Annotated[
        int, Field(ge=-1, description="number of processes that load images; -1 chooses it")
    ] = -1
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        Field(description="number format of the forward pass; auto chooses by the device"),
    ] = "auto"
    on_collapse: Annotated[
        Literal["warn", "stop"], Field(description="action of the collapse watch on a collapse")
    ] = "warn"
    keep: Annotated[
        Literal["best", "last"],
        Field(
            description="encoder that a run from weights hands back: the best by a probe of the "
            "labels, or the last"
        ),
    ] = "best"
    checkpoint_every: Annotated[
        Seconds, Field(description="minimum time between two checkpoints, such as 10m")
    ] = 600.0


class RunConfig(Config):
    """Everything that decides a run; `config.toml` of the run folder is this, resolved."""

    domain: Annotated[str, Field(description="domain of the images; see 'ssl-kit domains'")]
    seed: Annotated[int, Field(ge=0, lt=4294967296, description="seed of all random numbers")] = 0
    objective: Annotated[
        Named, Field(description="self-supervised objective; see 'ssl-kit objectives'")
    ] = Named(name="simclr")
    data: Annotated[DataConfig, Field(description="settings of the images")] = DataConfig()
    encoder: Annotated[EncoderConfig, Field(description="settings of the encoder")] = (
        EncoderConfig()
    )
    views: Annotated[ViewsConfig, Field(description="settings of the augmented views")] = (
        ViewsConfig()
    )
    optimizer: Annotated[OptimizerConfig, Field(description="settings of the optimizer")] = (
        OptimizerConfig()
    )
    train: Annotated[TrainConfig, Field(description="settings of the training loop")] = (
        TrainConfig()
    )

    @model_validator(mode="before")
    @classmethod
    def _bare_objective(cls, values: Any) -> Any:
        """Lets `objective = "byol"` stand for a table with only a name."""
        if isinstance(values, dict) and isinstance(values.get("objective"), str):
            values = {**values, "objective": {"name": values["objective"]}}
        return values

    def to_toml(self) -> str:
        """Returns the text of `config.toml`."""
        import tomli_w

        return tomli_w.dumps(self.model_dump(exclude_none=True))


def read_toml(path: Path) -> dict[str, Any]:
    """Reads a TOML file.

    Raises:
        UsageError: If it does not exist or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # editors write a mark
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"Cannot read the configuration '{path}': {reason}.") from error


def parse_set(assignment: str) -> dict[str, Any]:
    """Turns "objective.temperature=0.2" into {"objective": {"temperature": 0.2}}.

    Raises:
        UsageError: If there is no key or no "=".
    """
    key, equals, text = assignment.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set takes key=value, not '{assignment}'.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    return nest(key.strip().split("."), value)


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Merges nested mappings; later layers win. A plugin's options go when its name changes."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            below = merged.get(key)
            if isinstance(value, str) and key == "objective":
                value = {"name": value}
            if isinstance(value, Mapping) and key in merged and not isinstance(below, Mapping):
                raise UsageError(f"'{key}' has settings of its own; it cannot be {below!r}.")
            if isinstance(value, Mapping) and isinstance(below, Mapping):
                renamed = "name" in value and value["name"] != below.get("name")
                value = merge({} if renamed and key == "objective" else below, value)
            merged[key] = value
    return merged


def lead_of_objective(name: str, domain: str, asked: Mapping[str, Any]) -> str:
    """Returns words before the options of an objective, which says if it is a domain's default."""
    named = "name" in merge(asked).get("objective", {})
    return f"The objective {name}{'' if named else f' (default of domain {domain})'} has"


def expand(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Turns {"objective.temperature": 0.2} into nested settings; None into none."""
    return merge(*(nest(key.split("."), value) for key, value in (settings or {}).items()))


def refuse_strays(settings: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuses options of an evaluation that is not asked for.

    Args:
        settings: Options by the name of their evaluation.
        names: Of the evaluations that are asked for.

    Raises:
        UsageError: At the first that is not.
    """
    stray = sorted(set(settings) - set(names))
    if stray:
        raise UsageError(
            f"'{stray[0]}' is not among the evaluations asked for. "
            f"{did_you_mean(stray[0], names)} An option is set like "
            f"{names[0]}.NAME=VALUE; see 'ssl-kit evaluations {names[0]}'."
        )


def nest(keys: Iterable[str], value: Any) -> dict[str, Any]:
    """Returns {"a": {"b": value}} for the keys "a", "b"."""
    for key in reversed(list(keys)):
        value = {key: value}
    return dict(value)


def from_flags(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Turns the flags that were given into nested settings; None was not given.

    Args:
        flags: By their names in `FLAGS`. A path, or a run, counts as its text.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    return merge(*(nest(FLAGS[name], _plain(value)) for name, value in given.items()))


def _plain(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value
