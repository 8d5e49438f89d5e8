"""The options of fine-tuning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from .grades import GradesConfig


class FineTuningConfig(GradesConfig):
    """Options of fine-tuning."""

    freeze: Annotated[
        str,
        Field(
            pattern=r"^(all|none|head-then-all|quartile|last:[1-9][0-9]*)$",
            description="frozen layers: all (only the head is trained), none, head-then-all "
            "(linear probing, then fine-tuning), last:N (all but the last N layers), quartile (all "
            "but the last quarter of the layers)",
        ),
    ] = "none"
    layer_decay: Annotated[
        float,
        Field(gt=0, le=1, description="learning rate of a layer as a share of the next layer's"),
    ] = 1.0
    epochs: Annotated[
        int | None,
        Field(
            ge=1,
            description="number of epochs; by default as many as `images` asks for, 10 to 100 for "
            "8,000 images and in proportion for others",
        ),
    ] = None
    images: Annotated[
        int,
        Field(
            ge=1,
            description="number of images that all epochs together train on; four times as many "
            "for the arm scratch of a comparison",
        ),
    ] = 8_000
    lr: Annotated[
        float,
        Field(gt=0, description="peak learning rate for a batch of 256 images; scaled linearly"),
    ] = 4e-3
    weight_decay: Annotated[float, Field(ge=0, description="weight decay of AdamW")] = 0.05
    batch_size: Annotated[int, Field(ge=2, description="number of images in a batch")] = 64
    image_sizes: Annotated[
        tuple[Annotated[int, Field(ge=8)], ...],
        Field(
            description="sizes in pixels of the views that each step trains on together; by "
            "default the encoder's image size"
        ),
    ] = ()
    policy: Annotated[
        str, Field(description="augmentation policy of the domain for training images")
    ] = "weak"
    balance: Annotated[
        Literal["none", "sampler", "weights", "effective", "logits", "focal"],
        Field(
            description="method against class imbalance: sampler, class weights by frequency or by "
            "the effective number of images, logit adjustment or focal loss"
        ),
    ] = "none"
    balance_beta: Annotated[
        float,
        Field(ge=0, lt=1, description="parameter of balance=effective, from 0 (off) to 1 (beta)"),
    ] = 0.999
    precision: Annotated[
        Literal["auto", "fp32", "bf16"], Field(description="number format of the forward pass")
    ] = "auto"
    seed: Annotated[
        int, Field(ge=0, description="random seed of the image order and the augmentations")
    ] = 0

    def idle(self) -> Iterator[str]:
        """Yields a sentence on options that were set and change nothing beside others, if any."""
        if self.freeze == "all":
            reason = "freeze=all trains the head alone, on features that are computed once"
            yield from self.unused(("image_sizes", "policy", "layer_decay"), reason)
        if self.epochs is not None:
            yield from self.unused(("images",), f"epochs={self.epochs} sets the length")
        if self.balance != "effective":
            yield from self.unused(("balance_beta",), f"balance={self.balance} has no beta")
