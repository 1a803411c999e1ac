"""The training loop against loops written out by hand."""

import copy
import io
import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR

from ravines.data import seed_everything
from ravines.training import History, evaluate, over_seeds, train

torch.set_num_threads(1)


def problem(n=50, dropout=0.0, seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 4))
    x = torch.randn(n, 6)
    return model, (x, (x @ torch.randn(6, 4)).argmax(1))


def sgd(params, lr=0.1, momentum=0.9):
    return torch.optim.SGD(params, lr=lr, momentum=momentum)


def run(model, data, **options):
    options = {"optimizer": sgd, "loss_fn": cross_entropy, "epochs": 2, "batch_size": 8} | options
    if "steps" in options:
        options.pop("epochs")
    return train(model, data, **options)


def same_parameters(a, b):
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("make", [sgd, lambda params: torch.optim.Adam(params, lr=0.01)], ids=["sgd", "adam"])
def test_it_equals_a_loop_written_by_hand_bit_for_bit(make, dropout):
    model, (x, y) = problem(dropout=dropout)
    by_hand = copy.deepcopy(model)
    history = run(model, (x, y), optimizer=make, epochs=3, seed=5)

    torch.manual_seed(5)
    order = torch.Generator().manual_seed(5)
    optimizer, losses = make(by_hand.parameters()), []
    for _ in range(3):
        permutation = torch.randperm(50, generator=order)
        for start in range(0, 50, 8):
            batch = permutation[start : start + 8]
            loss = cross_entropy(by_hand(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert history.loss == losses
    assert len(losses) == 21
    assert same_parameters(model, by_hand)
    assert history.steps_per_epoch == 7
    assert history.epoch_loss() == [pytest.approx(sum(losses[i : i + 7]) / 7) for i in (0, 7, 14)]
    assert losses[-1] < losses[0]


def test_without_a_batch_size_it_is_gradient_descent():
    _, (x, y) = problem()
    weight = nn.Parameter(torch.zeros(6, 4))
    linear = nn.Linear(6, 4, bias=False)
    nn.init.zeros_(linear.weight)
    history = run(linear, (x, y), optimizer=lambda p: torch.optim.SGD(p, lr=0.5), steps=5, batch_size=None)
    for loss in history.loss:
        expected = cross_entropy(x @ weight, y)
        assert loss == pytest.approx(expected.item(), abs=1e-6)
        (gradient,) = torch.autograd.grad(expected, weight)
        weight = (weight - 0.5 * gradient).detach().requires_grad_()
    torch.testing.assert_close(linear.weight.T, weight)


def test_a_seed_gives_the_same_run_and_another_seed_another():
    results = []
    for seed, noise in ((1, 0), (1, 99), (2, 0)):
        model, data = problem(dropout=0.3)
        torch.manual_seed(noise)  # what the caller drew before must not matter
        results.append((run(model, data, seed=seed, eval_data=data), model))
    (first, model), (again, model_again), (other, _) = results
    assert first == again
    assert same_parameters(model, model_again)
    assert first.loss != other.loss


def test_the_caller_s_random_numbers_are_left_alone():
    model, data = problem(dropout=0.3)
    before = torch.get_rng_state()
    run(model, data, eval_data=data)
    assert torch.equal(before, torch.get_rng_state())


def test_every_example_is_seen_once_an_epoch():
    seen = []
    inputs = torch.arange(10.0).unsqueeze(1)

    def loss_fn(outputs, targets):
        seen.append(targets[:, 0].tolist())
        return mse_loss(outputs, targets)

    run(nn.Linear(1, 1), (inputs, inputs), loss_fn=loss_fn, batch_size=4, epochs=2, optimizer=lambda p: sgd(p, 1e-5))
    assert [len(batch) for batch in seen] == [4, 4, 2, 4, 4, 2]
    epochs = [[i for batch in part for i in batch] for part in (seen[:3], seen[3:])]
    assert [sorted(epoch) for epoch in epochs] == [list(range(10))] * 2
    assert epochs[0] != epochs[1]
    assert epochs[0] != sorted(epochs[0])


def test_a_schedule_of_settings_applies_before_its_step():
    model, data = problem()
    settings = [{"lr": 0.1 / (t + 1), "momentum": 1 - 0.5 / (t + 1)} for t in range(6)]
    by_hand = copy.deepcopy(model)
    seen = []
    history = run(
        model,
        data,
        steps=6,
        batch_size=None,
        optimizer=lambda p: torch.optim.SGD(p, lr=99.0, momentum=0.99),
        schedule=lambda step: settings[step],
        callbacks=[lambda step, model, optimizer, history: seen.append((step, optimizer.param_groups[0]["lr"]))],
    )
    velocity = [torch.zeros_like(p) for p in by_hand.parameters()]
    for setting in settings:
        by_hand.zero_grad()
        cross_entropy(by_hand(data[0]), data[1]).backward()
        with torch.no_grad():
            for p, v in zip(by_hand.parameters(), velocity, strict=True):
                v.mul_(setting["momentum"]).add_(p.grad)
                p.sub_(setting["lr"] * v)
    for p, q in zip(model.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(p, q)
    assert history.lr == [setting["lr"] for setting in settings]
    assert history.extra == {"momentum": [setting["momentum"] for setting in settings]}
    assert seen == [(t, settings[t]["lr"]) for t in range(6)]


def test_a_scheduler_steps_after_each_update():
    model, data = problem()
    history = run(model, data, steps=5, schedule=lambda optimizer: StepLR(optimizer, step_size=2, gamma=0.5))
    assert history.lr == [0.1, 0.1, 0.05, 0.05, 0.025]
    assert history.extra == {}


def test_a_schedule_reaches_every_parameter_group():
    model, data = problem()
    groups = [{"params": model[0].parameters()}, {"params": model[3].parameters(), "lr": 5.0}]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    run(model, data, steps=1, optimizer=optimizer, schedule=lambda step: {"lr": 0.25})
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.25]


@pytest.mark.parametrize(
    ("schedule", "error", "message"),
    [
        (lambda step: {"momentun": 0.9}, ValueError, "'momentun', which SGD does not have: its settings are lr, "),
        (lambda step: 0.1, TypeError, "schedule must map a step to a dict"),
        (lambda step: undefined, TypeError, r"schedule\(0\) raised NameError"),  # noqa: F821
        (lambda optimizer: ReduceLROnPlateau(optimizer), TypeError, "takes no argument"),
    ],
)
def test_a_schedule_of_neither_kind_is_explained(schedule, error, message):
    with pytest.raises(error, match=message):
        run(*problem(), schedule=schedule)


def test_divergence_ends_the_run_and_is_recorded():
    model, data = nn.Linear(1, 1), (torch.ones(4, 1), torch.zeros(4, 1))
    updates = []
    history = run(
        model,
        data,
        loss_fn=mse_loss,
        optimizer=lambda p: torch.optim.SGD(p, lr=1e3),
        steps=1000,
        batch_size=None,
        eval_data=data,
        eval_every=1,
        callbacks=[lambda step, *_: updates.append(step)],
    )
    assert history.diverged
    assert not math.isfinite(history.loss[-1])
    assert all(math.isfinite(loss) for loss in history.loss[:-1])
    assert len(history.loss) < 100
    assert updates == list(range(len(history.loss) - 1))
    assert history.eval_step == list(range(len(history.loss)))
    assert model.training


def test_a_run_that_converges_is_not_called_divergent():
    assert not run(*problem()).diverged


def test_evaluation_is_before_training_at_each_interval_and_at_the_end():
    model, data = problem()
    held_out = problem(n=30, seed=1)[1]
    before = evaluate(model, held_out, loss_fn=cross_entropy)
    assert run(copy.deepcopy(model), data, epochs=2, eval_data=held_out).eval_step == [0, 7, 14]
    assert run(copy.deepcopy(model), data, steps=5, eval_data=held_out).eval_step == [0, 5]
    assert run(copy.deepcopy(model), data, steps=5).eval_step == []
    history = run(model, data, steps=5, eval_data=held_out, eval_every=2)
    assert history.eval_step == [0, 2, 4, 5]
    assert (history.eval_loss[0], history.eval_accuracy[0]) == before
    assert (history.eval_loss[-1], history.eval_accuracy[-1]) == evaluate(model, held_out, loss_fn=cross_entropy)


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_evaluation_in_parts_is_evaluation_at_once(batch_size):
    model, (x, y) = problem(dropout=0.5)
    model.eval()
    outputs = model(x)
    model.train()
    loss, accuracy = evaluate(model, (x, y), loss_fn=cross_entropy, batch_size=batch_size)
    assert loss == pytest.approx(cross_entropy(outputs, y).item(), abs=1e-6)
    assert accuracy == sum(int(row.argmax()) == label for row, label in zip(outputs, y.tolist(), strict=True)) / 50
    assert 0 < accuracy < 1
    assert all(p.grad is None for p in model.parameters())


def test_accuracy_is_nan_without_class_labels():
    loss, accuracy = evaluate(nn.Linear(6, 2), (torch.randn(5, 6), torch.randn(5, 2)), loss_fn=mse_loss)
    assert loss > 0
    assert math.isnan(accuracy)


def test_each_module_keeps_its_mode():
    class Recorder(nn.Module):
        def __init__(self):
            super().__init__()
            self.modes = []

        def forward(self, x):
            self.modes.append(self.training)
            return x

    body, data = problem()
    frozen = Recorder()
    model = nn.Sequential(Recorder(), frozen, body)
    frozen.eval()
    run(model, data, steps=3, eval_data=data, eval_every=2, batch_size=None)
    assert model[0].modes == [False, True, True, False, True, False]
    assert frozen.modes == [False] * 6
    assert model.training
    assert body.training
    assert not frozen.training

    model[0].modes.clear()
    model.eval()
    run(model, data, steps=2, batch_size=None)
    assert model[0].modes == [True, True]
    assert not any(module.training for module in model.modules())


def test_frozen_parameters_do_not_reach_the_optimizer():
    model, data = problem()
    model[0].requires_grad_(False)
    before = model[0].weight.clone()
    received = []
    run(model, data, optimizer=lambda params: sgd([received.append(p) or p for p in params]))
    assert [p.shape for p in received] == [(4, 16), (4,)]
    assert torch.equal(model[0].weight, before)


def test_an_optimizer_that_needs_a_closure_works():
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    target = x @ torch.tensor([[1.0], [-2.0], [3.0]], dtype=torch.float64)
    model = nn.Linear(3, 1, bias=False).double()
    history = run(model, (x, target), loss_fn=mse_loss, optimizer=torch.optim.LBFGS, steps=10, batch_size=None)
    torch.testing.assert_close(model.weight.detach()[0].tolist(), [1.0, -2.0, 3.0], rtol=0, atol=1e-5)
    assert len(history.loss) == 10


class PlainDescent:
    """The least that an optimizer can be."""

    def __init__(self, params):
        self.params = list(params)

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    @torch.no_grad()
    def step(self):
        for p in self.params:
            p -= 0.1 * p.grad


def test_any_object_with_step_and_zero_grad_is_an_optimizer():
    model, data = problem()
    reference = copy.deepcopy(model)
    history = run(model, data, optimizer=PlainDescent)
    expected = run(reference, data, optimizer=lambda p: torch.optim.SGD(p, lr=0.1))
    assert history.loss == pytest.approx(expected.loss)
    assert all(math.isnan(lr) for lr in history.lr)


def test_callbacks_record_by_name():
    model, data = problem()

    def norm(step, model, optimizer, history):
        history.record("norm", model[0].weight.norm())

    history = run(model, data, steps=4, callbacks=[norm])
    assert len(history.extra["norm"]) == 4
    assert history.extra["norm"][-1] == pytest.approx(model[0].weight.norm().item())


def test_a_history_exports():
    model, data = problem()
    history = run(model, data, eval_data=data, callbacks=[lambda *a: a[3].record("step", a[0])])
    exported = json.loads(json.dumps(history.to_dict()))
    assert exported["loss"] == history.loss
    assert exported["extra"]["step"] == list(range(14))
    assert exported["epoch_loss"] == history.epoch_loss()
    assert exported["diverged"] is False
    assert exported["steps_per_epoch"] == 7
    assert exported["seconds"] == history.seconds > 0
    arrays = history.as_arrays()
    assert arrays["loss"].shape == arrays["step"].shape == (14,)
    assert arrays["eval_accuracy"].shape == (3,)
    assert arrays["epoch_loss"].tolist() == history.epoch_loss()
    exported = history.to_dict()
    exported["loss"].append(0.0)
    exported["extra"]["step"].append(0.0)
    assert len(history.loss) == len(history.extra["step"]) == 14


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "progress", "shown"),
    [(io.StringIO, None, False), (Terminal, None, True), (io.StringIO, True, True), (Terminal, False, False)],
)
def test_the_bar_is_for_terminals(monkeypatch, stream, progress, shown):
    error, out = stream(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", error)
    monkeypatch.setattr(sys, "stdout", out)
    run(*problem(), progress=progress)
    assert ("step/s" in error.getvalue() or "it/s" in error.getvalue() or "|" in error.getvalue()) == shown
    assert (error.getvalue() == "") != shown
    assert out.getvalue() == ""


def bad_inputs():
    model, (x, y) = problem()
    frozen = nn.Linear(6, 4).requires_grad_(False)
    return {
        "lengths": (lambda: run(model, (x, y[1:])), ValueError, r"shapes are \(50, 6\) and \(49,\)"),
        "empty": (lambda: run(model, (x[:0], y[:0])), ValueError, "data is empty"),
        "eval lengths": (lambda: run(model, (x, y), eval_data=(x, y[1:])), ValueError, "eval_data must have"),
        "no pair": (lambda: run(model, x), ValueError, "data must be a pair of tensors"),
        "numpy": (lambda: run(model, (x.numpy(), y)), ValueError, "pair of tensors"),
        "batch size": (lambda: run(model, (x, y), batch_size=0), ValueError, "batch_size .* at least 1, not 0"),
        "fraction": (lambda: run(model, (x, y), batch_size=2.5), ValueError, "batch_size .* not 2.5"),
        "epochs": (lambda: run(model, (x, y), epochs=0), ValueError, "epochs .* at least 1, not 0"),
        "eval every": (lambda: run(model, (x, y), eval_every=0), ValueError, "eval_every .* not 0"),
        "neither": (lambda: run(model, (x, y), epochs=None), ValueError, "either epochs or steps"),
        "both": (
            lambda: train(model, (x, y), optimizer=sgd, loss_fn=cross_entropy, epochs=1, steps=1),
            ValueError,
            "either epochs or steps",
        ),
        "frozen": (lambda: run(frozen, (x, y)), ValueError, "nothing to train"),
        "optimizer": (lambda: run(model, (x, y), optimizer="sgd"), TypeError, "not 'sgd'"),
        "no optimizer": (lambda: run(model, (x, y), optimizer=lambda p: None), TypeError, "must return an object"),
        "evaluate": (lambda: evaluate(model, (x, y), loss_fn=cross_entropy, batch_size=0), ValueError, "batch_size"),
        "no seeds": (lambda: over_seeds(float, []), ValueError, "at least one seed"),
        "names": (
            lambda: over_seeds(lambda s: {"a": 1, "b": 2} if s else {"a": 1}, 2),
            ValueError,
            "seed 0 has no 'b'",
        ),
        "dimensions": (lambda: over_seeds(lambda s: [1.0] if s else 1.0, 2), ValueError, "number of dimensions"),
    }


@pytest.mark.parametrize("case", bad_inputs())
def test_bad_input_ends_in_one_clear_sentence(case):
    call, error, message = bad_inputs()[case]
    with pytest.raises(error, match=message):
        call()


def test_over_seeds_stacks_numbers_arrays_and_dicts():
    assert over_seeds(lambda seed: seed**2, [3, 5]).tolist() == [9.0, 25.0]
    assert over_seeds(lambda seed: torch.full((2, 3), seed), 4).shape == (4, 2, 3)
    result = over_seeds(lambda seed: {"a": [seed, seed + 1], "b": np.float32(seed)}, [1, 4])
    assert result["a"].tolist() == [[1.0, 2.0], [4.0, 5.0]]
    assert result["b"].mean(0) == 2.5


def test_over_seeds_fills_up_unequal_lengths_with_nan():
    result = over_seeds(lambda seed: list(range(seed)), [1, 3])
    assert np.array_equal(result, [[0, np.nan, np.nan], [0, 1, 2]], equal_nan=True)


def test_over_seeds_seeds_everything_and_takes_histories():
    def experiment(seed):
        model = nn.Linear(6, 4)
        return run(model, data, seed=seed, eval_data=data)

    data = problem()[1]
    result = over_seeds(experiment, 3)
    assert result["loss"].shape == (3, 14)
    assert result["eval_accuracy"].shape == (3, 3)
    assert result["diverged"].tolist() == [0, 0, 0]
    assert len(np.unique(result["loss"][:, 0])) == 3
    again = over_seeds(experiment, [2, 0])
    assert np.array_equal(result["loss"][[2, 0]], again["loss"])
    seed_everything(1)
    assert result["loss"][1].tolist() == experiment(1).loss


def test_a_history_starts_empty():
    first, second = History(), History()
    first.record("a", 1)
    assert second.extra == {}
    assert first.epoch_loss() == []


def test_all_of_it_without_a_gpu_in_sight():
    code = """
import torch
from ravines.curvature import HessianOperator, extreme_eigenvalues
from ravines.data import device, fashion_mnist
from ravines.training import train
x, y = fashion_mnist(False)
model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
history = train(model, (x, y), optimizer=lambda p: torch.optim.SGD(p, lr=0.1), loss_fn=torch.nn.CrossEntropyLoss(),
                steps=50, batch_size=100, device=device(), eval_data=(x, y))
operator = HessianOperator(model, torch.nn.CrossEntropyLoss(), x[:100], y[:100])
print(device(), operator.device, history.eval_accuracy[-1] > 0.6, extreme_eigenvalues(operator, 1, 0).top[0] > 1)
"""
    environment = {name: value for name, value in os.environ.items() if name != "RAVINES_DEVICE"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["cpu", "cpu", "True", "True"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_gpu_runs_the_same_course():
    model, data = problem()
    on_gpu = copy.deepcopy(model)
    expected = run(model, data, eval_data=data)
    history = run(on_gpu, data, eval_data=data, device="cuda")
    assert next(on_gpu.parameters()).device.type == "cuda"
    assert history.loss == pytest.approx(expected.loss, abs=1e-4)
    assert history.eval_loss == pytest.approx(expected.eval_loss, abs=1e-4)
