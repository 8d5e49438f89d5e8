"""What all formats share: the facts beside the weights, and images to compare features on."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import torch
from timm.layers.cond_conv2d import CondConv2d
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.pool2d_same import AvgPool2dSame, MaxPool2dSame
from timm.layers.std_conv import ScaledStdConv2dSame, StdConv2dSame
from torch import Tensor, nn

from ...core.atomic import write_atomic
from ...core.discovery import domains
from ...core.domain import Policy
from ...core.encoder import Encoder
from ...core.errors import RunError, UsageError
from ...evaluation.pretrained import Pretrained, from_run
from ...evaluation.tuned import TunedRun, load_classifier
from ...training.json_values import without_nan
from ...training.locks import LOCK, exclusive
from ...training.resume import warn_of_unfinished
from ...training.run import Run

PREPARATION = (
    "For each channel, with (low, high) its value_range: x = (value - low) / (high - low), cut to "
    "[0, 1], NaN as 0, complex values by magnitude. {view} Then (x - mean) / std. "
    "float32 (B, C, H, W)."
)
_RESIZE = (
    "Resize so that the shorter side has image_size pixels, by the mean over the area of a pixel "
    "(INTER_AREA of OpenCV, BOX of Pillow) if the image becomes smaller, else bilinearly, and take "
    "the center crop of image_size x image_size pixels."
)

Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Source:
    """What is exported: the encoder of a run, or a fine-tuned classifier.

    Attributes:
        run: Folder of either.
        model: The encoder with its preprocessing.
        network: What maps images to features, or to logits.
        classes: Names of the classes of a classifier; empty for an encoder.
        say: Tells what is being done.
    """

    run: Run
    model: Pretrained
    network: nn.Module
    classes: tuple[str, ...] = ()
    say: Say = lambda text: None

    @classmethod
    def of(cls, run: Run, say: Say = lambda text: None) -> Source:
        """Loads the encoder of a run, or a classifier."""
        if isinstance(run, TunedRun):
            return cls(run, *load_classifier(run), run.classes, say)
        warn_of_unfinished(run)
        model = from_run(run)
        return cls(run, model, model.encoder.eval(), (), say)

    @property
    def encoder(self) -> Encoder:
        """The encoder."""
        return self.model.encoder

    @property
    def output(self) -> str:
        """What the network gives: "features" or "logits"."""
        return "logits" if self.classes else "features"

    @property
    def facts(self) -> dict[str, Any]:
        """Content of encoder.json, with a sentence on how to prepare an image."""
        facts = self.run.read_json("encoder.json")
        policy = domains[facts["domain"]].policies.get("eval")
        view = _sentence(policy, facts["domain"]) if policy else _RESIZE
        arguments = self.encoder.arguments  # an earlier version may have recorded too few
        facts |= {"arguments": arguments, "options": self.encoder.options}
        return {**facts, "preparation": PREPARATION.format(view=view)}

    @property
    def weights(self) -> bytes:
        """Content of the file of weights."""
        return self.run.encoder.read_bytes()


@dataclass(frozen=True)
class Loaded:
    """An exported network, read again from its files as another program would.

    Attributes:
        outputs: Maps images (B, C, H, W) to pooled features (B, D), or to logits (B, K).
        maps: Maps images to the last feature maps of the pyramid, where the format is about them.
        any_size: Whether it takes images of other sizes than the encoder's own.
    """

    outputs: Callable[[Tensor], Tensor]
    maps: Callable[[Tensor], Sequence[Tensor]] | None = None
    any_size: bool = False


Writer = Callable[[Source, Path], Loaded]


def _sentence(policy: Policy, domain: str) -> str:
    """Returns what a policy "eval" does: the first line of its docstring if it has one."""
    text = "" if isinstance(policy, partial) else (policy.__doc__ or "").strip()
    return text.partition("\n")[0] or f"Apply the policy 'eval' of the domain '{domain}'."


@contextmanager
def new_folder(folder: Path) -> Iterator[None]:
    """Keeps a new or empty folder for this process while it is filled.

    Raises:
        UsageError: If the folder has something in it.
        RunError: If another process fills it, or it cannot be written.
    """
    made = not folder.exists()
    full = UsageError(f"'{folder}' is not empty. Choose another --out.")
    if not made and not folder.is_dir():
        raise full
    try:
        with exclusive(folder):
            if any(not file.name.startswith(LOCK) for file in folder.iterdir()):
                raise full
            yield
    finally:
        with suppress(OSError):  # it has something in it
            if made:
                folder.rmdir()


def timm_config(facts: Mapping[str, Any], encoder: Encoder) -> dict[str, Any]:
    """Returns config.json of a folder that timm loads, with the whole preprocessing.

    Args:
        facts: Content of encoder.json.
        encoder: The encoder, whose arguments build the network.
    """
    classes, size = facts.get("classes", []), facts["image_size"]
    return {
        "architecture": facts["architecture"],
        "num_classes": len(classes),
        "num_features": encoder.num_features,
        "model_args": {**encoder.arguments, "num_classes": len(classes)},
        "pretrained_cfg": {
            "input_size": [len(facts["channels"]), size, size],
            "interpolation": "box",  # Pillow's mean over areas, as in the "eval" view
            "crop_pct": 1.0,
            "crop_mode": "center",
            "mean": facts["mean"],
            "std": facts["std"],
            "num_classes": len(classes),
        },
        **({"label_names": classes} if classes else {}),
        **{key: facts[key] for key in ("channels", "value_range", "domain")},
        "options": encoder.options,
    }


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Writes values to a new file."""
    write_atomic(path, (json.dumps(without_nan(values), indent=2) + "\n").encode())


def view_size(encoder: Encoder) -> tuple[int, int]:
    """Returns (H, W) of what an encoder sees: square images, or signals of one row."""
    if "pyramid" in encoder.provides:
        _, h, w = encoder.pyramid_shapes(encoder.image_size)[0]
        if h < w:
            return 1, encoder.image_size
    return encoder.image_size, encoder.image_size


def draw(encoder: Encoder, batch: int, size: tuple[int, int]) -> Tensor:
    """Draws images (batch, C, H, W) of standardized noise, the same ones every time."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn((batch, encoder.channels, *size), generator=generator)


def other_size(encoder: Encoder) -> tuple[int, int]:
    """Returns (H, W) twice as wide as the encoder's own."""
    height, width = view_size(encoder)
    return height, 2 * width


def pads_by_size(encoder: Encoder) -> bool:
    """Tells whether an encoder has TensorFlow's "same" padding, which depends on the image size."""
    same = (AvgPool2dSame, Conv2dSame, MaxPool2dSame, ScaledStdConv2dSame, StdConv2dSame)
    return any(
        isinstance(module, same) or (isinstance(module, CondConv2d) and module.dynamic_padding)
        for module in encoder.modules()
    )


@torch.inference_mode()
def takes_any_size(encoder: Encoder) -> bool:
    """Tells whether an encoder gives features of images of another size than its own."""
    try:
        encoder(draw(encoder, 1, other_size(encoder)))
    except (AssertionError, RuntimeError, ValueError):
        return False
    return True


@contextmanager
def tracing(encoder: Encoder) -> Iterator[None]:
    """Silences torch's tracer, and says in one line if it fails."""
    before = logging.root.manager.disable
    with catch_warnings():
        simplefilter("ignore")
        logging.disable()
        try:
            yield
        except Exception as error:
            raise RunError(
                f"torch cannot trace the encoder '{encoder.name}' ({type(error).__name__}). "
                "Use --format timm or safetensors."
            ) from error
        finally:
            logging.disable(before)
