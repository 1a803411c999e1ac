"""What a command of the command line does, from words to a finished run."""

from __future__ import annotations

import importlib.util
import os
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from ravines import models
from ravines.data import DataError
from ravines.reproduction import distributed, measure, protocols, recipe, report, sources
from ravines.reproduction.trainer import Settings, Trainer, TrainingError, seeded

#: Updates from which a run is compiled: ResNet-50 gains 18 ms in each on an H100 (`benchmarks/results/training.json`),
#: so a minute of compiling has come back after some 3,000.
LONG_RUN = 10_000


def worth_compiling(updates: int, device: torch.device) -> bool:
    """Return whether a run is compiled unasked: it is long, on a GPU, and the machine has what Triton needs."""
    compilers = [os.environ["CC"]] if "CC" in os.environ else ["clang", "gcc"]
    return (
        updates >= LONG_RUN
        and device.type == "cuda"
        and importlib.util.find_spec("triton") is not None
        and any(map(shutil.which, compilers))
    )


def train(
    model: str,
    data: str,
    recipe_name: str,
    out: Path,
    *,
    command: str = "",
    resume: bool = False,
    full: bool = False,
    limit: int | None = None,
    size: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    mixup: float | None = None,
    ema: float | None = None,
    clip: float | None = None,
    seed: int = 0,
    device: str | None = None,
    amp: str = "auto",
    channels_last: bool | None = None,
    compile_: bool | None = None,
    tf32: bool = True,
    accumulate: int = 1,
    sync_norm: bool = False,
    deterministic: bool = False,
    workers: int | None = None,
    save_every: float = 600.0,
    log_every: int = 10,
    quiet: bool = False,
) -> dict[str, Any]:
    """Train as `ravines train` says, and return the last line of the log; arguments are its options."""
    chosen = recipe.load(recipe_name)
    crops = {}
    if size is not None:
        # Keep the recipe's proportions between crop and image.
        scale = size / chosen.train_size
        crops = {
            "train_size": size,
            "test_size": size,
            "test_resize": round(chosen.test_resize * size / chosen.test_size),
        }
        crops |= {"resize": round(chosen.resize * scale), "resize_to": round(chosen.resize_to * scale)}
    chosen = chosen.changed(epochs=epochs, batch_size=batch_size, lr=lr, mixup=mixup, ema=ema, clip=clip, **crops)
    with distributed.group(device) as group:
        if group.first:
            out.mkdir(parents=True, exist_ok=True)
            if not resume and (out / "log.jsonl").exists():
                problem = f"{out} has a run already: go on with --resume, or name another folder with --out."
            else:
                problem = ""
        else:
            problem = ""
        problem = group.share(problem)
        if problem:
            raise TrainingError(problem)
        _fetched(data, full, group)
        splits = tuple(split.limited(limit, seed) for split in sources.load(data, full=full))
        gpu = group.device.type == "cuda"
        if amp == "auto":
            amp = "bf16" if gpu and torch.cuda.is_bf16_supported() else "off"
        if compile_ is None:
            steps = max(1, len(splits[0]) // chosen.batch_size)
            compile_ = group.share(worth_compiling(chosen.epochs * steps, group.device))
        settings = Settings(
            amp=amp,
            channels_last=gpu if channels_last is None else channels_last,
            compile=compile_,
            tf32=tf32,
            accumulate=accumulate,
            sync_norm=sync_norm,
            deterministic=deterministic,
            seed=seed,
            workers=min(8, os.cpu_count() or 1) if workers is None else workers,
            save_every=save_every,
            log_every=log_every,
        )
        network = seeded(lambda: models.make(model, num_classes=len(splits[0].classes)), seed)
        about = {"command": command, "model": model, "data": data, "limit": limit}
        trainer = Trainer(network, chosen, splits, out, group, settings, about)
        if resume:
            said = trainer.resume()
            if said and group.first:
                print(said)
        last = trainer.run(quiet=quiet)
        if group.first:
            page = report.write(out)
            if not quiet:
                print(f"The curves: {page}")
        return last


def _fetched(data: str, full: bool, group: distributed.Group) -> None:
    """Let one process of each machine download; the others find it."""
    if group.world > 1:
        if group.local == 0:
            sources.load(data, full=full)
        group.gather(None)


def evaluate(
    model: str,
    data: str,
    *,
    weights: str | None = None,
    average: bool = False,
    protocol: str = "center",
    size: int | None = None,
    scales: str | None = None,
    real: Path | None = None,
    full: bool = False,
    limit: int | None = None,
    batch_size: int = 64,
    device: str | None = None,
    amp: str = "off",
    workers: int | None = None,
    seed: int = 0,
    quiet: bool = False,
) -> dict[str, Any]:
    """Measure as `ravines evaluate` says, and return what it prints; arguments are its options."""
    with distributed.group(device) as group:
        _fetched(data, full, group)
        split = sources.load(data, full=full)[1].limited(limit, seed)
        labels = measure.read_real(real, split) if real is not None else None
        of_torchvision = (weights or "").startswith("torchvision:")
        classes = None if of_torchvision else len(split.classes)
        network = seeded(lambda: models.make(model, num_classes=classes), seed)
        entry = measure.load_weights(network, weights, model, average=average) if weights else None
        if entry is not None and getattr(network, "transform_input", None) is False and "GoogLeNet" in str(entry):
            network.transform_input = True  # these weights came from another library, with its own normalization
        preset = entry.transforms() if entry is not None else None
        crop = size or (preset.crop_size[0] if preset else 224)
        resize = round(crop * preset.resize_size[0] / preset.crop_size[0]) if preset else round(crop * 256 / 224)
        if scales and not all(s.strip().isdigit() for s in scales.split(",")):
            raise DataError(f"--scales should be whole numbers with commas between, such as 224,256; not {scales!r}.")
        try:
            sides = tuple(int(s) for s in scales.split(",")) if scales else (resize,)
            chosen = protocols.Protocol(protocol, crop, sides)
        except ValueError as error:
            raise DataError(f"{error}") from None
        kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
        found = measure.measure(
            network,
            split,
            chosen,
            group,
            batch_size=batch_size,
            workers=min(8, os.cpu_count() or 1) if workers is None else workers,
            real=labels,
            autocast=lambda: torch.autocast(group.device.type, dtype=kinds[amp]) if amp in kinds else nullcontext(),
            quiet=quiet,
        )
        known = measure.published(entry, split)
        off = {f"{k}_off": found[k] - v for k, v in known.items() if k in found}
        return {
            "model": model,
            "data": split.name,
            "weights": weights,
            **found,
            **({"published": known} if known else {}),
            **off,
        }
