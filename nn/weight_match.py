"""How the weights of a file fit an encoder, in numbers and in words."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from ..core.encoder import Encoder


class WeightMatch:
    """How a state dict fits an encoder.

    Attributes:
        matched: The weights that fit.
        missing: Names of the encoder's weights that are missing or have another shape.
        unexpected: Names of weights that the encoder has no place for.
        argument: The argument that would give them a place, "" if none is known.
    """

    def __init__(self, encoder: Encoder, state: Mapping[str, Tensor]) -> None:
        names = encoder.body.state_dict()
        self.matched = {k: v for k, v in state.items() if k in names and v.shape == names[k].shape}
        self.missing = sorted(set(names) - set(self.matched))
        self.unexpected = sorted(
            key for key in state if key not in names and not _BUFFERS.search(key)
        )
        forms = {_without_numbers(key) for key in names}
        unknown = (key for key in self.unexpected if _without_numbers(key) not in forms)
        arguments = (encoder.argument_for(key, state[key]) for key in unknown)
        self.argument = next(filter(None, arguments), "")
        self.of, self.encoder = len(names), encoder

    @property
    def share(self) -> float:
        """Matched weights, as a share of all that the encoder or the file has."""
        return len(self.matched) / (self.of + len(self.unexpected))

    @property
    def count(self) -> str:
        """The number of matched weights in words."""
        return f"{len(self.matched)} of {self.of} weights match"

    def remarks(self) -> list[str]:
        """Names what is missing, and counts what has no place."""
        remarks = [f"missing {', '.join(self.missing[:5])}"] if self.missing else []
        if self.unexpected:
            listed = ", ".join(self.unexpected[:5])
            remarks.append(f"{len(self.unexpected)} have no place in the encoder: {listed}")
        return remarks

    def refusal(self, architecture: str = "") -> str:
        """Says what does not fit and what to do.

        Args:
            architecture: Name of an architecture that the weights fit, if one is known.
        """
        text = f"only {self.count}" if self.missing else self.count
        if self.missing:
            text += f" (first without a match: '{self.missing[0]}')"
        if self.unexpected:
            text += f", and it has no place for {len(self.unexpected)} (first: "
            text += f"'{self.unexpected[0]}')"
        if self.argument:
            return f"{text}. Build the encoder with --set encoder.arguments.{self.argument}."
        if architecture:
            return f"{text}. They fit {architecture}: give --encoder {architecture}."
        return f"{text}. Choose the --encoder the weights were trained for."


def _without_numbers(key: str) -> str:
    return re.sub(r"\d+", "#", key)


_BUFFERS = re.compile(
    r"(^mask_token|relative_position_index|attn_mask|num_batches_tracked|rope\.(periods|freqs)"
    r"|pos_embed_mask|bias_mask)$"
)
"""What timm computes anew or does not need."""
