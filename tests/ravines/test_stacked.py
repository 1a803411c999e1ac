"""Networks trained in a stack are those that PyTorch trains one by one."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ravines.stacked import (
    accuracy,
    adam,
    cross_entropy,
    descend,
    draw_batches,
    he_normal,
    heavy_ball,
    iterate,
    per_network,
)

SIZES = (6, 5, 3)


def outputs(p, h):
    return torch.baddbmm(p[3], torch.baddbmm(p[2], h, p[0]).relu(), p[1])


def stack(seeds):
    biases = [torch.zeros(len(seeds), 1, n) for n in SIZES[1:]]
    return [p.cpu().double() for p in he_normal(seeds, SIZES)] + [b.double() for b in biases]


RATES, DECAYS = [0.1, 0.1, 0.02], [0.0, 0.3, 0.1]
SGD, ADAM = torch.optim.SGD, torch.optim.Adam
RULES = {
    "sgd": (heavy_ball(RATES, 0.0, DECAYS), lambda p, r, d: SGD(p, lr=r, weight_decay=d)),
    "momentum": (heavy_ball(RATES, 0.9, DECAYS), lambda p, r, d: SGD(p, lr=r, momentum=0.9, weight_decay=d)),
    "adam": (adam(RATES, (0.8, 0.9), 1e-3), lambda p, r, d: ADAM(p, lr=r, betas=(0.8, 0.9), eps=1e-3)),
    "adam, L2": (adam(RATES, weight_decay=DECAYS, decoupled=False), lambda p, r, d: ADAM(p, lr=r, weight_decay=d)),
    "adamw": (adam(RATES, weight_decay=DECAYS), lambda p, r, d: torch.optim.AdamW(p, lr=r, weight_decay=d)),
    "schedule": (
        adam(RATES, weight_decay=0.1, schedule=lambda step: 0.8**step),
        lambda p, r, d: torch.optim.AdamW(p, lr=r, weight_decay=0.1),
    ),
    "momentum, schedule": (
        heavy_ball(RATES, 0.9, schedule=lambda step: 0.8**step),
        lambda p, r, d: SGD(p, lr=r, momentum=0.9),
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_each_network_is_trained_as_torch_trains_it(name):
    rule, theirs = RULES[name]
    seeds = [0, 1, 0]
    g = torch.Generator().manual_seed(3)
    x, y = torch.randn(40, 6, generator=g).double(), torch.randint(0, 3, (40,), generator=g)
    batches = draw_batches(seeds, 40, 8, 12).cpu()
    assert torch.equal(batches[:, 0], batches[:, 2]) and not torch.equal(batches[:, 0], batches[:, 1])
    first = stack(seeds)
    before = [p.clone() for p in first]
    p, losses = iterate(
        lambda p, step: cross_entropy(outputs(p, x[batches[step]]), y[batches[step]]), first, steps=12, update=rule
    )
    assert all(torch.equal(a, b) for a, b in zip(first, before, strict=True))
    for k in range(3):
        one, two = nn.Linear(6, 5).double(), nn.Linear(5, 3).double()
        with torch.no_grad():
            for layer, i in ((one, 0), (two, 1)):
                layer.weight.copy_(first[i][k].T)
                layer.bias.zero_()
        net = nn.Sequential(one, nn.ReLU(), two)
        optimizer = theirs(net.parameters(), RATES[k], DECAYS[k])
        decaying = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.8 if "schedule" in name else 1.0)
        for step in range(12):
            rows = batches[step, k]
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x[rows]), y[rows])
            loss.backward()
            # Rates and decays of a stack are float32: eight digits.
            assert loss.item() == pytest.approx(losses[step, k].item(), rel=1e-5)
            optimizer.step()
            decaying.step()
        assert torch.allclose(p[0][k].T, one.weight, rtol=1e-5, atol=1e-6)
        assert torch.allclose(p[3][k, 0], two.bias, rtol=1e-5, atol=1e-6)


def test_decoupled_decay_of_the_heavy_ball_is_outside_of_its_momentum():
    """Loshchilov and Hutter 2019, Algorithm 1 (SGDW): w <- (1 - lr decay) w - lr v."""
    first = torch.tensor([[2.0], [-1.0]], dtype=torch.float64)
    p, _ = iterate(
        lambda p, step: (p[0] ** 2).sum(1) / 2,
        [first],
        steps=5,
        update=heavy_ball(0.1, 0.5, 0.2, decoupled=True),
    )
    w, v = first.clone(), torch.zeros_like(first)
    for _ in range(5):
        v = 0.5 * v + w
        w = w - 0.1 * 0.2 * w - 0.1 * v
    assert torch.allclose(p[0], w, rtol=1e-14)


def test_a_network_that_diverges_leaves_the_others_alone():
    x, y = torch.randn(16, 6, generator=torch.Generator().manual_seed(0)).double(), torch.arange(16) % 3

    def loss(p, step):
        return (outputs(p, x.expand(2, -1, -1)) ** 2).mean((1, 2)) + cross_entropy(outputs(p, x.expand(2, -1, -1)), y)

    with_it, losses = descend(loss, stack([0, 1]), steps=60, lr=[1e8, 0.01])
    assert not torch.isfinite(losses[-1, 0]) and torch.isfinite(losses[:, 1]).all()
    alone, _ = descend(
        lambda p, step: (outputs(p, x[None]) ** 2).mean((1, 2)) + cross_entropy(outputs(p, x[None]), y),
        stack([1]),
        steps=60,
        lr=0.01,
    )
    assert torch.allclose(with_it[0][1], alone[0][0])


def test_he_normal_depends_on_the_seed_alone():
    a, b = he_normal([4, 7, 4], (200, 300, 2)), he_normal([7], (200, 300, 2))
    assert torch.equal(a[0][0], a[0][2]) and torch.equal(a[0][1], b[0][0])
    assert [tuple(w.shape) for w in a] == [(3, 200, 300), (3, 300, 2)]
    # 60,000 draws: the relative error of the variance is about sqrt(2 / 60,000) = 0.006.
    assert a[0][0].var().item() == pytest.approx(2 / 200, rel=0.04)
    with pytest.raises(ValueError, match="a seed for each network"):
        he_normal([], (2, 2))


def test_losses_and_accuracies_of_each_network():
    logits = torch.tensor([[[2.0, 0.0], [0.0, 1.0]], [[0.0, 3.0], [0.0, 1.0]]])
    targets = torch.tensor([0, 1])
    for k in range(2):
        assert cross_entropy(logits, targets)[k].item() == pytest.approx(F.cross_entropy(logits[k], targets).item())
    assert accuracy(logits, targets).tolist() == [1.0, 0.5]
    assert per_network([1.0, 2.0], 2).shape == (2, 1)


def test_one_rate_too_few_is_said():
    with pytest.raises(ValueError, match="2 networks, but 1 learning rates"):
        descend(lambda p, step: p[0].sum(1), [torch.zeros(2, 1)], steps=1, lr=[0.1])


def test_watch_sees_each_step_and_unused_parameters_stay():
    seen = []
    p, _ = descend(
        lambda p, step: (p[0] ** 2).sum(1),
        [torch.ones(2, 1), torch.full((2, 1), 5.0)],
        steps=3,
        lr=0.25,
        watch=lambda step, p, losses: seen.append((step, p[0][0, 0].item(), losses[0].item())),
    )
    assert seen == [(0, 1.0, 1.0), (1, 0.5, 0.25), (2, 0.25, 0.0625)]
    assert p[1].tolist() == [[5.0], [5.0]]
