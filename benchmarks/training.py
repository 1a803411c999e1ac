"""How fast the course's networks run and train beside torchvision's, and what fast settings are worth.

    python benchmarks/training.py --help
    python benchmarks/training.py                       a GPU, where there is one; some minutes
    python benchmarks/training.py --device cpu --batch-size 2 --size 64 --repeats 3 --networks resnet

Each of the course's four networks is measured beside torchvision's same network in one run, in turns, so that a machine
that slows down slows both. Three settings: plain use (float32, eager, NCHW, no TF32), what `ravines train` does on a
GPU by default (bfloat16, channels last, TF32, a fused optimizer), and best use (torch.compile as well). Data is in
memory already. The figures go to `results/training.json`.
"""

from __future__ import annotations

import json
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the script runs from a checkout without an installation, too

from experiments.full_size import NETWORKS as OURS  # noqa: E402
from ravines import models  # noqa: E402
from ravines.data import device as default_device  # noqa: E402

RESULTS = Path(__file__).resolve().parent / "results" / "training.json"

THEIRS = {
    "alexnet": "torchvision:alexnet",
    "vgg": "torchvision:vgg16",
    "googlenet": "torchvision:googlenet",
    "resnet": "torchvision:resnet50",
}
#: name -> the course's network and its settings, and torchvision's.
NETWORKS: dict[str, tuple[str, dict[str, Any], str]] = {name: (*ours, THEIRS[name]) for name, ours in OURS.items()}


@dataclass(frozen=True)
class Setting:
    """How a network is used: ``plain``, ``default`` or ``best``."""

    name: str
    autocast: bool
    channels_last: bool
    compiled: bool
    tf32: bool
    fused: bool


SETTINGS = {
    "plain": Setting("plain", False, False, False, False, False),
    "default": Setting("default", True, True, False, True, True),
    "best": Setting("best", True, True, True, True, True),
}


class Runner:
    """One network in one setting, ready to run a forward pass or a training step."""

    def __init__(self, make: Callable[[], nn.Module], setting: Setting, device: torch.device, batch: int, size: int):
        torch.manual_seed(0)
        memory = torch.channels_last if setting.channels_last else torch.contiguous_format
        self.setting, self.device = setting, device
        self.model = make().to(device, memory_format=memory)
        self.network = torch.compile(self.model) if setting.compiled else self.model
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=0.001, momentum=0.9, fused=True if setting.fused else None
        )
        self.images = torch.randn(batch, 3, size, size, device=device).to(memory_format=memory)
        self.targets = torch.randint(1000, (batch,), device=device)

    def _autocast(self) -> Any:
        return torch.autocast(self.device.type, torch.bfloat16) if self.setting.autocast else nullcontext()

    def _prepare(self, training: bool) -> None:
        torch.set_float32_matmul_precision("high" if self.setting.tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = self.setting.tf32
        torch.backends.cudnn.benchmark = True
        self.model.train(training)

    def forward(self) -> None:
        """Run one batch without gradients, in evaluation mode."""
        self._prepare(False)
        with torch.no_grad(), self._autocast():
            self.network(self.images)

    def step(self) -> None:
        """Do one update."""
        self._prepare(True)
        with self._autocast():
            outputs = self.network(self.images)
            heads = (outputs,) if isinstance(outputs, torch.Tensor) else tuple(o for o in outputs if o is not None)
            loss = sum(F.cross_entropy(logits.float(), self.targets) for logits in heads)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()


def seconds(work: Callable[[], None], device: torch.device, inner: int) -> float:
    """Return the seconds of one call, over ``inner`` calls in a row."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    for _ in range(inner):
        work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - began) / inner


def peak(work: Callable[[], None], device: torch.device) -> float | None:
    """Return the GPU memory in MiB that a call needs at most, with all that is there already; None on a CPU."""
    if device.type != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats(device)
    work()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) / 2**20


def pair(
    makers: dict[str, Callable[[], nn.Module]],
    setting: Setting,
    device: torch.device,
    batch: int,
    size: int,
    repeats: int,
    inner: int,
) -> dict[str, Any]:
    """Measure both networks in turns; return images per second, memory, and the ratio of ours to theirs.

    The ratio is the median over the turns of theirs' seconds by ours', so that what changes slowly falls out.
    """
    found: dict[str, Any] = {}
    runners = {who: Runner(make, setting, device, batch, size) for who, make in makers.items()}
    for what in ("forward", "step"):
        works = {who: getattr(runner, what) for who, runner in runners.items()}
        memory = {}
        for who, work in works.items():
            for _ in range(3):
                work()
            memory[who] = peak(work, device)
        times: dict[str, list[float]] = {who: [] for who in works}
        for turn in range(repeats):
            for who in sorted(works, reverse=bool(turn % 2)):
                times[who].append(seconds(works[who], device, inner))
        ratios = [b / a for a, b in zip(times["ours"], times["torchvision"], strict=True)]
        found[what] = {
            "images_per_s": {who: round(batch / statistics.median(t), 2) for who, t in times.items()},
            "peak_mib": {who: m if m is None else round(m) for who, m in memory.items()},
            "ratio": round(statistics.median(ratios), 4),
            "ratio_range": [round(min(ratios), 4), round(max(ratios), 4)],
        }
    return found


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--networks", default=",".join(NETWORKS), show_default=True, help="Which, with commas between.")
@click.option("--settings", default=",".join(SETTINGS), show_default=True, help="Which, with commas between.")
@click.option("--device", help="Such as cpu or cuda (default: a GPU where there is one).")
@click.option("--batch-size", type=click.IntRange(1), help="Images at once (default: 128 on a GPU, 2 elsewhere).")
@click.option("--size", type=click.IntRange(32), default=224, show_default=True, help="Height and width, in pixels.")
@click.option("--repeats", type=click.IntRange(1), default=7, show_default=True, help="Turns of each network.")
@click.option("--inner", type=click.IntRange(1), help="Calls in a turn (default: 10 on a GPU, 1 elsewhere).")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default=RESULTS, show_default=True)
def main(
    networks: str,
    settings: str,
    device: str | None,
    batch_size: int | None,
    size: int,
    repeats: int,
    inner: int | None,
    out: Path,
) -> None:
    """Measure the course's networks beside torchvision's, forward and in training."""
    for given, known in ((networks, NETWORKS), (settings, SETTINGS)):
        for name in given.split(","):
            if name not in known:
                raise click.UsageError(f"There is no {name!r}; use {', '.join(known)}.")
    where = torch.device(device) if device else default_device()
    gpu = where.type == "cuda"
    batch, inner = batch_size or (128 if gpu else 2), inner or (10 if gpu else 1)
    results: dict[str, Any] = {}
    record = {
        "command": "python benchmarks/training.py " + shlex.join(sys.argv[1:]),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "device": torch.cuda.get_device_name(where) if gpu else f"{platform.machine()} CPU",
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
        },
        "batch_size": batch,
        "size": size,
        "results": results,
    }
    for name in networks.split(","):
        ours, given, theirs = NETWORKS[name]
        makers = {
            "ours": lambda ours=ours, given=given: models.make(str(ROOT / ours), **given),
            "torchvision": lambda theirs=theirs: models.make(theirs),
        }
        results[name] = {}
        for key in settings.split(","):
            results[name][key] = found = pair(makers, SETTINGS[key], where, batch, size, repeats, inner)
            for what, figures in found.items():
                speed = figures["images_per_s"]
                click.echo(
                    f"{name:10s} {key:8s}{what:8s} ours {speed['ours']:10,.1f}  torchvision "
                    f"{speed['torchvision']:10,.1f} images per second, ratio {figures['ratio']:.3f}"
                )
            if gpu:
                torch.cuda.empty_cache()
        for key in ("default", "best"):
            if {"plain", key} <= set(results[name]):
                ours = results[name][key]["step"]["images_per_s"]["ours"]
                plain = results[name]["plain"]["step"]["images_per_s"]["torchvision"]
                results[name][f"{key}_of_ours_by_plain_torchvision"] = round(ours / plain, 3)
                click.echo(f"{name:10s} training, ours in {key} use by torchvision in plain use: {ours / plain:.2f}")
        # What was measured is kept when a later network fails.
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    click.echo(f"Written to {out}")


if __name__ == "__main__":
    main()
