"""AlexNet, VGG, GoogLeNet and ResNet at an eighth of their channels, under one recipe, on Fashion-MNIST.

Each keeps its layers, in their order, with an eighth of the channels: AlexNet's five convolutions in one group and
three fully connected layers, VGG-16, GoogLeNet without auxiliary heads, and ResNet-34 (152 layers are too many for
28 x 28 pixels and a CPU). What comes first is adapted: strides and poolings are left out or made smaller, so that maps
of some size are left. Every network is trained with the same optimizer, schedule, images, passes and He's
initialization, at several learning rates and seeds,

- as it was published: normalization in ResNet only; dropout and response normalization where the paper has them;
- with batch normalization behind every convolution in the other three, too, at one rate.

For every network the accuracy on held-out training images is recorded, by which a reader may choose its learning rate,
beside the one on the test images. The page `book/comparison.md` draws what this writes. About ten minutes of one
core; a run that was stopped goes on where it was.

    python experiments/four_networks.py
    python experiments/four_networks.py --seeds 1 --epochs 1 --examples 500 --rates 0.03 --out /tmp/try.json
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the script runs from a checkout without an installation, too

from ravines import counting  # noqa: E402
from ravines.data import device, fashion_mnist, seed_everything  # noqa: E402
from ravines.training import evaluate, train  # noqa: E402

RESULTS = ROOT / "experiments" / "results" / "four_networks.json"
IMAGE = (1, 28, 28)

#: The nine modules of Szegedy et al. 2015, table 1: filters of the 1x1, before the 3x3, of the 3x3, before the 5x5, of
#: the 5x5, behind the pool.
MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def convolution(n_in: int, n_out: int, kernel: int, norm: bool, stride: int = 1, relu: bool = True) -> nn.Sequential:
    """A convolution that keeps the size (but for its stride), normalized or with a bias, and a ReLU."""
    made: list[nn.Module] = [nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, bias=not norm)]
    if norm:
        made.append(nn.BatchNorm2d(n_out))
    if relu:
        made.append(nn.ReLU())
    return nn.Sequential(*made)


def dense(sizes: Sequence[int]) -> list[nn.Module]:
    """Fully connected layers with ReLU and dropout between them, as in AlexNet and VGG."""
    made: list[nn.Module] = [nn.Flatten()]
    for n_in, n_out in pairwise(sizes[:-1]):
        made += [nn.Linear(n_in, n_out), nn.ReLU(), nn.Dropout(0.5)]
    return [*made, nn.Linear(sizes[-2], sizes[-1])]


def alexnet(divide: int = 8, norm: bool = False) -> nn.Sequential:
    """Five convolutions in one group, three fully connected layers; the first kernel is 5x5 with stride 2."""
    a, b, c, d, e, full = (n // divide for n in (96, 256, 384, 384, 256, 4096))
    respond = [] if norm else [nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)]
    pool = nn.MaxPool2d(3, 2, ceil_mode=True)
    return nn.Sequential(
        *(convolution(1, a, 5, norm, stride=2), *respond, pool),
        *(convolution(a, b, 5, norm), *respond, pool),
        *(convolution(b, c, 3, norm), convolution(c, d, 3, norm), convolution(d, e, 3, norm)),
        *dense((9 * e, full, full, 10)),
    )


def vgg(divide: int = 8, norm: bool = False) -> nn.Sequential:
    """Configuration D, thirteen convolutions and three fully connected layers; poolings round up, 28 to 1 pixel."""
    made, seen = [], 1
    for filters, repeats in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(repeats):
            made.append(convolution(seen, filters // divide, 3, norm))
            seen = filters // divide
        made.append(nn.MaxPool2d(2, ceil_mode=True))
    return nn.Sequential(*made, *dense((seen, 4096 // divide, 4096 // divide, 10)))


class Inception(nn.Module):
    """Four branches side by side, their channels stacked."""

    def __init__(self, n_in: int, row: Sequence[int], norm: bool) -> None:
        super().__init__()
        a, b, c, d, e, f = row
        self.branches = nn.ModuleList(
            [
                convolution(n_in, a, 1, norm),
                nn.Sequential(convolution(n_in, b, 1, norm), convolution(b, c, 3, norm)),
                nn.Sequential(convolution(n_in, d, 1, norm), convolution(d, e, 5, norm)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), convolution(n_in, f, 1, norm)),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def googlenet(divide: int = 8, norm: bool = False) -> nn.Sequential:
    """The stem without its first pooling, nine modules, a global average; no auxiliary heads."""
    respond = [] if norm else [nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)]
    seen = 192 // divide
    made: list[nn.Module] = [
        *(convolution(1, 64 // divide, 7, norm, stride=2), *respond),
        *(convolution(64 // divide, 64 // divide, 1, norm), convolution(64 // divide, seen, 3, norm), *respond),
        nn.MaxPool2d(3, 2, ceil_mode=True),
    ]
    for name, row in MODULES.items():
        if name in ("4a", "5a"):
            made.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        made.append(Inception(seen, [n // divide for n in row], norm))
        seen = sum(row[i] // divide for i in (0, 2, 4, 5))
    return nn.Sequential(*made, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.4), nn.Linear(seen, 10))


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut, which is a 1x1 convolution where the shape changes (option B)."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            convolution(n_in, n_out, 3, True, stride), convolution(n_out, n_out, 3, True, relu=False)
        )
        same = stride == 1 and n_in == n_out
        self.shortcut = nn.Identity() if same else convolution(n_in, n_out, 1, True, stride, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        return (self.branch(x) + self.shortcut(x)).relu()


def resnet(divide: int = 8, norm: bool = True) -> nn.Sequential:
    """ResNet-34: the stem without its pooling, sixteen basic blocks, a global average; it is normalized either way."""
    seen = 64 // divide
    made: list[nn.Module] = [convolution(1, seen, 7, True, stride=2)]
    for stage, (filters, repeats) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        for i in range(repeats):
            made.append(Block(seen, filters // divide, 2 if stage and i == 0 else 1))
            seen = filters // divide
    return nn.Sequential(*made, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(seen, 10))


NETWORKS = {"AlexNet": alexnet, "VGG-16": vgg, "GoogLeNet": googlenet, "ResNet-34": resnet}


def started(make, norm: bool, seed: int) -> nn.Sequential:
    """A network with He's initialization (fan-in) in every layer with weights, and biases of 0."""
    seed_everything(seed)
    model = make(norm=norm)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model


def data(examples: int, held_out: int = 1000) -> dict[str, tuple[Tensor, Tensor]]:
    """Training images, held-out ones (both from a fixed shuffle of the training set), and all test images."""
    images, labels = fashion_mnist()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    known, new = order[held_out : held_out + examples], order[:held_out]
    mean, std = images[known].mean(), images[known].std()
    test_images, test_labels = fashion_mnist(train=False)
    pairs = {"train": (images[known], labels[known]), "held_out": (images[new], labels[new])}
    pairs["test"] = (test_images, test_labels)
    return {name: ((x - mean) / std, y) for name, (x, y) in pairs.items()}


def fit(model: nn.Module, training: tuple[Tensor, Tensor], *, rate: float, epochs: int, seed: int) -> list[float]:
    """The recipe: SGD, momentum 0.9, weight decay 5e-4, batches of 64, the rate falling to 0 along a cosine.

    Returns:
        The mean loss of each epoch's batches; short of some where it became infinite or not a number.
    """
    steps = epochs * math.ceil(len(training[0]) / 64)
    history = train(
        model,
        training,
        optimizer=lambda params: torch.optim.SGD(params, lr=rate, momentum=0.9, weight_decay=5e-4),
        schedule=lambda step: {"lr": rate / 2 * (1 + math.cos(math.pi * step / steps))},
        loss_fn=F.cross_entropy,
        epochs=epochs,
        batch_size=64,
        seed=seed,
    )
    return history.epoch_loss()


def run(options: argparse.Namespace, record: dict, save) -> None:
    """Train each network that the record does not have yet, calling `save` after each."""
    place = device()
    sets = {name: tuple(t.to(place) for t in pair) for name, pair in data(options.examples).items()}
    for name, make in NETWORKS.items():
        with torch.device("meta"):
            rows = counting.layers(make().eval(), IMAGE)
        record["sizes"][name] = {
            "parameters": sum(row.parameters for row in rows),
            "macs": sum(row.macs for row in rows),
            "activations": sum(row.activations for row in rows),
            "weighted": counting.depth(rows),
        }
    wanted = [
        (seed, name, norm, rate)
        for seed in range(options.seeds)
        for name in NETWORKS
        for norm in ((True,) if name.startswith("ResNet") else (False, True))
        for rate in (options.norm_rates if norm and not name.startswith("ResNet") else options.rates)
    ]
    done = record["runs"]
    bar = tqdm(wanted, desc="networks", disable=None)
    for seed, name, norm, rate in bar:
        key = f"{name}, {'BN' if norm else 'plain'}, {rate:g}, {seed}"
        if key in done:
            continue
        bar.set_postfix_str(key)
        start = time.process_time()
        model = started(NETWORKS[name], norm, seed).to(place)
        losses = fit(model, sets["train"], rate=rate, epochs=options.epochs, seed=seed)
        spent = time.process_time() - start
        found = {"epoch_loss": [round(v, 4) if math.isfinite(v) else None for v in losses]}
        for part, pair in sets.items():
            loss, accuracy = evaluate(model, pair, loss_fn=F.cross_entropy)
            found[f"{part}_loss"] = round(loss, 4) if math.isfinite(loss) else None
            found[f"{part}_accuracy"] = round(accuracy, 5)
        done[key] = found | {"cpu_seconds": round(spent, 1)}
        save()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.01, 0.03, 0.1], help="learning rates to try")
    parser.add_argument(
        "--norm-rates", type=float, nargs="+", default=[0.03], help="rates for batch normalization in the other three"
    )
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds (default 3)")
    parser.add_argument("--epochs", type=int, default=6, help="passes over the training images (default 6)")
    parser.add_argument("--examples", type=int, default=5000, help="training images (default 5000)")
    parser.add_argument("--threads", type=int, default=1, help="threads on the CPU (default 1)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write (default: beside this script)")
    options = parser.parse_args(arguments)
    for name in ("seeds", "epochs", "examples", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1.")
    if bad := [r for r in [*options.rates, *options.norm_rates] if not 0 < r < math.inf]:
        parser.error(f"--rates must be positive numbers, not {bad[0]:g}.")
    if options.examples > (most := len(fashion_mnist()[0]) - 1000):
        parser.error(f"--examples can be {most} at most: 1,000 training images are held out.")

    torch.set_num_threads(options.threads)
    settings = {key: value for key, value in vars(options).items() if key not in ("out", "threads")}
    place = device()
    gpu = place.type == "cuda"
    record = {
        "what": "Four networks at an eighth of their channels on Fashion-MNIST, under one recipe",
        "command": shlex.join(
            ["python", "experiments/four_networks.py", *(sys.argv[1:] if arguments is None else arguments)]
        ),
        "date": datetime.now(UTC).date().isoformat(),
        "device": torch.cuda.get_device_name(place)
        if gpu
        else f"CPU, {options.threads} thread{'s' * (options.threads > 1)}",
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "settings": settings,
        "sizes": {},
        "runs": {},
    }
    part = options.out.with_suffix(".part")
    if part.exists():
        before = json.loads(part.read_text(encoding="utf-8"))
        if before["settings"] == settings:
            record["runs"] = before["runs"]
            print(f"{len(record['runs'])} networks are in {part} already: going on.", file=sys.stderr)

    def save() -> None:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(record), encoding="utf-8")

    run(options, record, save)
    record["runs"] = dict(sorted(record["runs"].items()))
    save()
    part.replace(options.out)
    print(f"Wrote {options.out}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
