"""Writes labels.csv beside copies of the spoken digits of FSDD, in the split of its authors.

    python benchmarks/spoken_digits.py ../shared/data/fsdd digits
    ssl-kit train --domain audio --data digits --set data.options.rate=8000

The class is the digit. Recordings 0 to 4 of each digit and speaker are for testing, and are of the
speakers who are heard in training.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from pathlib import Path

FOR_TESTING = 5


def spoken_digits(folder: Path, out: Path) -> None:
    """Copies the recordings and writes labels.csv, where each recording is a group.

    Args:
        folder: With recordings named DIGIT_SPEAKER_NUMBER.wav.
        out: Folder for the copies.
    """
    rows = [("path", "label", "group", "split")]
    for file in sorted(folder.glob("*.wav")):
        digit, _, number = file.stem.split("_")
        part = "test" if int(number) < FOR_TESTING else "train"
        rows.append((file.name, digit, file.stem, part))
        shutil.copyfile(file, out / file.name)
    with (out / "labels.csv").open("w", newline="") as table:
        csv.writer(table).writerows(rows)


def main() -> None:
    """Writes the copies."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path, help="FSDD, a folder of WAV files")
    parser.add_argument("out", type=Path, help="new folder")
    args = parser.parse_args()
    args.out.mkdir(parents=True)
    spoken_digits(args.data, args.out)


if __name__ == "__main__":
    main()
