"""A training loop to read: any model, optimizer and schedule, on any device, the same every time for a seed.

`train` runs it and returns a `History`; `evaluate` measures a model on data; `over_seeds` repeats an experiment and
stacks what it returns.
"""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ravines.data import seed_everything

Data = tuple[Tensor, Tensor]
"""`(inputs, targets)`, examples along the first dimension of both."""

LossFunction = Callable[[Tensor, Tensor], Tensor]
"""`loss_fn(outputs, targets)` -> the mean over the examples, a tensor of no dimensions."""

Callback = Callable[[int, nn.Module, torch.optim.Optimizer, "History"], Any]
"""`callback(step, model, optimizer, history)`, called after each update; `step` counts from 0."""


@dataclass
class History:
    """What happened in one training run; the lists of one group have one entry per event.

    Attributes:
        loss: the loss of each step's batch, before its update.
        lr: the learning rate of each step (the first parameter group's).
        eval_step: after how many updates each evaluation was made; 0 is before training.
        eval_loss: the mean loss on `eval_data`.
        eval_accuracy: the share of `eval_data` classified correctly, 0 to 1; nan unless targets are class labels.
        extra: what a schedule set besides the learning rate, and what callbacks recorded, by name.
        steps_per_epoch: how many steps are one pass over the data.
        diverged: whether training stopped because the loss was infinite or not a number; that loss is the last one in
            `loss`, and no update was made with it.
        seconds: wall-clock time of the run, evaluations and callbacks included; not compared by `==`.
    """

    loss: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    eval_step: list[int] = field(default_factory=list)
    eval_loss: list[float] = field(default_factory=list)
    eval_accuracy: list[float] = field(default_factory=list)
    extra: dict[str, list[float]] = field(default_factory=dict)
    steps_per_epoch: int = 1
    diverged: bool = False
    seconds: float = field(default=0.0, compare=False)

    def record(self, name: str, value: float) -> None:
        """Append `value` to the list `name` of `extra`."""
        self.extra.setdefault(name, []).append(float(value.detach() if isinstance(value, Tensor) else value))

    def epoch_loss(self) -> list[float]:
        """The mean of `loss` over each epoch, the last one possibly incomplete."""
        starts = range(0, len(self.loss), self.steps_per_epoch)
        return [float(np.mean(self.loss[i : i + self.steps_per_epoch])) for i in starts]

    def to_dict(self) -> dict[str, Any]:
        """Everything in plain lists and numbers, ready for JSON, with `epoch_loss`."""
        extra = {name: list(values) for name, values in self.extra.items()}
        return vars(self) | self._lists() | {"extra": extra, "epoch_loss": self.epoch_loss()}

    def as_arrays(self) -> dict[str, np.ndarray]:
        """Each list as a NumPy array, with `epoch_loss` and the entries of `extra` under their own names."""
        lists = self._lists() | {"epoch_loss": self.epoch_loss()} | self.extra
        return {name: np.asarray(values) for name, values in lists.items()}

    def _lists(self) -> dict[str, list]:
        return {name: list(value) for name, value in vars(self).items() if isinstance(value, list)}


def train(
    model: nn.Module,
    data: Data,
    *,
    optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer] | torch.optim.Optimizer,
    loss_fn: LossFunction,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int | None = None,
    schedule: Callable[[Any], Any] | None = None,
    device: torch.device | str | None = None,
    seed: int = 0,
    eval_data: Data | None = None,
    eval_every: int | None = None,
    callbacks: Iterable[Callback] = (),
    progress: bool | None = None,
) -> History:
    """Train `model` in place by mini-batch descent.

    The run is a function of its arguments: the order of the examples comes from a generator of its own, the same on
    every device, and dropout masks from PyTorch's generators, which are seeded for the run and put back after it. The
    model trains in train mode; submodules put in eval mode beforehand stay so, unless the whole model was, and each
    module gets back the mode it came with.

    Args:
        model: any module that maps a batch of inputs to outputs.
        data: `(inputs, targets)`, moved to the device once.
        optimizer: makes an optimizer from the list of trainable parameters, such as
            `lambda params: SGD(params, lr=0.1)`; or an optimizer already made of this model's parameters.
        loss_fn: `loss_fn(outputs, targets)` -> the mean loss, one number.
        epochs, steps: how long: passes over the data, or updates. Exactly one of them.
        batch_size: examples per step, drawn without replacement in each epoch, the last batch possibly smaller. By
            default all of them, in their own order: gradient descent.
        schedule: either `step -> {"lr": ..., "momentum": ...}`, any settings of the optimizer's parameter groups,
            applied to all of them before step 0, 1, ...; or what makes a `torch.optim.lr_scheduler` from the
            optimizer, whose `step()` is called after each update (not each epoch). `schedule(0)` is tried first.
        device: where to train; the model is moved there and stays. By default where its parameters are.
        seed: of the order of the examples and of the dropout masks.
        eval_data: `(inputs, targets)` to evaluate on before the first step, at `eval_every`, and at the end.
        eval_every: updates between evaluations; by default one epoch when `epochs` is given, else only the ends.
        callbacks: each called as `callback(step, model, optimizer, history)` after each update.
        progress: whether to show a bar on standard error; by default only when that is a terminal.

    Returns:
        The history. A loss that is infinite or not a number ends the run early, without an error: see
        `History.diverged`.

    Raises:
        ValueError: data that are empty or of unequal length, or a number out of range.
        TypeError: an optimizer or schedule that is neither of its two kinds.
    """
    device = _device_of(model) if device is None else torch.device(device)
    inputs, targets = _on_device(data, "data", device)
    held_out = None if eval_data is None else _on_device(eval_data, "eval_data", device)
    n = len(inputs)
    _check_positive(epochs=epochs, steps=steps, batch_size=batch_size, eval_every=eval_every)
    if (epochs is None) == (steps is None):
        raise ValueError("Give either epochs or steps, one of the two, to say how long to train.")
    steps_per_epoch = 1 if batch_size is None else math.ceil(n / batch_size)
    if steps is None:
        steps = epochs * steps_per_epoch
        eval_every = eval_every or steps_per_epoch

    model.to(device)
    optimizer = _make_optimizer(optimizer, model)
    before_step, after_step = _make_schedule(schedule, optimizer)
    step_takes_closure = _requires_closure(optimizer)
    history = History(steps_per_epoch=steps_per_epoch)

    def evaluate_now(updates: int) -> None:
        if held_out is not None:
            loss, accuracy = evaluate(model, held_out, loss_fn=loss_fn)
            history.eval_step.append(updates)
            history.eval_loss.append(loss)
            history.eval_accuracy.append(accuracy)

    start = time.perf_counter()
    batches = _batches(n, batch_size, seed, device)
    # disable=None asks tqdm to be silent unless standard error is a terminal, which a page or a pipe is not.
    bar = tqdm(range(steps), unit="step", leave=False, disable=None if progress is None else not progress)
    with _modes_restored(model), _seeded(seed, device), bar:
        if not model.training:
            model.train()
        evaluate_now(0)
        for step in bar:
            batch = next(batches)
            x, y = (inputs, targets) if batch is None else (inputs[batch], targets[batch])

            def closure(x: Tensor = x, y: Tensor = y) -> Tensor:
                optimizer.zero_grad()
                loss = loss_fn(model(x), y)
                loss.backward()
                return loss

            before_step(step, history)
            loss = closure()
            history.loss.append(loss.item())
            history.lr.append(_learning_rate(optimizer))
            if not math.isfinite(history.loss[-1]):
                history.diverged = True
                break
            if step_takes_closure:
                optimizer.step(closure)
            else:
                optimizer.step()
            after_step()
            for callback in callbacks:
                callback(step, model, optimizer, history)
            if step + 1 == steps or (eval_every and (step + 1) % eval_every == 0):
                evaluate_now(step + 1)
            if not bar.disable:
                bar.set_postfix(loss=f"{history.loss[-1]:.4g}", refresh=False)
    history.seconds = time.perf_counter() - start
    return history


def evaluate(model: nn.Module, data: Data, *, loss_fn: LossFunction, batch_size: int = 1000) -> tuple[float, float]:
    """The mean loss and the accuracy of `model` on `data`, in eval mode and without gradients.

    Args:
        model: the model; its parameters are where the data go, and each module keeps its train/eval mode.
        data: `(inputs, targets)`.
        loss_fn: `loss_fn(outputs, targets)` -> the mean over the examples.
        batch_size: examples per pass, which bounds the memory.

    Returns:
        `(loss, accuracy)`. The accuracy is the share, 0 to 1, of examples whose largest output (n, classes) is that of
        their label (n,); nan when the targets are not integer labels.

    Raises:
        ValueError: data that are empty or of unequal length, or a batch size below 1.
    """
    _check_positive(batch_size=batch_size)
    inputs, targets = _on_device(data, "data", _device_of(model))
    classes = targets.ndim == 1 and not (targets.is_floating_point() or targets.is_complex())
    loss = correct = 0.0
    with _modes_restored(model), torch.no_grad():
        model.eval()
        for x, y in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
            outputs = model(x)
            loss += loss_fn(outputs, y).item() * len(x)
            if classes and outputs.ndim == 2:
                correct += (outputs.argmax(1) == y).sum().item()
            else:
                correct = math.nan
    return loss / len(inputs), correct / len(inputs)


def over_seeds(fn: Callable[[int], Any], seeds: Iterable[int] | int) -> Any:
    """Run `fn(seed)` for each seed and stack the results along a new first axis.

    Everything is seeded by `ravines.data.seed_everything` before each run. Take `.mean(0)`, `.min(0)` and `.max(0)` of
    what comes back; after runs of unequal length (one diverged, say) `np.nanmean` and its like.

    Args:
        fn: returns a `History`, a dict of numbers or arrays, or one number or array (a tensor will do).
        seeds: the seeds, or how many: 3 means 0, 1, 2.

    Returns:
        A float64 array (seeds, ...), or a dict of them for a dict or a `History` (as in `History.as_arrays`, with
        `diverged` of shape (seeds,)). Arrays of unequal length are filled up with nan.

    Raises:
        ValueError: no seeds, or results whose names or numbers of dimensions differ between seeds.
    """
    seeds = list(range(seeds) if isinstance(seeds, int) else seeds)
    if not seeds:
        raise ValueError("over_seeds needs at least one seed.")
    results = []
    for seed in seeds:
        seed_everything(seed)
        result = fn(seed)
        if isinstance(result, History):
            result = result.as_arrays() | {"diverged": result.diverged}
        results.append(result)
    if not isinstance(results[0], Mapping):
        return _stack(results, "the results")
    names = list(dict.fromkeys(name for result in results for name in result))
    for seed, result in zip(seeds, results, strict=True):
        if missing := [name for name in names if name not in result]:
            raise ValueError(f"The result of seed {seed} has no {missing[0]!r}, which another seed's has.")
    return {name: _stack([result[name] for result in results], repr(name)) for name in names}


def _stack(values: list[Any], name: str) -> np.ndarray:
    arrays = [
        np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value, dtype=np.float64) for value in values
    ]
    if len({array.ndim for array in arrays}) > 1:
        raise ValueError(f"Over the seeds, {name} must have the same number of dimensions.")
    shape = np.max([array.shape for array in arrays], axis=0).astype(int)
    stacked = np.full((len(arrays), *shape), np.nan)
    for i, array in enumerate(arrays):
        stacked[(i, *(slice(size) for size in array.shape))] = array
    return stacked


def _batches(n: int, batch_size: int | None, seed: int, device: torch.device) -> Iterator[Tensor | None]:
    """Indices of one batch after the other, for ever; None stands for all examples in their own order."""
    generator = torch.Generator().manual_seed(seed)  # on the CPU: the same order on every device
    while True:
        if batch_size is None:
            yield None
        else:
            yield from torch.randperm(n, generator=generator).to(device).split(batch_size)


def _make_optimizer(optimizer: Any, model: nn.Module) -> torch.optim.Optimizer:
    if isinstance(optimizer, torch.optim.Optimizer):
        return optimizer
    if not callable(optimizer):
        raise TypeError(
            "optimizer must be an optimizer or make one from a list of parameters, as in "
            f"`lambda params: SGD(params, lr=0.1)`, not {optimizer!r}."
        )
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("The model has no parameter with requires_grad=True, so there is nothing to train.")
    made = optimizer(parameters)
    if not (hasattr(made, "step") and hasattr(made, "zero_grad")):
        raise TypeError(f"optimizer(params) must return an object with step() and zero_grad(), not {made!r}.")
    return made


def _requires_closure(optimizer: torch.optim.Optimizer) -> bool:
    """Whether `step` evaluates the loss itself (as LBFGS does), so that its closure has no default."""
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty


def _make_schedule(
    schedule: Callable[[Any], Any] | None, optimizer: torch.optim.Optimizer
) -> tuple[Callable[[int, History], None], Callable[[], Any]]:
    """What to do before each step and what after it."""
    if schedule is None:
        return lambda step, history: None, lambda: None
    try:
        made, error = schedule(0), None
    except Exception as first:  # what a scheduler's constructor does with a 0 is its own affair
        made, error = None, first
    if isinstance(made, Mapping):
        return lambda step, history: _apply(schedule(step), optimizer, history), lambda: None
    try:
        made = schedule(optimizer)
    except Exception as second:
        raise TypeError(
            "schedule must map a step to a dict of settings or an optimizer to a scheduler, but schedule(0) "
            f"{'returned ' + repr(made) if error is None else 'raised ' + repr(error)} and schedule(optimizer) raised "
            f"{second!r}."
        ) from (error or second)
    if isinstance(made, torch.optim.lr_scheduler.ReduceLROnPlateau) or not hasattr(made, "step"):
        raise TypeError(
            "schedule must map a step to a dict of settings or an optimizer to a scheduler whose step() takes no "
            f"argument, but schedule(optimizer) returned {made!r}."
        )
    return lambda step, history: None, made.step


def _apply(settings: Mapping[str, Any], optimizer: torch.optim.Optimizer, history: History) -> None:
    for name, value in settings.items():
        for group in optimizer.param_groups:
            if name not in group:
                known = ", ".join(key for key in group if key != "params")
                raise ValueError(
                    f"The schedule sets {name!r}, which {type(optimizer).__name__} does not have: its settings are "
                    f"{known}."
                )
            group[name] = value
        if name != "lr" and isinstance(value, (int, float)):
            history.record(name, value)


def _learning_rate(optimizer: torch.optim.Optimizer) -> float:
    groups = getattr(optimizer, "param_groups", None)
    return float(groups[0].get("lr", math.nan)) if groups else math.nan


def _device_of(model: nn.Module) -> torch.device:
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def _on_device(data: Data, name: str, device: torch.device) -> Data:
    if not (isinstance(data, (tuple, list)) and len(data) == 2 and all(isinstance(part, Tensor) for part in data)):
        raise ValueError(f"{name} must be a pair of tensors, (inputs, targets), not {type(data).__name__}.")
    inputs, targets = data
    if inputs.ndim == 0 or targets.ndim == 0 or len(inputs) != len(targets):
        raise ValueError(
            f"{name} must have as many inputs as targets along the first dimension, but their shapes are "
            f"{tuple(inputs.shape)} and {tuple(targets.shape)}."
        )
    if len(inputs) == 0:
        raise ValueError(f"{name} is empty: there must be at least one example.")
    return inputs.to(device), targets.to(device)


def _check_positive(**numbers: int | None) -> None:
    for name, value in numbers.items():
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ValueError(f"{name} must be an integer of at least 1, not {value!r}.")


@contextmanager
def _modes_restored(model: nn.Module) -> Iterator[None]:
    """Each module leaves with the train/eval mode it came with: `model.train()` would not restore a mixture."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """PyTorch's generators seeded inside, and outside as if nothing had been drawn."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
