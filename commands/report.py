"""Writes a report."""

from os import PathLike, fspath
from pathlib import Path

from ..reports.html.page import write_report
from ..training.work import shown


def report(
    folder: str | PathLike[str],
    *,
    data: str | PathLike[str] = "",
    out: str | PathLike[str] | None = None,
    quiet: bool = True,
) -> Path:
    """Writes a run, a comparison, a classifier, a search or a recipe as one HTML file.

    Args:
        folder: Folder of a run, a comparison, a fine-tuned classifier, a search for settings or a
            recipe that was run.
        data: Images of the run, where they have moved.
        out: The file; report.html in the folder if None.
        quiet: Whether to show no progress.
    """
    with shown("writing the report", quiet):
        return write_report(Path(folder), fspath(data), Path(out) if out else None)
