"""The SimCLR example that lightly 1.6 publishes, on a folder, for a number of seconds.

Runs in an environment of its own, never in ssl-kit's:

    pip install lightly==1.6.0 torch torchvision safetensors

After https://github.com/lightly-ai/lightly/blob/master/examples/pytorch/simclr.py: the same model,
loss, optimizer, rate and transform; only the image size, batch size, data folder and duration are
arguments. It writes timm's names of the weights, so that both are judged alike.
"""

import argparse
import json
import time

import torch
import torchvision
from lightly.data import LightlyDataset
from lightly.loss import NTXentLoss
from lightly.models.modules import SimCLRProjectionHead
from lightly.transforms import SimCLRTransform
from safetensors.torch import save_file
from torch import nn


class SimCLR(nn.Module):
    """Backbone and projection head, as in the example."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.projection_head = SimCLRProjectionHead(512, 512, 128)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps images to projections."""
        return self.projection_head(self.backbone(x).flatten(start_dim=1))


def train(model: SimCLR, loader: torch.utils.data.DataLoader, seconds: float) -> dict[str, float]:
    """The loop of the example, ended by the clock; returns images/s without the first epoch."""
    criterion = NTXentLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.06)
    start = counted_from = time.monotonic()
    images, epoch = 0, 0
    while time.monotonic() - start < seconds:
        for batch in loader:
            x0, x1 = batch[0]
            loss = criterion(model(x0), model(x1))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            images += len(x0)
            if time.monotonic() - start >= seconds:
                break
        epoch += 1
        if epoch == 1:  # as for ssl-kit, the start-up is not counted
            images, counted_from = 0, time.monotonic()
    return {"images_per_second": images / (time.monotonic() - counted_from), "epochs": epoch}


def main() -> None:
    """Trains, prints images/s as JSON, and saves the backbone."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--out")
    args = parser.parse_args()

    torch.manual_seed(0)
    resnet = torchvision.models.resnet18()
    model = SimCLR(nn.Sequential(*list(resnet.children())[:-1]))
    transform = SimCLRTransform(input_size=args.size, gaussian_blur=0.0)
    loader = torch.utils.data.DataLoader(
        LightlyDataset(args.data, transform=transform),
        batch_size=args.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=args.workers,
    )
    found = train(model, loader, args.seconds)
    if args.out:
        state = resnet.state_dict()
        save_file({k: v.contiguous() for k, v in state.items() if "fc" not in k}, args.out)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
