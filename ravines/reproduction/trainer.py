"""Training by a recipe: one process or many, killed and resumed, and always the same run."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from ravines.reproduction import checkpoint, optimization
from ravines.reproduction.batches import Batch, Batches
from ravines.reproduction.distributed import Group
from ravines.reproduction.evaluation import accuracy
from ravines.reproduction.recipe import Recipe
from ravines.reproduction.report import Board
from ravines.reproduction.sources import Split

LOG = "log.jsonl"


class TrainingError(RuntimeError):
    """Training cannot go on; the message says why and what to do. What was saved before is still there."""


@dataclass(frozen=True)
class Settings:
    """How a recipe is carried out on this machine; none of it should change what is learned.

    Attributes:
        amp: ``off``, ``bf16`` or ``fp16`` (with a scaled loss) for convolutions and matrix products.
        channels_last: whether images and weights lie in memory pixel by pixel.
        compile: whether torch.compile makes the network faster first.
        tf32: whether float32 products may be rounded to 10 bits on the GPU.
        accumulate: in how many parts a process's share of a batch is done, so that it fits into memory.
        sync_norm: whether batch normalization takes its statistics over the shares of all processes, as one process
            would; only on GPUs. Otherwise each process normalizes its own share.
        deterministic: whether a second run gives the same numbers to the last bit, on a GPU too.
        seed: of weights, order, crops and dropout.
        workers: how many processes read files, beside each training process.
        save_every: seconds between checkpoints within an epoch; after each epoch there is one anyway.
        log_every: updates between lines of the log.
    """

    amp: str = "off"
    channels_last: bool = False
    compile: bool = False
    tf32: bool = False
    accumulate: int = 1
    sync_norm: bool = False
    deterministic: bool = False
    seed: int = 0
    workers: int = 0
    save_every: float = 600.0
    log_every: int = 10


@dataclass
class Progress:
    """Where a run stands; saved with each checkpoint.

    Attributes:
        epoch: counted from 0.
        batch: of this epoch, the next one.
        update: how many there were over the whole run.
        lines: how many the log has.
        seconds: of training, over all sittings.
        since: of what was not logged yet: sum of losses, images.
        plateau: of the validation error.
        best: the highest top-1 accuracy so far, from 0 to 1.
    """

    epoch: int = 0
    batch: int = 0
    update: int = 0
    lines: int = 0
    seconds: float = 0.0
    since: list[float] = field(default_factory=lambda: [0.0, 0.0])
    plateau: optimization.Plateau = field(default_factory=optimization.Plateau)
    best: float = 0.0


class Trainer:
    """One training run in a folder.

    Args:
        model: with fresh weights, on any device.
        recipe: how to train it.
        splits: training and test images.
        folder: for the checkpoint and the log.
        group: the processes of the run.
        settings: how to carry it out here.
        about: what else the checkpoint and the log should say, such as the command.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        splits: tuple[Split, Split],
        folder: Path,
        group: Group,
        settings: Settings | None = None,
        about: dict[str, Any] | None = None,
    ) -> None:
        settings = settings or Settings()
        self.recipe, self.folder, self.group, self.settings, self.about = recipe, folder, group, settings, about or {}
        self.progress = Progress()
        prepare(settings)
        # After the weights: each process drops out its own activations.
        torch.manual_seed(settings.seed + group.rank)

        if settings.sync_norm and group.world > 1:
            if group.device.type != "cuda":
                raise TrainingError(
                    "PyTorch shares batch normalization's statistics among GPUs only: leave out --sync-norm, or use "
                    "one process."
                )
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        memory = torch.channels_last if settings.channels_last else torch.preserve_format
        self.model = model.to(group.device, memory_format=memory)
        self.average = (
            AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema), use_buffers=True)
            if recipe.ema
            else None
        )
        self.optimizer = optimization.optimizer(self.model, recipe, fused=group.device.type == "cuda")
        self.scaler = torch.amp.GradScaler(group.device.type, enabled=settings.amp == "fp16")
        network = torch.compile(self.model) if settings.compile else self.model
        if group.world > 1:
            ids = [group.device.index] if group.device.type == "cuda" else None
            network = DistributedDataParallel(network, device_ids=ids)
        self.network = network

        shared = {"seed": settings.seed, "device": group.device, "rank": group.rank, "world": group.world}
        shared |= {"workers": settings.workers, "batch_size": recipe.batch_size}
        self.train_batches = Batches(splits[0], recipe, training=True, **shared)
        self.test_batches = Batches(splits[1], recipe, training=False, **shared)
        self.classes = len(splits[0].classes)
        self._saved = time.monotonic()
        self._pending: Tensor | None = None
        self._board = Board(folder) if group.first else None

    # A run ---------------------------------------------------------------------------------------------------------

    def run(self, *, quiet: bool = False) -> dict[str, Any]:
        """Train to the recipe's last epoch, from where the run stands, and return the last line of the log.

        Raises:
            TrainingError: when the loss is no number, or memory runs out.
            CheckpointError: when a checkpoint cannot be written.
            DataError: when an image cannot be read.
        """
        if self.progress.lines == 0:
            self._write({"kind": "run", **self.about, "recipe": self.recipe.to_dict(), **self._machine()})
        last: dict[str, Any] = {}
        while self.progress.epoch < self.recipe.epochs:
            self._epoch(quiet)
            last = self._evaluate(quiet)
            self.progress.epoch, self.progress.batch = self.progress.epoch + 1, 0
            self.save()
        return last or self._last_line()

    def _epoch(self, quiet: bool) -> None:
        """Go through what is left of an epoch."""
        progress, total = self.progress, self.train_batches.steps
        self.network.train()
        began, images = time.monotonic(), 0
        bar = tqdm(
            total=total,
            initial=progress.batch,
            desc=f"epoch {progress.epoch + 1}/{self.recipe.epochs}",
            unit="batch",
            disable=True if quiet or not self.group.first else None,
        )
        with bar, self._explained():
            for batch in self.train_batches.epoch(progress.epoch, progress.batch):
                self._update(batch)
                progress.batch += 1
                progress.update += 1
                images += batch.whole
                now = time.monotonic()
                if progress.update % self.settings.log_every == 0 or progress.batch == total:
                    progress.seconds += now - began
                    loss = self._log(images / max(now - began, 1e-9))
                    per_batch = (now - began) * batch.whole / images
                    waiting = total * (self.recipe.epochs - progress.epoch) - progress.batch
                    bar.set_postfix(
                        loss=f"{loss:.3f}",
                        images_per_s=f"{images / max(now - began, 1e-9):,.0f}",
                        run_left=tqdm.format_interval(per_batch * waiting),
                    )
                    began, images = time.monotonic(), 0
                bar.update()
                # All processes must agree to save, since each saves its own random state.
                due = now - self._saved > self.settings.save_every
                at_line = progress.update % self.settings.log_every == 0 and progress.batch < total
                if at_line and self.group.share(due):
                    self.save()

    def _update(self, batch: Batch) -> None:
        """Do one update; what is added up for the log stays on the device."""
        recipe, progress = self.recipe, self.progress
        now = optimization.rate(recipe, progress.update, self.train_batches.steps, progress.plateau.drops)
        for group in self.optimizer.param_groups:
            group["lr"] = now
        self.optimizer.zero_grad(set_to_none=True)
        weight = optimization.mixture(recipe, self.settings.seed, progress.update)
        images = optimization.mixed(batch.images, weight)
        if self.settings.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        parts = max(1, min(self.settings.accumulate, len(images)))
        total = torch.zeros((), device=self.group.device, dtype=torch.float64)
        for k, (x, y) in enumerate(zip(images.tensor_split(parts), batch.targets.tensor_split(parts), strict=True)):
            waiting = k + 1 < parts and isinstance(self.network, DistributedDataParallel)
            with self.network.no_sync() if waiting else nullcontext():
                with self._autocast():
                    outputs = self.network(x)
                summed = optimization.loss(outputs, y, recipe, weight)
                # The mean over the whole batch; DistributedDataParallel divides by the number of processes again.
                self.scaler.scale(summed * (self.group.world / batch.whole)).backward()
            total += summed.detach()
        self.scaler.unscale_(self.optimizer)
        if recipe.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update_parameters(self.model)
        seen = torch.stack([total, total.new_tensor(float(len(batch.targets)))])
        self._pending = seen if self._pending is None else self._pending + seen

    def _evaluate(self, quiet: bool) -> dict[str, Any]:
        """Measure on the test images, write a line, and return it."""
        line: dict[str, Any] = {"kind": "test", "epoch": self.progress.epoch + 1, "update": self.progress.update}
        # Running statistics of batch normalization are each process's own: the first one's count.
        self.group.broadcast(list(self.model.buffers()))
        for name, model in (("", self.model), ("ema_", self.average)):
            if model is not None:
                with self._explained():
                    found = accuracy(
                        model, self.test_batches, self.group, self.classes, autocast=self._autocast, quiet=quiet
                    )
                line |= {name + key: value for key, value in found.items()}
        self.progress.plateau.note(1 - line["top1"], self.recipe)
        self.progress.best = max(self.progress.best, line["top1"], line.get("ema_top1", 0.0))
        line["seconds"] = self.progress.seconds
        self._write(line)
        if self.group.first and not quiet:
            k = line["k"]
            tqdm.write(
                f"epoch {line['epoch']:3d}  test loss {line['loss']:.4f}  top-1 {line['top1']:.2%}  "
                f"top-{k} {line['topk']:.2%}  images {line['images']:,}"
            )
        return line

    # State ---------------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write a checkpoint with everything that the next update depends on."""
        self._settle()
        randoms = self.group.gather(random_state(self.group.device))
        if self.group.first:
            checkpoint.save(
                self.folder,
                {
                    "model": self.model.state_dict(),
                    "average": self.average.state_dict() if self.average is not None else None,
                    "optimizer": self.optimizer.state_dict(),
                    "scaler": self.scaler.state_dict(),
                    "progress": dataclasses.asdict(self.progress),
                    "recipe": self.recipe.to_dict(),
                    "random": randoms,
                    "about": self.about,
                },
            )
        self._saved = time.monotonic()

    def resume(self) -> str:
        """Go on from the newest whole checkpoint; return what is to be said about it.

        Raises:
            CheckpointError: when there is none.
            TrainingError: when it is of another network, recipe or number of processes.
        """
        problem = ""
        try:
            state, said = checkpoint.load(self.folder)
        except checkpoint.CheckpointError as error:
            problem = str(error)
        problems = self.group.gather(problem)
        if any(problems):
            # Processes of another machine look into a folder of that name there.
            if not all(problems):
                problem = (
                    f"{next(filter(None, problems))} Other processes of this run have found theirs: on several "
                    "machines --out must be a folder that all of them see."
                )
            raise checkpoint.CheckpointError(problem)
        theirs = {k: v for k, v in state["recipe"].items() if k != "epochs"}
        ours = {k: v for k, v in self.recipe.to_dict().items() if k != "epochs"}
        changed = [key for key in ours if ours[key] != theirs.get(key)]
        if changed:
            key = changed[0]
            raise TrainingError(
                f"The run in {self.folder} has {key} = {theirs.get(key)}, and now it is {ours[key]}: resume with the "
                "same recipe and settings, or start in another folder."
            )
        try:
            self.model.load_state_dict(state["model"])
            if self.average is not None:
                self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise TrainingError(f"The checkpoint in {self.folder} is of another network: {reason}") from error
        self.scaler.load_state_dict(state["scaler"])
        saved = dict(state["progress"])
        self.progress = Progress(**{**saved, "plateau": optimization.Plateau(**saved["plateau"])})
        if len(state["random"]) == self.group.world:
            set_random_state(state["random"][self.group.rank], self.group.device)
        else:
            said += f" The run had {len(state['random'])} processes, now {self.group.world}: dropout draws anew."
        if self.group.first:
            self._cut_log()
        return said.strip()

    def _settle(self) -> None:
        """Take what was added up on the device into the progress, and refuse what is no number."""
        if self._pending is not None:
            found = self.group.sum(self._pending).tolist()
            self.progress.since = [a + b for a, b in zip(self.progress.since, found, strict=True)]
            self._pending = None
        if not math.isfinite(self.progress.since[0]):
            raise TrainingError(
                f"The loss is no number at update {self.progress.update} (epoch {self.progress.epoch + 1}). The last "
                f"good state is in {self.folder}: start anew with a lower --lr, with --clip 1, or with --amp bf16 in "
                "place of fp16."
            )

    def _log(self, images_per_second: float) -> float:
        """Write a line about the updates since the last, and return their mean loss."""
        self._settle()
        progress = self.progress
        loss = progress.since[0] / max(progress.since[1], 1.0)
        progress.since = [0.0, 0.0]
        self._write(
            {
                "kind": "train",
                "epoch": progress.epoch + progress.batch / self.train_batches.steps,
                "update": progress.update,
                "loss": loss,
                "lr": self.optimizer.param_groups[0]["lr"],
                "images_per_s": round(images_per_second, 1),
            }
        )
        return loss

    def _write(self, line: dict[str, Any]) -> None:
        self.progress.lines += 1
        if not self.group.first:
            return
        try:
            with (self.folder / LOG).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            if self._board is not None:
                self._board.add(line)
        except OSError as error:
            raise TrainingError(
                f"The log {self.folder / LOG} cannot be written ({error.strerror or error}): make room, then go on "
                "with --resume."
            ) from error

    def _cut_log(self) -> None:
        """Take away the lines that were written after the checkpoint: they will be written again."""
        path = self.folder / LOG
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
        path.write_text("".join(lines[: self.progress.lines]), encoding="utf-8")

    def _last_line(self) -> dict[str, Any]:
        lines = (self.folder / LOG).read_text(encoding="utf-8").splitlines()
        return json.loads(lines[-1]) if lines else {}

    # Machine -------------------------------------------------------------------------------------------------------

    def _autocast(self) -> Any:
        kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
        if self.settings.amp == "off":
            return nullcontext()
        return torch.autocast(self.group.device.type, dtype=kinds[self.settings.amp])

    def _machine(self) -> dict[str, Any]:
        device = self.group.device
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        return {
            "device": name,
            "processes": self.group.world,
            "torch": torch.__version__,
            "settings": dataclasses.asdict(self.settings),
            "date": time.strftime("%Y-%m-%d"),
        }

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn running out of memory, and what has no deterministic way, into a sentence."""
        try:
            yield
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                f"The GPU's memory is too small for {self.recipe.batch_size // self.group.world} images at once: try "
                f"--accumulate {2 * self.settings.accumulate}, --amp bf16, or a smaller --batch-size."
            ) from error
        except RuntimeError as error:
            if "does not have a deterministic implementation" in str(error):
                raise TrainingError(
                    f"On this device PyTorch has no deterministic {str(error).split()[0]}: leave out --deterministic, "
                    "or use --device cpu."
                ) from error
            if "can't allocate memory" not in str(error):
                raise
            raise TrainingError(
                f"Memory is too small for {self.recipe.batch_size // self.group.world} images at once: try "
                f"--accumulate {2 * self.settings.accumulate} or a smaller --batch-size."
            ) from error


def prepare(settings: Settings) -> None:
    """Set what PyTorch keeps for the whole process."""
    if settings.tf32:
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
    else:
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
    if settings.deterministic:
        # cuBLAS reads it when it starts; without it PyTorch refuses matrix products on a GPU.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = not settings.deterministic
    torch.use_deterministic_algorithms(settings.deterministic, warn_only=False)


def seeded(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Return a network whose random weights depend on the seed alone, the same on every process."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
    return make()


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Return the state of the generators that dropout draws from."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: dict[str, Tensor], device: torch.device) -> None:
    """Put the generators back to a state."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
