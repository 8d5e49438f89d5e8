"""The demo: EEG of simulated subjects."""

from __future__ import annotations

import numpy as np

from ssl_kit import Index

from .brain import ELECTRODES, RATE, STATES, draw_subject, record
from .pictures import Reals
from .windows import Windows

_SUBJECTS, _EACH = 16, 8  # windows of a state
_APART = 60.0  # seconds from window to window of a subject


class Demo(Windows):
    """512 windows of 5 s, 8 electrodes, 128 Hz: eyes open, eyes closed, sleep, seizure.

    The signals are simulated, not real, and the same each time. A group is one subject, whose
    recording goes through the states one after another.
    """

    def prepare(self) -> None:
        """Names the windows of all subjects."""
        each = len(STATES) * _EACH
        number = np.arange(_SUBJECTS * each)
        subjects = [f"subject{n // each:02d}" for n in number]
        self.index = Index.build(
            [f"{name}/{n % each:02d}" for name, n in zip(subjects, number, strict=True)],
            labels=[STATES[n % each // _EACH] for n in number],
            groups=subjects,
            positions=np.column_stack([number // each, number % each * _APART]),
        )
        self._show(ELECTRODES, RATE, {})

    def signal(self, i: int) -> Reals:
        """Returns window i, (8, 640) microvolts."""
        subject, place = divmod(i, len(STATES) * _EACH)
        person = draw_subject(np.random.default_rng((5, subject)))
        return record(person, STATES[place // _EACH], np.random.default_rng((6, i)))
