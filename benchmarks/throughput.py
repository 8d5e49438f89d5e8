"""Images per second: ssl-kit end to end, lightly's SimCLR example, and the bare limit.

    python benchmarks/throughput.py ../shared/data/rsscn7 --lightly LIGHTLY_ENV/bin/python

All three train a ResNet-18 with SimCLR on the same folder, two views an image. The bare limit is
forward and backward of encoder, head and loss on random tensors at ssl-kit's precision: no reading,
no augmentation, no optimizer. The arms take turns, and ratios are taken within a round, because the
machine is noisy; the median over rounds is reported. Lightly runs with the 8 workers of its example
and with 2, and the faster counts.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent


def kit(data: str, size: int, batch_size: int, seconds: float) -> float:
    """Trains through the command line; the first record, with its start-up, is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "ssl_kit.cli", "train", "--quiet"]
        command += ["--domain", "remote_sensing", "--data", data, "--objective", "simclr"]
        command += ["--image-size", str(size)]
        command += ["--batch-size", str(batch_size), "--max-time", str(int(seconds))]
        subprocess.run(
            [*command, "--holdout", "0", "--out", str(out)], check=True, capture_output=True
        )
        rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    if len(rows) < 2:
        raise SystemExit("Too short for a record after the first: give --seconds for two epochs.")
    steps = [after["step"] - row["step"] for row, after in itertools.pairwise(rows)]
    spent = [
        n * batch_size / row["images_per_second"] for n, row in zip(steps, rows[1:], strict=True)
    ]
    return sum(steps) * batch_size / sum(spent)


def bare(size: int, batch_size: int, seconds: float) -> float:
    """Runs in a fresh process, like the others."""
    code = (
        f"import sys; sys.path.insert(0, {str(HERE)!r}); import throughput; "
        f"print(throughput.bare_loop({size}, {batch_size}, {seconds}))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout)


def bare_loop(size: int, batch_size: int, seconds: float) -> float:
    """Forward and backward on random tensors."""
    import torch

    from ssl_kit import Batch
    from ssl_kit.data.process import prepare_process
    from ssl_kit.nn.weights import create_encoder
    from ssl_kit.plugins.objectives.simclr import SimCLR, SimCLRConfig
    from ssl_kit.training.precision import choose_precision

    prepare_process()  # as in ssl-kit: the limit is not to be slowed by the allocator
    torch.manual_seed(0)
    model = SimCLR(create_encoder("resnet18", 3, size), SimCLRConfig())
    model = model.to(memory_format=torch.channels_last)
    views = tuple(
        torch.randn(batch_size, 3, size, size).to(memory_format=torch.channels_last)
        for _ in range(2)
    )
    nothing = torch.zeros(batch_size)
    batch = Batch(views, nothing, nothing, nothing[:, None], ())
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(choose_precision("auto"))
    images, start = 0, 0.0
    for step in range(10**6):
        if step == 3:
            start = time.monotonic()
        with torch.autocast("cpu", dtype=dtype, enabled=dtype is not None):
            loss = model(batch).loss
        loss.backward()
        model.zero_grad(set_to_none=True)
        if step >= 3:
            images += batch_size
            if time.monotonic() - start > seconds:
                break
    return images / (time.monotonic() - start)


def lightly(python: str, data: str, size: int, batch_size: int, seconds: float) -> float:
    """Trains with lightly in its own environment, with 8 and with 2 workers."""
    rates = []
    for workers in (8, 2):
        command = [python, str(HERE / "lightly_simclr.py"), data, "--seconds", str(seconds)]
        command += ["--size", str(size), "--batch-size", str(batch_size), "--workers", str(workers)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rates.append(json.loads(done.stdout.splitlines()[-1])["images_per_second"])
    return max(rates)


def main() -> None:
    """Prints a row per round and the median ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--lightly", help="Python of an environment with lightly 1.6.")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60, help="Of each arm in a round.")
    args = parser.parse_args()
    sizes = (args.size, args.batch_size)
    over_bare, over_lightly = [], []
    for number in range(args.rounds):
        limit = bare(*sizes, args.seconds / 2)
        ours = kit(args.data, *sizes, args.seconds)
        limit = (limit + bare(*sizes, args.seconds / 2)) / 2
        over_bare.append(ours / limit)
        row = f"round {number + 1}: ssl-kit {ours:.0f}  bare {limit:.0f}"
        if args.lightly:
            theirs = lightly(args.lightly, args.data, *sizes, args.seconds)
            over_lightly.append(ours / theirs)
            row += f"  lightly {theirs:.0f}"
        print(row + " images/s", flush=True)
    print(f"median ratio to the bare limit {statistics.median(over_bare):.2f}")
    if over_lightly:
        print(f"median ratio to lightly {statistics.median(over_lightly):.2f}")


if __name__ == "__main__":
    main()
