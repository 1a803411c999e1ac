"""AlexNet, VGG-16, GoogLeNet and ResNet-50 at their full size, on Fashion-MNIST enlarged to 224 pixels.

The course's own four networks, as its assignments build them, each trained by the same recipe and with several seeds:
SGD with momentum, a cosine after one epoch of warm-up, clipped gradients (VGG has no normalization), mirror images,
crops of 224 pixels from images of 256. They are trained as `ravines train` does it, in bfloat16 where there is a GPU.

It is made for a GPU: on an H100 the 12 runs of 10 epochs over 60,000 images are half an hour of updates, on a CPU
weeks. Each run has a folder of its own with checkpoints, so a run that was stopped goes on where it was. What is
written are the curves: loss and accuracy after each epoch, images per second, device, versions, date and command.

    python experiments/full_size.py
    python experiments/full_size.py --networks alexnet --seeds 1 --epochs 1 --limit 40 --size 64 --out /tmp/try.json
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import statistics
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the script runs from a checkout without an installation, too

from ravines import counting, models  # noqa: E402
from ravines.reproduction import checkpoint, sources  # noqa: E402
from ravines.reproduction.distributed import Group, group  # noqa: E402
from ravines.reproduction.recipe import Recipe  # noqa: E402
from ravines.reproduction.report import read  # noqa: E402
from ravines.reproduction.trainer import LOG, Settings, Trainer, seeded  # noqa: E402

RESULTS = ROOT / "experiments" / "results" / "full_size.json"

#: The course's networks and their settings; those of the papers but for AlexNet's two processors and normalization.
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "alexnet": ("solutions/alexnet/alexnet.py:TorchvisionAlexNet", {}),
    "vgg": ("solutions/vgg/vgg.py:VGG", {"config": "D", "batch_norm": False}),
    "googlenet": ("solutions/googlenet/googlenet.py:TorchvisionGoogLeNet", {}),
    "resnet": ("solutions/resnet/resnet.py:resnet50", {}),
}
RECIPE = Recipe(
    name="full size",
    source="this course, for a comparison under one recipe",
    batch_size=128,
    lr=0.02,
    weight_decay=5e-4,
    schedule="cosine",
    warmup_epochs=1.0,
    clip=1.0,
)


def make(name: str, classes: int) -> nn.Module:
    """Return one of the networks, at full size."""
    spec, settings = NETWORKS[name]
    return models.make(str(ROOT / spec), num_classes=classes, **settings)


def curves(folder: Path) -> dict[str, Any]:
    """Return what a run's log says: one entry for each epoch."""
    lines = read(folder / LOG)
    ends = [line["update"] for line in lines["test"]]
    losses: list[list[float]] = [[] for _ in ends]
    for line in lines["train"]:
        epoch = sum(line["update"] > end for end in ends)
        if epoch < len(ends):
            losses[epoch].append(line["loss"])
    return {
        "train_loss": [round(statistics.fmean(found), 4) for found in losses],
        "test_loss": [round(line["loss"], 4) for line in lines["test"]],
        "top1": [round(line["top1"], 5) for line in lines["test"]],
        "top5": [round(line["topk"], 5) for line in lines["test"]],
        "images_per_second": round(statistics.median(line["images_per_s"] for line in lines["train"]), 1),
        "seconds": round(lines["test"][-1]["seconds"], 1),
    }


def train(name: str, seed: int, recipe: Recipe, splits: tuple, here: Group, folder: Path) -> dict[str, Any]:
    """Train one network, or go on with it, and return its curves."""
    gpu = here.device.type == "cuda"
    settings = Settings(
        amp="bf16" if gpu and torch.cuda.is_bf16_supported() else "off", channels_last=gpu, tf32=gpu, seed=seed
    )
    network = seeded(lambda: make(name, len(splits[0].classes)), seed)
    folder.mkdir(parents=True, exist_ok=True)
    # A run that was killed between two renamings has only the checkpoint before the last.
    started = any((folder / name).exists() for name in (checkpoint.FILE, checkpoint.PREVIOUS))
    if not started:
        (folder / LOG).unlink(missing_ok=True)  # it was stopped before its first checkpoint
    trainer = Trainer(
        network, recipe, splits, folder, here, settings, {"model": NETWORKS[name][0], "data": splits[0].name}
    )
    if started:
        trainer.resume()
    trainer.run()
    return curves(folder)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), help="which (default: all)")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds (default 3)")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the training images (default 10)")
    parser.add_argument("--size", type=int, default=224, help="height and width of a crop in pixels (default 224)")
    parser.add_argument("--limit", type=int, help="use so many images of each split")
    parser.add_argument("--embedded", action="store_true", help="the images that come with the course, not all 70,000")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "full_size", help="for checkpoints and logs")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write (default: beside this script)")
    options = parser.parse_args(arguments)
    for key in ("seeds", "epochs", "size"):
        if getattr(options, key) < 1:
            parser.error(f"--{key} must be at least 1.")

    whole = round(options.size * 256 / 224)
    recipe = RECIPE.changed(
        epochs=options.epochs,
        train_size=options.size,
        test_size=options.size,
        test_resize=whole,
        resize=whole,
        resize_to=whole,
    )
    full = not options.embedded and options.limit is None
    splits = tuple(split.limited(options.limit) for split in sources.load("fashion-mnist", full=full))
    said = [*(sys.argv[1:] if arguments is None else arguments)]
    with group() as here:
        record = {
            "what": "The course's four networks at full size on Fashion-MNIST, under one recipe",
            "command": shlex.join(["python", "experiments/full_size.py", *said]),
            "date": datetime.now(UTC).date().isoformat(),
            "device": torch.cuda.get_device_name(here.device) if here.device.type == "cuda" else "CPU",
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
            "recipe": recipe.to_dict(),
            "images": [len(split) for split in splits],
            "parameters": {},
            "runs": {},
        }
        for name in options.networks:
            with torch.device("meta"):
                record["parameters"][name] = counting.parameters(make(name, len(splits[0].classes)))
            for seed in range(options.seeds):
                print(f"{name}, seed {seed}", file=sys.stderr)
                folder = options.folder / f"{name}-{seed}"
                record["runs"][f"{name}-{seed}"] = train(name, seed, recipe, splits, here, folder)
                options.out.parent.mkdir(parents=True, exist_ok=True)
                options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"Wrote {options.out}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
