"""Recipes as files, and what they say about updates, against PyTorch's own schedulers and losses."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ravines.reproduction import optimization, recipe
from ravines.reproduction.recipe import Recipe, RecipeError


@pytest.mark.parametrize("name", ["alexnet2012", "vgg2014", "googlenet2014", "resnet2015", "modern"])
def test_each_recipe_has_a_source_and_says_what_it_chose(name):
    found = recipe.load(name)
    assert name in recipe.names() and found.name == name
    assert len(found.source) > 40 and found.note
    assert recipe.load(name, epochs=1, lr=None).changed() == dataclasses.replace(found, epochs=1)


def test_the_papers_figures():
    alexnet, vgg, googlenet, resnet, modern = map(
        recipe.load, ("alexnet2012", "vgg2014", "googlenet2014", "resnet2015", "modern")
    )
    assert (alexnet.batch_size, alexnet.lr, alexnet.momentum, alexnet.weight_decay) == (128, 0.01, 0.9, 5e-4)
    assert (vgg.batch_size, vgg.lr, vgg.epochs, vgg.weight_decay) == (256, 0.01, 74, 5e-4)
    assert (googlenet.factor, googlenet.every, googlenet.crop, googlenet.area) == (0.96, 8, "area", 0.08)
    assert (resnet.batch_size, resnet.lr, resnet.weight_decay, resnet.resize_to) == (256, 0.1, 1e-4, 480)
    # 600,000 updates of 256 images are 120 passes over 1,281,167.
    assert resnet.epochs == round(600_000 * 256 / 1_281_167)
    assert (modern.lr, modern.batch_size, modern.weight_decay, modern.train_size) == (0.5, 1024, 2e-5, 176)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lr = 0.1", "does not say its source"),
        ("source = 'me'\nlearning_rate = 0.1", "says 'learning_rate'"),
        ("source = 'me'\nlr = 'fast'", "lr should be of type float, but it is 'fast'"),
        ("source = 'me'\nepochs = true", "epochs should be of type int"),
        ("source = 'me'\nschedule = 'steps'", "schedule should be one of constant, step"),
        ("source = 'me'\nmomentum = 1.0", "momentum should be from 0 to below 1"),
        ("source = 'me'\nresize = 100", "resize .100. is below train_size"),
        ("source = ", "cannot be read"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_told(text, words, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=words):
        recipe.load(path)


def test_an_unknown_recipe_or_setting_is_told():
    with pytest.raises(RecipeError, match="use alexnet2012, googlenet2014"):
        recipe.load("resnet")
    with pytest.raises(RecipeError, match="Did you mean 'batch_size'"):
        recipe.load("modern", batchsize=3)


def rates(scheduler, optimizer, updates):
    """Return the rates that a scheduler of PyTorch's gives."""
    found = []
    for _ in range(updates):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def sgd():
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)


BASE = Recipe(name="test", source="a test", lr=0.3, epochs=12)


def test_steps_and_exponentials_are_pytorchs():
    per_epoch = 5
    optimizer = sgd()
    stepped = rates(torch.optim.lr_scheduler.MultiStepLR(optimizer, [20, 35]), optimizer, 60)
    chosen = BASE.changed(schedule="step", milestones=(4, 7))
    assert [optimization.rate(chosen, u, per_epoch) for u in range(60)] == pytest.approx(stepped)
    optimizer = sgd()
    falling = rates(torch.optim.lr_scheduler.StepLR(optimizer, 10, 0.96), optimizer, 60)
    chosen = BASE.changed(schedule="exponential", factor=0.96, every=2)
    assert [optimization.rate(chosen, u, per_epoch) for u in range(60)] == pytest.approx(falling)


def test_cosine_after_a_warm_up_is_pytorchs():
    chosen = BASE.changed(schedule="cosine", warmup_epochs=2.0, warmup_from=0.1)
    optimizer = sgd()
    warm = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=10)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 50)
    whole = torch.optim.lr_scheduler.SequentialLR(optimizer, [warm, cosine], [10])
    assert [optimization.rate(chosen, u, 5) for u in range(60)] == pytest.approx(rates(whole, optimizer, 60), abs=1e-9)


def test_a_plateau_is_pytorchs():
    chosen = BASE.changed(schedule="plateau", patience=3, drops=2)
    errors = [0.9, 0.8, 0.85, 0.84, 0.83, 0.79, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8]
    optimizer = sgd()
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=2, threshold=0, min_lr=0.3 * 0.1**2)
    state, seen, wanted = optimization.Plateau(), [], []
    for error in errors:
        state.note(error, chosen)
        theirs.step(error)
        seen.append(optimization.rate(chosen, 0, 1, state.drops))
        wanted.append(optimizer.param_groups[0]["lr"])
    assert seen == pytest.approx(wanted) and state.drops == 2


def test_the_loss_is_pytorchs_with_smoothing_mixing_and_heads():
    generator = torch.Generator().manual_seed(0)
    logits, other = (torch.randn(6, 5, generator=generator) for _ in range(2))
    targets = torch.randint(5, (6,), generator=generator)
    smooth = BASE.changed(label_smoothing=0.1)
    assert optimization.loss(logits, targets, smooth).item() == pytest.approx(
        6 * F.cross_entropy(logits, targets, label_smoothing=0.1).item(), rel=1e-6
    )
    # Mixup: cross-entropy is linear in the targets.
    weight = 0.3
    soft = weight * F.one_hot(targets, 5) + (1 - weight) * F.one_hot(targets.roll(-1, 0), 5)
    assert optimization.loss(logits, targets, BASE, weight).item() == pytest.approx(
        6 * F.cross_entropy(logits, soft.float()).item(), rel=1e-6
    )
    with_head = optimization.loss((logits, None, other), targets, BASE).item()
    heads = [F.cross_entropy(o, targets, reduction="sum").item() for o in (logits, other)]
    assert with_head == pytest.approx(heads[0] + 0.3 * heads[1], rel=1e-6)
    x = torch.arange(6.0).view(3, 2)
    assert optimization.mixed(x, 0.25).tolist() == [[1.5, 2.5], [3.5, 4.5], [1.0, 2.0]]


def test_mixtures_are_of_the_beta_distribution_and_repeatable():
    chosen = BASE.changed(mixup=0.2)
    drawn = torch.tensor([optimization.mixture(chosen, 1, u) for u in range(2000)], dtype=torch.float64)
    # Beta(a, a): mean 1/2, variance 1 / (4 (2a + 1)).
    assert drawn.mean().item() == pytest.approx(0.5, abs=0.04)
    assert drawn.var().item() == pytest.approx(1 / (4 * 1.4), abs=0.01)
    assert optimization.mixture(chosen, 1, 7) == drawn[7].item()
    assert optimization.mixture(BASE, 1, 7) == 1.0


def test_norms_and_biases_decay_only_when_the_recipe_says_so():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    (only,) = optimization.optimizer(model, BASE).param_groups
    assert len(only["params"]) == 4 and only["weight_decay"] == 1e-4
    first, second = optimization.optimizer(model, BASE.changed(decay_norm_and_bias=False)).param_groups
    assert [tuple(p.shape) for p in first["params"]] == [(4, 3)] and first["weight_decay"] == 1e-4
    assert len(second["params"]) == 3 and second["weight_decay"] == 0
    kinds = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW, "rmsprop": torch.optim.RMSprop}
    for name, kind in kinds.items():
        assert type(optimization.optimizer(model, BASE.changed(optimizer=name))) is kind
