"""Depth with and without shortcuts: training losses, single blocks removed, and loss surfaces.

Trains convolutional networks of 8, 20 and 56 layers on Fashion-MNIST, each with shortcuts and without, several seeds:
the networks that He et al. 2016 (Deep residual learning, section 4.2) made for CIFAR-10, at a size for two CPU cores
(images of 14 x 14, half of the channels). Shortcuts have no parameters (option A), so both kinds have the same
weights. Then it

- removes one block of each trained network at a time and measures the test accuracy (Veit et al. 2016);
- measures the training loss on a grid around the trained weights, along two random directions whose filters have the
  norms of the network's own (Li et al. 2018), with the running statistics of training.

The page `book/residual_connections.md` draws what this writes. About an hour on two cores; a run that was stopped goes
on where it was.

    python experiments/loss_surface.py
    python experiments/loss_surface.py --depths 8 --seeds 1 --epochs 1 --grid 5 --out /tmp/try.json
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import shlex
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the script runs from a checkout without an installation, too

from ravines.data import device, fashion_mnist, seed_everything  # noqa: E402
from ravines.training import evaluate, train  # noqa: E402

RESULTS = ROOT / "experiments" / "results" / "loss_surface.json"
WIDTHS = (8, 16, 32)


class Block(nn.Module):
    """Two 3 x 3 convolutions, each with batch normalization; `shortcut` says whether the input is added.

    Where the size changes, the shortcut takes every second pixel and fills new channels with zeros (option A).
    """

    def __init__(self, n_in: int, n_out: int, stride: int, shortcut: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(n_out)
        self.second = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(n_out)
        self.shortcut, self.stride, self.grows = shortcut, stride, n_out - n_in
        self.removed = False  # for the experiment that takes out single blocks

    def forward(self, x: Tensor) -> Tensor:
        if self.removed:
            return x
        out = self.second_norm(self.second(self.first_norm(self.first(x)).relu()))
        if self.shortcut:
            out = out + F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.grows))
        return out.relu()


def network(depth: int, shortcut: bool) -> nn.Sequential:
    """The network of He et al. 2016, section 4.2, with 6 n + 2 = `depth` layers, for images of one channel.

    Raises:
        ValueError: a depth that is not 6 n + 2.
    """
    n, rest = divmod(depth - 2, 6)
    if rest or n < 1:
        raise ValueError(f"The depth must be 6 n + 2, such as 8, 20 or 56, not {depth}.")
    blocks, channels = [], WIDTHS[0]
    for width in WIDTHS:
        for i in range(n):
            blocks.append(Block(channels, width, 2 if i == 0 and width != WIDTHS[0] else 1, shortcut))
            channels = width
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]
    stem = [nn.Conv2d(1, WIDTHS[0], 3, 1, 1, bias=False), nn.BatchNorm2d(WIDTHS[0]), nn.ReLU()]
    model = nn.Sequential(*stem, *blocks, *head)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
    return model


def data(examples: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Training images, the first `examples` of a fixed shuffle, and all test images, 14 x 14 and standardised."""
    images, labels = fashion_mnist()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))[:examples]
    small, test = F.avg_pool2d(images, 2), fashion_mnist(train=False)
    mean, std = small.mean(), small.std()
    test_small = (F.avg_pool2d(test[0], 2) - mean) / std
    return (((small[order] - mean) / std), labels[order]), (test_small, test[1])


def fit(model: nn.Module, training: tuple[Tensor, Tensor], epochs: int, seed: int) -> list[float]:
    """Train as the paper does (SGD, momentum 0.9, decay 1e-4, rate 0.1), the rate falling to 0 along a cosine.

    Returns:
        The mean loss of each epoch's batches.
    """
    steps = epochs * math.ceil(len(training[0]) / 128)
    history = train(
        model,
        training,
        optimizer=lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9, weight_decay=1e-4),
        schedule=lambda step: {"lr": 0.05 * (1 + math.cos(math.pi * step / steps))},
        loss_fn=F.cross_entropy,
        epochs=epochs,
        batch_size=128,
        seed=seed,
    )
    return history.epoch_loss()


def without_single_blocks(model: nn.Module, test: tuple[Tensor, Tensor]) -> list[float]:
    """The test accuracy with each block in turn replaced by the identity, but for those that change the size."""
    accuracies = []
    for block in model:
        if isinstance(block, Block) and block.stride == 1 and block.grows == 0:
            block.removed = True
            accuracies.append(evaluate(model, test, loss_fn=F.cross_entropy)[1])
            block.removed = False
    return accuracies


def direction(model: nn.Module, generator: torch.Generator) -> list[Tensor]:
    """A random direction, each filter scaled to the norm of the model's filter; 0 for biases and normalization.

    Source: Li et al. 2018, section 4.
    """
    found = []
    for parameter in model.parameters():
        if parameter.ndim < 2:
            found.append(torch.zeros_like(parameter))
            continue
        d = torch.randn(parameter.shape, generator=generator).to(parameter)
        shape = (-1, *(1,) * (parameter.ndim - 1))
        scale = parameter.detach().flatten(1).norm(dim=1) / d.flatten(1).norm(dim=1)
        found.append(d * scale.view(shape))
    return found


def surface(model: nn.Module, sample: tuple[Tensor, Tensor], seed: int, grid: Tensor) -> list[list[float | None]]:
    """The loss at weights + a first + b second, a along rows and b along columns; None where it is not finite."""
    generator = torch.Generator().manual_seed(seed)
    first, second = direction(model, generator), direction(model, generator)
    saved = [p.detach().clone() for p in model.parameters()]
    rows = []
    try:
        with torch.no_grad():
            for a in tqdm(grid.tolist(), desc="surface", leave=False, disable=None):
                row = []
                for b in grid.tolist():
                    for p, w, u, v in zip(model.parameters(), saved, first, second, strict=True):
                        p.copy_(w + a * u + b * v)
                    loss = evaluate(model, sample, loss_fn=F.cross_entropy)[0]
                    row.append(float(f"{loss:.4g}") if math.isfinite(loss) else None)
                rows.append(row)
    finally:
        with torch.no_grad():
            for p, w in zip(model.parameters(), saved, strict=True):
                p.copy_(w)
    return rows


def run(options: argparse.Namespace, done: dict[str, dict], save) -> None:
    """Train and measure each network that `done` does not have yet, calling `save` after each."""
    training, test = data(options.examples)
    sample = training[0][: options.sample], training[1][: options.sample]
    grid = torch.linspace(-1, 1, options.grid)
    place = device()
    training, test, sample = (tuple(t.to(place) for t in pair) for pair in (training, test, sample))
    wanted = [
        (depth, shortcut, seed)
        for seed in range(options.seeds)
        for depth in options.depths
        for shortcut in (True, False)
        if f"{'residual' if shortcut else 'plain'}-{depth}-{seed}" not in done
    ]
    bar = tqdm(wanted, desc="networks", disable=None)
    for depth, shortcut, seed in bar:
        name = f"{'residual' if shortcut else 'plain'}-{depth}-{seed}"
        bar.set_postfix_str(name)
        start = time.perf_counter()
        seed_everything(seed)
        model = network(depth, shortcut).to(place)
        losses = fit(model, training, options.epochs, seed)
        train_loss, train_accuracy = evaluate(model, training, loss_fn=F.cross_entropy)
        test_loss, test_accuracy = evaluate(model, test, loss_fn=F.cross_entropy)
        done[name] = {
            "parameters": sum(p.numel() for p in model.parameters()),
            "epoch_loss": [round(loss, 4) for loss in losses],
            "train_loss": round(train_loss, 5),
            "train_accuracy": round(train_accuracy, 5),
            "test_loss": round(test_loss, 5),
            "test_accuracy": round(test_accuracy, 5),
            "without_block": without_single_blocks(model, test),
        }
        if depth in options.surfaces:
            done[name]["surface"] = surface(model, sample, seed, grid)
        done[name]["seconds"] = round(time.perf_counter() - start, 1)
        save()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depths", type=int, nargs="+", default=[8, 20, 56], help="layers, each 6 n + 2")
    parser.add_argument("--surfaces", type=int, nargs="*", default=[20, 56], help="depths to draw surfaces of")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds (default 3)")
    parser.add_argument("--epochs", type=int, default=15, help="passes over the training images (default 15)")
    parser.add_argument("--examples", type=int, default=10000, help="training images (default 10000)")
    parser.add_argument("--sample", type=int, default=500, help="training images for a surface (default 500)")
    parser.add_argument("--grid", type=int, default=41, help="points along each direction, odd (default 41)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write (default: beside this script)")
    options = parser.parse_args(arguments)
    if options.grid % 2 == 0 or options.grid < 3:
        parser.error("--grid must be an odd number from 3 on, so that its middle is the trained network.")
    if bad := [d for d in options.depths if d < 8 or (d - 2) % 6]:
        parser.error(f"--depths must be 6 n + 2, such as 8, 20 or 56, not {bad[0]}.")
    for name in ("seeds", "epochs", "examples", "sample"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1.")

    settings = {key: value for key, value in vars(options).items() if key != "out"}
    place, threads = device(), torch.get_num_threads()
    record = {
        "what": "Networks of several depths on Fashion-MNIST, with shortcuts and without",
        "command": shlex.join(["python", "experiments/loss_surface.py", *(arguments or sys.argv[1:])]),
        "date": datetime.now(UTC).date().isoformat(),
        "device": torch.cuda.get_device_name(place) if place.type == "cuda" else f"CPU, {threads} threads",
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "settings": settings,
        "networks": {},
    }
    part = options.out.with_suffix(".part")
    if part.exists():
        before = json.loads(part.read_text(encoding="utf-8"))
        if before["settings"] == settings:
            record["networks"] = before["networks"]
            print(f"{len(record['networks'])} networks are in {part} already: going on.", file=sys.stderr)

    def save() -> None:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(record), encoding="utf-8")

    run(options, record["networks"], save)
    record["networks"] = dict(sorted(record["networks"].items()))
    save()
    part.replace(options.out)
    print(f"Wrote {options.out}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
