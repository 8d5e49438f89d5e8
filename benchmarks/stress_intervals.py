"""Writes the times and labels of the tasks of Stress-Predict for the reader of wristbands.

    python benchmarks/stress_intervals.py ../shared/data/stress_predict --out intervals.csv

Stress is the Stroop test, the interview and the hyperventilation; all else with a time in the
table of the authors (Processed_data/Time_logs.xlsx) is rest. The option data.options.intervals
takes the file, which has the columns subject, start, end (Unix seconds) and label.
"""

from __future__ import annotations

import argparse
import csv
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Sequence
from pathlib import Path

STRESS, REST = ("I", "M", "Q"), ("G", "K", "O", "S", "W")  # columns of the starts of tasks
_XML = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def table(path: Path) -> list[dict[str, str]]:
    """Reads the first sheet of a workbook: a row each, by the letters of its columns."""
    with zipfile.ZipFile(path) as book:
        texts = ET.fromstring(book.read("xl/sharedStrings.xml")).iter(f"{_XML}si")
        shared = ["".join(t.text or "" for t in each.iter(f"{_XML}t")) for each in texts]
        sheet = ET.fromstring(book.read("xl/worksheets/sheet1.xml"))
    rows = []
    for row in sheet.iter(f"{_XML}row"):
        cells = {
            str(c.get("r")).rstrip("0123456789"): c for c in row if c.find(f"{_XML}v") is not None
        }
        values = {name: str(c.findtext(f"{_XML}v")) for name, c in cells.items()}
        rows.append(
            {n: shared[int(v)] if cells[n].get("t") == "s" else v for n, v in values.items()}
        )
    return rows


def write_intervals(logs: Path, out: Path) -> None:
    """Writes subject, start, end (Unix seconds) and label of each task."""

    def unix(row: dict[str, str], column: str) -> float:
        day, hour = float(row["Z"]), float(row[column])
        if hour < 0.3:  # a clock of twelve hours; nobody came before seven
            hour += 0.5
        return round((day - 25569 + hour) * 86400)  # Excel counts days from 1899-12-30; UTC

    with out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["subject", "start", "end", "label"])
        for row in table(logs)[2:]:
            for label, columns in (("stress", STRESS), ("rest", REST)):
                for column in columns:
                    if column in row and chr(ord(column) + 1) in row and "Z" in row:
                        ends = unix(row, column), unix(row, chr(ord(column) + 1))
                        writer.writerow([row["A"], *ends, label])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with Processed_data")
    parser.add_argument("--out", type=Path, required=True, help="new CSV file")
    given = parser.parse_args(arguments)
    write_intervals(given.data / "Processed_data" / "Time_logs.xlsx", given.out)


if __name__ == "__main__":
    main()
