"""The demo: simulated heads in a magnetic resonance scanner."""

from __future__ import annotations

import numpy as np

from ssl_kit import Dataset, Image, Index

from .phantom import SIZE, draw_head, scan
from .transforms import bias_field

FINDINGS = ("healthy", "hydrocephalus", "infarct", "tumor")
_PATIENTS = 48  # of each finding
_HEIGHTS = np.linspace(-0.2, 0.4, 4)  # of the slices
_SEQUENCES = ((550.0, 15.0), (3500.0, 95.0), (2500.0, 25.0))  # T1, T2, proton density: TR, TE in ms


class Demo(Dataset):
    """768 slices, 64x64, gray: 192 patients with one of four findings, four slices each.

    The images are simulated, not real, and the same each time. Sequence, coil, pose and anatomy
    differ between patients, so that brightness alone does not tell the findings apart.
    """

    channels = ("gray",)

    def prepare(self) -> None:
        """Names the slices of all patients."""
        self._volumes: dict[int, Image] = {}
        patients = np.arange(_PATIENTS * len(FINDINGS))
        patient = np.repeat(patients, len(_HEIGHTS))
        number = np.tile(np.arange(len(_HEIGHTS)), len(patients))
        pairs = list(zip(patient.tolist(), number.tolist(), strict=True))
        self.index = Index.build(
            [f"patient{p:03d}#{n}" for p, n in pairs],
            labels=[FINDINGS[p % len(FINDINGS)] for p, _ in pairs],
            groups=[f"patient{p:03d}" for p, _ in pairs],
            positions=np.column_stack([patient, patient, number]),
        )

    def read(self, i: int) -> Image:
        """Returns slice i, (64, 64, 1) uint8."""
        patient, number = divmod(i, len(_HEIGHTS))
        if patient not in self._volumes:
            self._volumes[patient] = _volume(patient)
        image: Image = self._volumes[patient][number]
        return image


def _volume(patient: int) -> Image:
    """Returns all slices of a patient, (n, 64, 64, 1), scaled together as a scanner's are not."""
    rng = np.random.default_rng((11, patient))
    head = draw_head(FINDINGS[patient % len(FINDINGS)], rng)
    tr, te = _SEQUENCES[int(rng.integers(3))]
    echo = tr * rng.uniform(0.85, 1.15), te * rng.uniform(0.85, 1.15)
    coil = bias_field(rng.uniform(-1, 1, (3, 3)), (2 * SIZE, 2 * SIZE), rng.uniform(0, 0.4))
    slices = np.stack([scan(head, height, echo, coil, rng) for height in _HEIGHTS.tolist()])
    white = np.percentile(slices, 99.5)
    volume: Image = np.rint(slices / white * 255).clip(0, 255).astype(np.uint8)
    return volume[..., None]
