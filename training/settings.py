"""Settings of a run: defaults < objective < domain < --config < flags < --set."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from ..core.config import Config
from ..data.named import InitialWeights
from ..data.opening import DataConfig
from ..data.view_settings import ViewsConfig
from .durations import Epochs, Seconds


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
        Field(
            description="wall time of the training, such as 10m or 1h30m; the schedule fits it, "
            "and reading the images before it does not count"
        ),
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
