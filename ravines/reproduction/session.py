"""What a command of the command line does, from words to a finished run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from ravines import models
from ravines.reproduction import distributed, recipe, sources
from ravines.reproduction.trainer import Settings, Trainer, TrainingError, seeded


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
        # One process downloads; the others find it.
        if group.first:
            sources.load(data, full=full)
        group.share(None)
        splits = tuple(split.limited(limit, seed) for split in sources.load(data, full=full))
        gpu = group.device.type == "cuda"
        if amp == "auto":
            amp = "bf16" if gpu and torch.cuda.is_bf16_supported() else "off"
        settings = Settings(
            amp=amp,
            channels_last=gpu if channels_last is None else channels_last,
            compile=bool(compile_),
            tf32=tf32,
            accumulate=accumulate,
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
        return trainer.run(quiet=quiet)
