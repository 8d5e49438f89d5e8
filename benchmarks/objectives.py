"""Trains every objective on the same images for the same number of them, and writes the table.

    python benchmarks/objectives.py ../shared/data/rsscn7 --out docs/objectives.md

Each row is one run of the command line from random weights: ResNet-18 at 64 px, a small ViT where
the method needs tokens; then kNN and linear probe on the held-out images beside the untrained
encoder. A row that is in the results file already is not computed again. The machine should have
nothing else to do, or images/s mean little.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

CLI = [sys.executable, "-m", "ssl_kit.cli"]
# What a method needs beside its defaults to be a fair row of this table.
EXTRA = {
    "combination": [
        "objective.parts.simclr.weight=1.0",
        "objective.parts.rotation.weight=0.5",
    ],
}
# Where a method is known to do badly at this size, and who says so.
NOTES: dict[str, str] = {
    "mae": "It gains in the linear probe. Features of a masked auto-encoder are strong but not "
    "ready for a neighbor search ([He et al. 2021](https://arxiv.org/abs/2111.06377), 4.3).",
    "ijepa": "It gains in the linear probe. The paper trains for 300 epochs of ImageNet and more "
    "([Assran et al. 2023](https://arxiv.org/abs/2301.08243), table 1).",
    "simmim": "Hidden pixels disturb what a plain CNN computes; `spark` is the answer to that "
    "([Tian et al. 2023](https://arxiv.org/abs/2301.03580)).",
    "byol": "Its teacher moves slowly: the paper trains for 300 epochs of ImageNet and more "
    "([Grill et al. 2020](https://arxiv.org/abs/2006.07733), 3.3).",
    "rotation": "A scene from above has no upright, so there is little to tell "
    "([Reed et al. 2021](https://arxiv.org/abs/2009.07724)).",
    "relative_patch": "Textures from above tell little about places "
    "([Doersch et al. 2015](https://arxiv.org/abs/1505.05192) had objects).",
}


def run(command: list[str]) -> tuple[str, float]:
    """Runs a command and returns its output and its own peak memory in MiB."""
    with subprocess.Popen([*CLI, *command], stdout=subprocess.PIPE, text=True) as process:
        out = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"failed: ssl-kit {' '.join(command)}")
    return out, usage.ru_maxrss / 1024


def row(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Trains and evaluates one objective."""
    from ssl_kit.nn import objectives

    encoder = args.vit if "tokens" in objectives[name].needs else args.encoder
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = ["train", "--domain", args.domain, "--data", args.data, "--objective", name]
        command += ["--encoder", encoder, "--image-size", str(args.size), "--quiet"]
        command += ["--epochs", str(args.epochs), "--batch-size", str(args.batch_size)]
        command += ["--holdout", str(args.holdout), "--out", str(out)]
        extra = list(EXTRA.get(name, []))
        if name == "distillation":
            teacher = Path(args.teacher)
            extra += [f"objective.teacher={teacher.name.split('.')[0]}"]
            extra += [f"objective.weights={teacher.resolve()}"]
        _, memory = run([*command, *(part for text in extra for part in ("--set", text))])
        found = json.loads(run(["evaluate", str(out), "--json"])[0])["evaluations"]
        last = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
        rates = [
            json.loads(line)["images_per_second"]
            for line in (out / "metrics.jsonl").read_text().splitlines()[1:]
        ]
    knn, linear = found["knn"], found["linear"]
    trained, untrained = list(knn["models"].values())
    probes = list(linear["models"].values())
    return {
        "encoder": encoder,
        "knn": trained["metrics"]["accuracy"],
        "untrained_knn": untrained["metrics"]["accuracy"],
        "gain": knn["gain"],
        "linear": probes[0]["metrics"]["accuracy"],
        "untrained_linear": probes[1]["metrics"]["accuracy"],
        "rankme": last["rankme_centered"],
        "verdict": last["verdict"],
        "images_per_second": sorted(rates)[len(rates) // 2] if rates else 0.0,
        "memory": memory,
    }


def percent(value: dict[str, float]) -> str:
    """Formats an estimate."""
    return f"{100 * value['value']:.1f} [{100 * value['low']:.0f}, {100 * value['high']:.0f}]"


def page(rows: dict[str, dict[str, Any]], args: argparse.Namespace) -> str:
    """Returns the text of docs/objectives.md."""
    images = args.epochs * args.pool
    lines = [
        "# What each objective learns in a few minutes",
        "",
        "Written by",
        "`python benchmarks/objectives.py ../shared/data/rsscn7 --out docs/objectives.md`",
        f"(ssl-kit {version('ssl-kit')}, torch {version('torch')}); do not edit.",
        "",
        f"Every objective saw the same {images:,} images ({args.epochs} epochs of {args.pool:,}, "
        f"batches of {args.batch_size}) at {args.size} px from random weights, with its defaults, "
        f"in the domain `{args.domain}`. kNN and linear probe are accuracies in percent on "
        "held-out images with 95 % intervals over groups; *gain* is kNN over the same encoder "
        "untrained, paired. RankMe is centered, of the features. images/s is as it was, on a "
        "machine that did other work as well (`benchmarks/throughput.py` measures speed). This is "
        "little training: the order would be another after a night.",
        "",
    ]
    for encoder in dict.fromkeys(r["encoder"] for r in rows.values()):
        part = {n: r for n, r in rows.items() if r["encoder"] == encoder}
        first = next(iter(part.values()))
        lines += [
            f"## {encoder}",
            "",
            f"Untrained: kNN {percent(first['untrained_knn'])}, linear "
            f"{percent(first['untrained_linear'])}.",
            "",
            "| objective | kNN | gain | linear | RankMe | images/s | memory, MiB | |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for name in sorted(part, key=lambda n: -part[n]["knn"]["value"]):
            r = part[name]
            note = " ".join(filter(None, [NOTES.get(name), r["verdict"].replace("OK", "")]))
            lines.append(
                f"| `{name}` | {percent(r['knn'])} | {percent(r['gain'])} | {percent(r['linear'])} "
                f"| {r['rankme']:.0f} | {r['images_per_second']:.0f} | {r['memory']:.0f} | {note} |"
            )
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Computes the missing rows and writes the page."""
    from ssl_kit.nn import objectives

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--out", type=Path, default=Path("docs/objectives.md"))
    parser.add_argument("--results", type=Path, default=Path("docs/objectives.json"))
    parser.add_argument("--only", default="", help="Names, separated by commas.")
    parser.add_argument("--domain", default="remote_sensing")
    parser.add_argument("--encoder", default="resnet18")
    parser.add_argument("--vit", default="vit_small_patch8_224")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--holdout", type=float, default=0.5, help="Share of images to test on.")
    parser.add_argument("--pool", type=int, default=700, help="Images of an epoch, for the text.")
    parser.add_argument(
        "--teacher",
        default="../shared/weights/tf_efficientnet_lite0.imagenet.safetensors",
        help="ARCHITECTURE.*.safetensors, the teacher of the distillation.",
    )
    args = parser.parse_args()
    ours = [n for n in objectives if objectives.entry(n).origin == "ssl-kit"]
    rows = json.loads(args.results.read_text()) if args.results.exists() else {}
    args.results.parent.mkdir(parents=True, exist_ok=True)
    for name in [n for n in ours if not args.only or n in args.only.split(",")]:
        if name not in rows:
            rows[name] = row(name, args)
            args.results.write_text(json.dumps(rows, indent=1))
            knn, gain = percent(rows[name]["knn"]), percent(rows[name]["gain"])
            rate = rows[name]["images_per_second"]
            print(f"{name:<18}{knn}  gain {gain} {rate:.0f} images/s", flush=True)
    args.out.write_text(page(rows, args))


if __name__ == "__main__":
    main()
