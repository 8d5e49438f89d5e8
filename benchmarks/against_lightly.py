"""The same minutes, images, encoder, size and batch: ssl-kit and lightly's own SimCLR example.

    python benchmarks/against_lightly.py ../shared/data/rsscn7 --lightly LIGHTLY_ENV/bin/python

Both train a ResNet-18 from scratch on the training part of the folder, which neither's test images
are in; both encoders and the untrained one are judged by the same kNN on the held-out part.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
CLI = [sys.executable, "-m", "ssl_kit.cli"]


def training_part(data: Path, holdout: float, folder: Path) -> None:
    """Links the images that ssl-kit trains on into a flat folder."""
    from ssl_kit import open_data
    from ssl_kit.data import split

    dataset = open_data(domain="remote_sensing", data=data)
    parts = split(dataset.index, holdout)
    for i in [*parts.train, *parts.val]:
        key = dataset.index.key(int(i))
        os.symlink(data.resolve() / key, folder / key.replace("/", "__"))


def accuracy(what: str, data: Path, holdout: float) -> dict[str, float]:
    """Returns kNN accuracies in percent by encoder."""
    command = [*CLI, "evaluate", what, "--domain", "remote_sensing", "--data", str(data)]
    command += ["--evaluation", "knn", "--holdout", str(holdout), "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    models = json.loads(done.stdout)["evaluations"]["knn"]["models"]
    return {name: 100 * m["metrics"]["accuracy"]["value"] for name, m in models.items()}


def main() -> None:
    """Trains both and prints three accuracies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument(
        "--lightly", required=True, help="Python of an environment with lightly 1.6."
    )
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--holdout", type=float, default=0.2)
    parser.add_argument("--workers", type=int, default=2, help="Of lightly; its example has 8.")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "images").mkdir()
        training_part(args.data, args.holdout, folder / "images")
        theirs = [args.lightly, str(HERE / "lightly_simclr.py"), str(folder / "images")]
        theirs += ["--seconds", str(args.seconds), "--workers", str(args.workers)]
        subprocess.run([*theirs, "--out", str(folder / "lightly.safetensors")], check=True)
        ours = [*CLI, "train", "--quiet", "--domain", "remote_sensing", "--data", str(args.data)]
        ours += ["--max-time", f"{args.seconds}s", "--holdout", str(args.holdout)]
        subprocess.run([*ours, "--out", str(folder / "ssl-kit")], check=True)
        found = accuracy(str(folder / "ssl-kit"), args.data, args.holdout)
        found |= accuracy(str(folder / "lightly.safetensors"), args.data, args.holdout)
    for name, value in found.items():
        print(f"{name:<24}{value:.1f}")


if __name__ == "__main__":
    main()
