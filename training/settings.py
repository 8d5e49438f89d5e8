"""Settings of a run: defaults < objective < domain < --config < flags < --set."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from ..core.config import Config
from ..core.errors import UsageError
from ..data.opening import DataConfig, LocalPath


class Named(BaseModel):
    """A plugin's name and its own options, which the plugin's `Config` checks."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """The options beside the name."""
        return dict(self.model_extra or {})


def seconds(text: object) -> object:
    """Reads a duration: 90, "90s", "10m", "1h30m", "2d" (seconds, minutes, hours, days)."""
    if not isinstance(text, str) or not text:
        return text
    match = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", text.strip())
    if not match:
        raise ValueError("a duration looks like 90s, 10m or 1h30m")
    days, hours, minutes, rest = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest


Seconds = Annotated[float, BeforeValidator(seconds), Field(gt=0)]


class EncoderConfig(Config):
    """Which network, from which weights."""

    name: Annotated[str, Field(description="timm architecture, or family/architecture")] = (
        "resnet18"
    )
    init: Annotated[LocalPath, Field(description="scratch, imagenet, a run or a weights file")] = (
        "scratch"
    )
    image_size: Annotated[int, Field(ge=8, description="pixels, height and width of a view")] = 64


class OptimizerConfig(Config):
    """Optimizer and learning-rate schedule."""

    name: Literal["adamw", "sgd", "lars"] = "adamw"
    lr: Annotated[
        float, Field(gt=0, description="peak rate for a batch of 256; scaled linearly")
    ] = 2e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    momentum: Annotated[float, Field(ge=0, lt=1, description="of sgd and lars")] = 0.9
    warmup: Annotated[float, Field(ge=0, lt=1, description="share of the steps")] = 0.05
    final_lr: Annotated[
        float, Field(ge=0, le=1, description="last rate, as a share of the peak")
    ] = 0.0
    clip: Annotated[float, Field(ge=0, description="largest gradient norm; 0 is no limit")] = 0.0


class TrainConfig(Config):
    """The loop."""

    epochs: Annotated[
        int | None, Field(ge=1, description="100 if left out, or what fits into max_time")
    ] = None
    batch_size: Annotated[int, Field(ge=2, description="images a step, all processes together")] = (
        128
    )
    accumulate: Annotated[int, Field(ge=1, description="batches a step")] = 1
    max_time: Annotated[
        Seconds | None, Field(description="wall time, like 10m; ends the schedule in time")
    ] = None
    workers: Annotated[int, Field(ge=-1, description="loading processes; -1 chooses")] = -1
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    on_collapse: Literal["warn", "stop"] = "warn"
    checkpoint_every: Annotated[Seconds, Field(description="at most this often")] = 600.0


class RunConfig(Config):
    """Everything that decides a run; `config.toml` of the run folder is this, resolved."""

    domain: str
    seed: Annotated[int, Field(ge=0)] = 0
    objective: Named = Named(name="simclr")
    data: DataConfig = DataConfig()
    encoder: EncoderConfig = EncoderConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    train: TrainConfig = TrainConfig()

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
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"Cannot read the configuration '{path}': {error}.") from error


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
    return _nest(key.strip().split("."), value)


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Merges nested mappings; later layers win. A plugin's options go when its name changes."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            below = merged.get(key)
            if isinstance(value, str) and key == "objective":
                value = {"name": value}
            if isinstance(value, Mapping) and isinstance(below, Mapping):
                renamed = "name" in value and value["name"] != below.get("name")
                value = merge({} if renamed and key == "objective" else below, value)
            merged[key] = value
    return merged


_KEY_OF_FLAG = {
    "domain": ("domain",),
    "seed": ("seed",),
    "data": ("data", "path"),
    "labels": ("data", "labels"),
    "holdout": ("data", "holdout"),
    "pair_by": ("data", "pair_by"),
    "max_skip": ("data", "max_skip"),
    "objective": ("objective", "name"),
    "encoder": ("encoder", "name"),
    "init": ("encoder", "init"),
    "image_size": ("encoder", "image_size"),
    "epochs": ("train", "epochs"),
    "batch_size": ("train", "batch_size"),
    "workers": ("train", "workers"),
    "precision": ("train", "precision"),
    "max_time": ("train", "max_time"),
    "on_collapse": ("train", "on_collapse"),
}


def from_flags(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Turns the flags of `ssl-kit train` that were given into nested settings."""
    given = {name: value for name, value in flags.items() if value is not None}
    return merge(*(_nest(_KEY_OF_FLAG[name], value) for name, value in given.items()))


def _nest(keys: Iterable[str], value: Any) -> dict[str, Any]:
    for key in reversed(list(keys)):
        value = {key: value}
    return dict(value)
