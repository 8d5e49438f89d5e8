"""Trains every objective on the same number of images, and writes a page of tables.

    python benchmarks/objectives.py ../shared/data/rsscn7 --out docs/objectives.md

Each row is one run of the command line from random weights: ResNet-18 at 64 px, or a small ViT
where the objective needs tokens. The encoder is evaluated by kNN and linear probe on held-out
images, beside the untrained encoder. A row that is in the results file already is not computed
again. The images per second are meaningful only if the machine does no other work.
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
    "mae": "Its linear probe improves. The paper reports that the features are strong when some "
    "layers are fine-tuned, and weaker without "
    "([He et al. 2021](https://arxiv.org/abs/2111.06377), section 4.3).",
    "ijepa": "Its linear probe improves. The paper trains for 300 epochs of ImageNet and more "
    "([Assran et al. 2023](https://arxiv.org/abs/2301.08243), table 1).",
    "simmim": "Masked pixels change the features of a plain CNN at visible positions too; `spark` "
    "avoids this ([Tian et al. 2023](https://arxiv.org/abs/2301.03580)).",
    "byol": "Its teacher changes slowly: the paper trains for 300 epochs of ImageNet and more "
    "([Grill et al. 2020](https://arxiv.org/abs/2006.07733), section 3.3).",
    "rotation": "A scene from above has no upright orientation, so its rotation is hard to predict "
    "([Reed et al. 2021](https://arxiv.org/abs/2009.07724)).",
    "relative_patch": "Textures seen from above contain little information on relative positions; "
    "the paper used photographs of objects "
    "([Doersch et al. 2015](https://arxiv.org/abs/1505.05192)).",
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
        "# All objectives side by side, after a few minutes of training",
        "",
        "This page was written by",
        "`python benchmarks/objectives.py ../shared/data/rsscn7 --out docs/objectives.md`",
        f"(ssl-kit {version('ssl-kit')}, torch {version('torch')}). Do not edit it.",
        "",
        *([args.note, ""] if args.note else []),
        f"Every objective was trained from random weights on the same {images:,} images "
        f"({args.epochs} epochs of {args.pool:,}, batches of {args.batch_size}) at {args.size} px "
        f"with its default options, in the domain `{args.domain}`. The columns *kNN* and *linear* "
        "are accuracies in percent on held-out images, with 95 % intervals over groups. *gain* is "
        "the paired difference of the kNN accuracy from the same encoder before training. *RankMe* "
        "is the centered RankMe of the features. *images/s* was measured on a machine that did "
        "other work at the same time; `benchmarks/throughput.py` measures speed. This is little "
        "training: after a night of training the order of the objectives may be different. "
        "*DIMENSIONAL* is a warning of the collapse watch: the features have lost most of their "
        "directions since the start.",
        "",
    ]
    for encoder in dict.fromkeys(r["encoder"] for r in rows.values()):
        lines += section(encoder, {n: r for n, r in rows.items() if r["encoder"] == encoder})
    return "\n".join(lines)


def section(encoder: str, rows: dict[str, dict[str, Any]]) -> list[str]:
    """Returns the lines about one encoder: a table of its objectives, the best kNN first."""
    first = next(iter(rows.values()))
    lines = [
        f"## {encoder}",
        "",
        f"The encoder before training: kNN {percent(first['untrained_knn'])}, linear probe "
        f"{percent(first['untrained_linear'])}.",
        "",
        "| objective | kNN | gain | linear | RankMe | images/s | memory, MiB | remark |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, r in sorted(rows.items(), key=lambda item: -item[1]["knn"]["value"]):
        note = " ".join(filter(None, [NOTES.get(name), r["verdict"].replace("OK", "")]))
        lines.append(
            f"| `{name}` | {percent(r['knn'])} | {percent(r['gain'])} | {percent(r['linear'])} "
            f"| {r['rankme']:.0f} | {r['images_per_second']:.0f} | {r['memory']:.0f} | {note} |"
        )
    return [*lines, ""]


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
    parser.add_argument("--note", default="", help="Remark at the top, on stale rows.")
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
