"""What each block of a deep network adds: linear probes, the size of every branch, and activation maps, by depth.

Trains convolutional networks of 6 n + 2 layers on Fashion-MNIST, with shortcuts and without, several seeds; they are
those of `experiments/loss_surface.py`. Then, in eval mode and at every depth (after the stem and after each block), it

- fits a linear probe: ridge regression in closed form, from all numbers of that depth to the ten classes, on the
  training images, and measures its test accuracy (Alain and Bengio 2017). The same before training, as a control, and
  for the pixels;
- compares what a residual block adds with what it is given: |F(x)| / |x|, and the cosine of the angle between the two;
- keeps the mean over the channels of a few test images at a few depths (first seed, with shortcuts).

The page `book/resnet.md` draws what this writes. About seven minutes of one core; a run that was stopped goes on where
it was.

    python experiments/resnet_features.py
    python experiments/resnet_features.py --depth 8 --seeds 1 --epochs 1 --examples 500 --out /tmp/try.json
"""

from __future__ import annotations

import argparse
import json
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

from experiments.loss_surface import Block, data, fit, network  # noqa: E402
from ravines.data import device, seed_everything  # noqa: E402
from ravines.training import evaluate  # noqa: E402

RESULTS = ROOT / "experiments" / "results" / "resnet_features.json"
RIDGE = 0.01  # the penalty per example, of features that are standardised


def settle(model: nn.Module, images: Tensor) -> None:
    """Give the normalization layers the statistics of these images, which an untrained network has not seen yet."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    kept = [m.momentum for m in norms]
    for m in norms:
        m.reset_running_stats()
        m.momentum = None  # an average over all batches
    model.train()
    with torch.no_grad():
        for part in images.split(1000):
            model(part)
    for m, momentum in zip(norms, kept, strict=True):
        m.momentum = momentum


def by_depth(model: nn.Sequential, images: Tensor) -> list[Tensor]:
    """The activations (n, channels, height, width) after the stem and after each block, in eval mode."""
    model.eval()
    found: list[list[Tensor]] = []
    with torch.no_grad():
        for part in images.split(1000):
            seen, h = [], part
            for i, module in enumerate(model):
                following = model[i + 1] if i + 1 < len(model) else None
                if isinstance(module, nn.AdaptiveAvgPool2d):
                    break
                h = module(h)
                stem_ends = isinstance(following, Block) and not isinstance(module, Block)
                if isinstance(module, Block) or stem_ends:
                    seen.append(h)
            found.append(seen)
    return [torch.cat(parts) for parts in zip(*found, strict=True)]


def probe(features: Tensor, labels: Tensor, test_features: Tensor, test_labels: Tensor) -> float:
    """The test accuracy of a linear map to ten classes, by ridge regression on one-hot labels, in float64.

    Args:
        features: (n, ...), flattened and standardised here with the training images' mean and deviation; a feature
            that is the same in all of them is left out.
        labels: (n,).
        test_features: (m, ...).
        test_labels: (m,).
    """
    x, x_test = features.flatten(1).double(), test_features.flatten(1).double()
    mean, std = x.mean(0), x.std(0)
    alive = std > 1e-6
    x, x_test = ((part - mean)[:, alive] / std[alive] for part in (x, x_test))
    y = F.one_hot(labels, 10).double()
    gram = x.T @ x + RIDGE * len(x) * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    w = torch.linalg.solve(gram, x.T @ (y - y.mean(0)))
    guessed = (x_test @ w + y.mean(0)).argmax(1)
    return (guessed == test_labels).double().mean().item()


def branches(model: nn.Sequential, images: Tensor) -> tuple[list[float], list[float]]:
    """|F(x)| / |shortcut of x| of each residual block, and the cosine of their angle, medians over images."""
    caught: list[tuple[Tensor, Tensor]] = []

    def after(block: Block, given: tuple[Tensor], output: Tensor) -> None:
        x, s = given[0], block.stride
        caught.append((branch.pop(), F.pad(x[:, :, ::s, ::s], (0, 0, 0, 0, 0, block.grows))))

    branch: list[Tensor] = []
    blocks = [m for m in model if isinstance(m, Block)]
    hooks = [b.second_norm.register_forward_hook(lambda m, given, output: branch.append(output)) for b in blocks]
    hooks += [b.register_forward_hook(after) for b in blocks]
    model.eval()
    with torch.no_grad():
        model(images)
    for hook in hooks:
        hook.remove()
    ratios, cosines = [], []
    for f, x in caught:
        f, x = f.flatten(1).double(), x.flatten(1).double()
        ratios.append((f.norm(dim=1) / x.norm(dim=1)).median().item())
        cosines.append(F.cosine_similarity(f, x, dim=1).median().item())
    return ratios, cosines


def measure(
    model: nn.Sequential, training: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], shortcut: bool
) -> dict[str, list[float]]:
    """Probes at every depth and, with shortcuts, the branches."""
    known, new = by_depth(model, training[0]), by_depth(model, test[0])
    found = {"probe": [round(probe(a, training[1], b, test[1]), 5) for a, b in zip(known, new, strict=True)]}
    if shortcut:
        ratios, cosines = branches(model, test[0])
        found["branch"] = [round(v, 5) for v in ratios]
        found["cosine"] = [round(v, 5) for v in cosines]
    return found


def maps(model: nn.Sequential, images: Tensor, depths: list[int]) -> dict[str, list]:
    """The mean over the channels, (images, height, width), after the stem (0) and after the blocks of these numbers."""
    seen = by_depth(model, images)
    rounded = {d: (seen[d].mean(1).double() * 1000).round() / 1000 for d in depths}
    return {str(d): values.tolist() for d, values in rounded.items()}


def first_of_classes(labels: Tensor, classes: list[int]) -> list[int]:
    """The number of the first example of each class."""
    return [int((labels == c).nonzero()[0]) for c in classes]


def run(options: argparse.Namespace, record: dict, save) -> None:
    """Train and measure each network that the record does not have yet, calling `save` after each."""
    training, test = data(options.examples)
    place = device()
    training, test = (tuple(t.to(place) for t in pair) for pair in (training, test))
    record["pixels"] = round(probe(training[0], training[1], test[0], test[1]), 5)
    record["shown"] = first_of_classes(test[1], options.classes)
    done = record["networks"]
    wanted = [
        (shortcut, seed)
        for seed in range(options.seeds)
        for shortcut in (True, False)
        if f"{'residual' if shortcut else 'plain'}-{options.depth}-{seed}" not in done
    ]
    bar = tqdm(wanted, desc="networks", disable=None)
    for shortcut, seed in bar:
        name = f"{'residual' if shortcut else 'plain'}-{options.depth}-{seed}"
        bar.set_postfix_str(name)
        start = time.perf_counter()
        seed_everything(seed)
        model = network(options.depth, shortcut).to(place)
        settle(model, training[0])
        before = measure(model, training, test, shortcut)
        seed_everything(seed)
        model = network(options.depth, shortcut).to(place)
        losses = fit(model, training, options.epochs, seed)
        found = {
            "parameters": sum(p.numel() for p in model.parameters()),
            "epoch_loss": [round(loss, 4) for loss in losses],
            "train_loss": round(evaluate(model, training, loss_fn=F.cross_entropy)[0], 5),
            "test_accuracy": round(evaluate(model, test, loss_fn=F.cross_entropy)[1], 5),
            "untrained": before,
            "trained": measure(model, training, test, shortcut),
        }
        if shortcut and seed == 0:
            n = (options.depth - 2) // 6
            found["maps"] = maps(model, test[0][record["shown"]], sorted({0, 1, n, n + 1, 2 * n, 2 * n + 1, 3 * n}))
        found["seconds"] = round(time.perf_counter() - start, 1)
        done[name] = found
        save()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depth", type=int, default=32, help="layers, 6 n + 2 (default 32)")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds (default 3)")
    parser.add_argument("--epochs", type=int, default=15, help="passes over the training images (default 15)")
    parser.add_argument("--examples", type=int, default=10000, help="training images (default 10000)")
    parser.add_argument("--classes", type=int, nargs="+", default=[1, 5, 6, 8], help="classes to draw an image of")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write (default: beside this script)")
    options = parser.parse_args(arguments)
    if options.depth < 8 or (options.depth - 2) % 6:
        parser.error(f"--depth must be 6 n + 2, such as 8, 20 or 56, not {options.depth}.")
    for name in ("seeds", "epochs", "examples"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1.")
    if bad := [c for c in options.classes if not 0 <= c <= 9]:
        parser.error(f"--classes must be from 0 to 9, not {bad[0]}.")

    settings = {key: value for key, value in vars(options).items() if key != "out"} | {"ridge": RIDGE}
    place, threads = device(), torch.get_num_threads()
    record = {
        "what": "Features of networks on Fashion-MNIST by depth, with shortcuts and without",
        "command": shlex.join(["python", "experiments/resnet_features.py", *(arguments or sys.argv[1:])]),
        "date": datetime.now(UTC).date().isoformat(),
        "device": torch.cuda.get_device_name(place)
        if place.type == "cuda"
        else f"CPU, {threads} thread{'s' * (threads > 1)}",
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

    run(options, record, save)
    record["networks"] = dict(sorted(record["networks"].items()))
    save()
    part.replace(options.out)
    print(f"Wrote {options.out}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
