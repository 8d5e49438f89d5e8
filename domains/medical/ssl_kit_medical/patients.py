"""Tells whether the identifiers of DICOM files tell patients apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def remark_on_patients(table: NDArray[Any], group: str) -> str:
    """Returns a remark if identifiers do not tell patients apart, else "".

    Args:
        table: (n,) with the fields nobody, patient, person, study and volume of `Header`.
        group: What a group is: "patient" or "study".
    """
    studies = len(np.unique(table["study"]))
    series = len(np.unique(table["volume"]))
    if len(np.unique(table[group])) == 1 and table[group][0] and max(studies, series) > 1:
        if group == "patient" and studies > 1:
            return (
                f"All {studies} studies have one PatientID, so that nothing can be held out; "
                "--set data.options.group=study if they are different people."
            )
        named = "PatientID and one StudyInstanceUID" if group == "patient" else "StudyInstanceUID"
        return (
            f"All {series} series have one {named}, so that nothing can be held out; give --labels "
            "a table with the column group if they are different people."
        )
    nameless = (table["patient"] == 0) | (table["patient"] == table["study"])
    if group == "patient" and nameless.any():
        return (
            f"{nameless.sum()} of {len(table)} files have no PatientID: their group is the study, "
            "or the file if that is unknown too; --labels with the column group declares others."
        )
    shared = _studies_in_doubt(table) if group == "patient" else 0
    return (
        f"{shared} of {studies} studies have a PatientID that does not tell patients apart (a word "
        "such as anonymous, or several dates of birth or sexes), and count as one patient for each "
        "PatientID; --set data.options.group=study if they are different people."
        if shared
        else ""
    )


def _studies_in_doubt(table: NDArray[Any]) -> int:
    """Returns the number of studies whose PatientID others share that are likely other people."""
    studies = 0
    doubtful = table["nobody"]
    pairs = np.unique(table[table["person"] != 0][["patient", "person"]])
    patients, persons = np.unique(pairs["patient"], return_counts=True)
    doubtful = doubtful | np.isin(table["patient"], patients[persons > 1])
    for patient in np.unique(table["patient"][doubtful & (table["patient"] != 0)]):
        count = len(np.unique(table["study"][table["patient"] == patient]))
        studies += count if count > 1 else 0
    return studies
