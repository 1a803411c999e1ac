"""How long torchvision's networks take for an image on this CPU, beside what they compute and what they move.

For each network, with random weights and in eval mode, the time of a forward pass at batch 1 and at a larger batch;
for some of them also the time of every convolution and every fully connected layer within the pass at batch 1. A time
is the process CPU time of one thread, and the least of several repeats, for the machine may be busy with other things:
other processes then take turns with this one, which CPU time does not count, but they also use the caches and the
memory, which it does.

Beside the times stand counts: parameters, multiply-accumulates, and the bytes that have to be moved at least, float32:
the weights once, and the input and the output of every convolution and fully connected layer.

The page `book/comparison.md` draws what this writes. About a minute and a half.

    python experiments/inference_time.py
    python experiments/inference_time.py --networks alexnet resnet18 --size 64 --repeats 2 --out /tmp/try.json
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn
from torchvision import models
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the script runs from a checkout without an installation, too

from ravines import counting  # noqa: E402

RESULTS = ROOT / "experiments" / "results" / "inference_time.json"
NETWORKS = (
    *("alexnet", "vgg11", "vgg16", "vgg19", "googlenet"),
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *("squeezenet1_1", "densenet121", "mobilenet_v2", "shufflenet_v2_x1_0", "efficientnet_b0", "resnext50_32x4d"),
    "convnext_tiny",
)
LAYERWISE = ("alexnet", "vgg16", "resnet50", "mobilenet_v2")
BYTES = 4  # of a float32


def make(name: str) -> nn.Module:
    """A network of torchvision with random weights, in eval mode."""
    options = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    torch.manual_seed(0)
    return getattr(models, name)(weights=None, **options).eval()


def moved(module: nn.Module, given: Tensor, output: Tensor) -> int:
    """The bytes of a layer's weights, its input and its output."""
    return BYTES * (counting.parameters(module) + given.numel() + output.numel())


def weighted(model: nn.Module) -> dict[str, nn.Module]:
    """The convolutions and fully connected layers by name."""
    return {n: m for n, m in model.named_modules() if isinstance(m, counting.WEIGHTED)}


def bytes_by_layer(model: nn.Module, images: Tensor) -> dict[str, int]:
    """What every layer with weights moves at least, for this batch."""
    found: dict[str, int] = {}

    def after(name: str) -> Callable[..., None]:
        return lambda module, given, output: found.update({name: moved(module, given[0], output)})

    hooks = [m.register_forward_hook(after(n)) for n, m in weighted(model).items()]
    with torch.inference_mode():
        model(images)
    for hook in hooks:
        hook.remove()
    return found


def least(call: Callable[[], object], repeats: int) -> float:
    """The least process CPU time of several calls, in seconds, after one that does not count."""
    call()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def time_by_layer(model: nn.Module, images: Tensor, repeats: int) -> dict[str, float]:
    """The least process CPU time of each layer with weights within a forward pass, in seconds."""
    found: dict[str, float] = {}
    begun: list[float] = []

    def before(module: nn.Module, given: tuple) -> None:
        begun.append(time.process_time())

    def after(name: str) -> Callable[..., None]:
        def stop(module: nn.Module, given: tuple, output: Tensor) -> None:
            took = time.process_time() - begun.pop()
            found[name] = min(took, found.get(name, took))

        return stop

    hooks = [
        h
        for n, m in weighted(model).items()
        for h in (m.register_forward_pre_hook(before), m.register_forward_hook(after(n)))
    ]
    with torch.inference_mode():
        for _ in range(repeats + 1):
            model(images)
    for hook in hooks:
        hook.remove()
    return found


def measure(name: str, size: int, batch: int, repeats: int) -> dict:
    """Counts and times of one network."""
    model = make(name)
    rows = counting.layers(model, (3, size, size))
    one, many = torch.randn(1, 3, size, size), torch.randn(batch, 3, size, size)
    by_layer = bytes_by_layer(model, one)
    with torch.inference_mode():
        logits = model(one)
        found = {
            "parameters": counting.parameters(model),
            "macs": sum(row.macs for row in rows),
            "bytes": sum(by_layer.values()),
            "finite": bool(torch.isfinite(logits).all()),
            "ms": round(1e3 * least(lambda: model(one), repeats), 3),
            "ms_in_batch": round(1e3 * least(lambda: model(many), repeats) / batch, 3),
        }
    if name in LAYERWISE:
        took = time_by_layer(model, one, repeats)
        found["layers"] = [
            {"name": row.name, "kind": row.kind, "macs": row.macs, "bytes": by_layer[row.name]}
            | {"ms": round(1e3 * took[row.name], 4)}
            | {"groups": getattr(model.get_submodule(row.name), "groups", 1)}
            for row in rows
            if row.weighted
        ]
    return found


def processor() -> str:
    """The name that the processor gives itself, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), help="names in torchvision.models")
    parser.add_argument("--size", type=int, default=224, help="height and width of an image (default 224)")
    parser.add_argument("--batch", type=int, default=8, help="images of the larger batch (default 8)")
    parser.add_argument("--repeats", type=int, default=5, help="passes of which the fastest counts (default 5)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write (default: beside this script)")
    options = parser.parse_args(arguments)
    for name in ("size", "batch", "repeats"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1.")
    if unknown := [n for n in options.networks if n not in models.list_models()]:
        parser.error(f"torchvision has no network {unknown[0]!r}.")

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # numbers below 1e-38 would cost time that trained weights do not
    record = {
        "what": "Process CPU time of a forward pass, one thread, the least of several",
        "command": shlex.join(
            ["python", "experiments/inference_time.py", *(sys.argv[1:] if arguments is None else arguments)]
        ),
        "date": datetime.now(UTC).date().isoformat(),
        "device": f"{processor()}, 1 thread",
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
        },
        "settings": {key: value for key, value in vars(options).items() if key != "out"},
        "networks": {},
    }
    for name in tqdm(options.networks, desc="networks", disable=None):
        record["networks"][name] = measure(name, options.size, options.batch, options.repeats)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(record), encoding="utf-8")
    print(f"Wrote {options.out}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
