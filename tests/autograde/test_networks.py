"""Comparing whole networks: the same seed gives the same weights, and each difference in a network is seen."""

import pytest
import torch
import torchvision
from torch import nn

from autograde import networks
from autograde.expect import Unmet
from autograde.student import StudentError


class Small(nn.Module):
    """A network with everything that weights and statistics can be, and settings for one mistake each."""

    def __init__(self, stride=2, bias=True, eps=1e-5, p=0.5, wide=8, extra=False):
        super().__init__()
        self.conv = nn.Conv2d(3, wide, 3, stride=stride, bias=bias)
        self.norm = nn.BatchNorm2d(wide, eps=eps)
        self.drop = nn.Dropout(p)
        self.head = nn.Linear(wide, 4)
        self.register_buffer("offset", torch.arange(4.0), persistent=False)
        if extra:
            self.spare = nn.Parameter(torch.zeros(3))

    def forward(self, x):
        x = self.norm(self.conv(x)).relu().mean((2, 3))
        return self.head(self.drop(x)) + self.offset


class Heads(nn.Module):
    """One output in evaluation, a tuple with a None in training."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(5, 2), nn.Linear(5, 3)

    def forward(self, x):
        return (self.first(x), None, self.second(x)) if self.training else self.first(x)


def images(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


X = images(2, 3, 9, 9)


def test_the_same_seed_gives_the_same_answer_and_another_seed_another():
    student = networks.of(Small=Small)
    first, again = (networks.by_name(student, "Small()", [X], 3).outputs[0] for _ in range(2))
    other = networks.by_name(student, "Small()", [X], 4).outputs[0]
    assert torch.equal(first, again) and first.dtype == torch.float64
    assert (first - other).abs().max() > 0.1


def test_the_answer_is_that_of_the_network_with_those_weights():
    """Against a network that loads the weights itself, written down from the outputs of a linear one."""
    student = networks.of(Line=lambda: nn.Linear(2, 3))
    rows = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    bias, first, second = networks.by_name(student, "Line()", [rows], 5).outputs[0]
    line = nn.Linear(2, 3, dtype=torch.float64)
    line.load_state_dict({"weight": torch.stack([first - bias, second - bias], 1), "bias": bias})
    x = images(4, 2, seed=1)
    seen = networks.by_name(student, "Line()", [x], 5).outputs[0]
    assert torch.allclose(seen, line(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("run", [networks.by_name, networks.in_order])
@pytest.mark.parametrize("setting", [{"stride": 1}, {"bias": False}, {"eps": 1e-2}])
def test_a_difference_in_the_network_is_a_difference_in_the_outputs(run, setting):
    right, wrong = (run(networks.of(N=lambda s=s: Small(**s)), "N()", [X], 3).outputs[0] for s in ({}, setting))
    assert (right - wrong).abs().max() > 1e-4


def test_training_updates_the_statistics_and_evaluation_does_not():
    student = networks.of(Small=Small)
    still = networks.by_name(student, "Small()", [X], 3).buffers
    moved = networks.by_name(student, "Small()", [X], 3, training=True).buffers
    assert {"norm.running_mean", "norm.running_var", "norm.num_batches_tracked"} <= set(still)
    assert moved["norm.num_batches_tracked"] == still["norm.num_batches_tracked"] + 1
    for name in ("norm.running_mean", "norm.running_var"):
        assert not torch.equal(moved[name], still[name])
    # 0.9 of what was there: the batch's part is the same for two starts, so it falls out of a difference.
    again = networks.by_name(student, "Small()", [X, X], 3, training=True).buffers
    a, b, c = still["norm.running_mean"], moved["norm.running_mean"], again["norm.running_mean"]
    assert torch.allclose(c - b, 0.9 * (b - a), rtol=1e-9, atol=1e-12)


def test_dropout_works_only_when_asked_and_is_left_as_it_was():
    before = nn.functional.dropout
    student = networks.of(Small=Small)
    a, b = (networks.by_name(student, "Small()", [X], 3, training=True).outputs[0] for _ in range(2))
    assert torch.equal(a, b)
    dropped = networks.by_name(student, "Small()", [X], 3, training=True, dropout=True).outputs[0]
    assert (dropped - a).abs().max() > 0.01
    assert nn.functional.dropout is before


def test_what_is_outside_of_the_state_dict_keeps_its_values():
    plain = networks.by_name(networks.of(N=Small), "N()", [X], 3).outputs[0]

    class Moved(Small):
        def __init__(self):
            super().__init__()
            self.offset += 10

    moved = networks.by_name(networks.of(N=Moved), "N()", [X], 3).outputs[0]
    assert torch.allclose(moved, plain + 10)


def test_several_outputs_come_back_without_none():
    student = networks.of(Heads=Heads)
    x = images(2, 5)
    (evaluated,) = networks.by_name(student, "Heads()", [x], 1).outputs
    (trained,) = networks.by_name(student, "Heads()", [x], 1, training=True).outputs
    assert [tuple(t.shape) for t in trained] == [(2, 2), (2, 3)]
    assert torch.equal(evaluated, trained[0])


def test_in_order_does_not_ask_for_names():
    class Renamed(Small):
        def __init__(self):
            super().__init__()
            self.head, self.norm, self.conv = self.head, self.norm, self.conv
            self.a, self.b = self._modules.pop("conv"), self._modules.pop("head")

        def forward(self, x):
            return self.b(self.drop(self.norm(self.a(x)).relu().mean((2, 3)))) + self.offset

    right, renamed = (networks.in_order(networks.of(N=n), "N()", [X], 3) for n in (Small, Renamed))
    assert torch.equal(right.outputs[0], renamed.outputs[0])
    assert [layer["kind"] for layer in renamed.layers] == ["Conv2d", "BatchNorm2d", "Linear"]
    assert renamed.layers[0]["stride"] == [2, 2] and renamed.layers[0]["shape"] == [8, 3, 3, 3]


def test_a_parameter_that_no_layer_uses_is_named():
    with pytest.raises(Unmet, match="no convolution or linear layer uses: spare"):
        networks.in_order(networks.of(N=lambda: Small(extra=True)), "N()", [X], 3)


def test_large_weights_have_the_size_of_he_and_no_two_equal_rows():
    """A matrix of four million numbers and a convolution of 600,000, seen through what they compute."""
    student = networks.of(M=lambda: nn.Linear(2000, 2000), C=lambda: nn.Conv2d(256, 256, 3))
    x = torch.eye(2000, dtype=torch.float64)[:300]
    (rows,) = networks.by_name(student, "M()", [x], 2).outputs
    assert abs(rows.square().mean().item() / (2 / 2000 + 0.03) - 1) < 0.1  # the variance of weight and bias
    assert len({tuple(row[:3].tolist()) for row in rows}) == 300
    out = networks.by_name(student, "C()", [images(1, 256, 8, 8)], 2).outputs[0]
    assert 1 < out.std().item() < 2  # He: twice the mean square of the input
    assert len({tuple(row[:3].tolist()) for row in out[0].flatten(1)}) == 256


def test_a_state_dict_that_differs_is_told_by_name():
    wanted = networks.state_shapes(networks.of(N=Small), "N()")
    assert wanted["conv.weight"] == [8, 3, 3, 3] and "offset" not in wanted
    networks.compare_state(networks.of(N=Small), "N()", wanted)
    for made, words in (
        (lambda: Small(bias=False), "torchvision's weights have conv.bias, and your network does not"),
        (lambda: Small(extra=True), "Your network has spare, which torchvision's weights do not have"),
        (lambda: Small(wide=6), r"conv.weight should have the shape \(8, 3, 3, 3\), not \(6, 3, 3, 3\)"),
    ):
        with pytest.raises(Unmet, match=words):
            networks.compare_state(networks.of(N=made), "N()", wanted)


def test_a_network_made_of_a_librarys_parts_is_seen():
    networks.own_modules(networks.of(N=Small), "N()")
    inherited = type("Mine", (torchvision.models.AlexNet,), {})
    for made in (torchvision.models.alexnet, inherited):
        with pytest.raises(Unmet, match=r"Build the network yourself.*torchvision\.models\.alexnet"):
            networks.own_modules(networks.of(N=made), "N()")


def test_parts_taken_out_of_a_librarys_network_are_seen():
    class Parts(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torchvision.models.resnet18().conv1  # an nn.Conv2d, but not the student's

    with pytest.raises(Unmet, match=r"torchvision\.models\.resnet"):
        networks.own_modules(networks.of(N=Parts), "N()")


def test_what_is_dropped_shows_where_it_is_dropped():
    """Two linear layers with dropout of 0.25 between them, and none before the first."""
    student = networks.of(N=lambda: nn.Sequential(nn.Linear(6, 4000), nn.Dropout(0.25), nn.Linear(4000, 2)))
    evaluation, training = networks.entering(student, "N()", images(3, 6, dtype=torch.float32), 1)
    assert [tuple(x.shape) for x in evaluation] == [tuple(x.shape) for x in training] == [(3, 6), (3, 4000)]
    assert torch.equal(evaluation[0], training[0]) and evaluation[1].min() > 0
    kept = training[1] != 0
    # 12,000 numbers: the share is off by more than 0.02 once in 10^6 runs.
    assert kept.double().mean().item() == pytest.approx(0.75, abs=0.02)
    assert torch.allclose(training[1][kept], evaluation[1][kept] / 0.75)


def test_a_network_that_uses_other_layers_in_training_is_told():
    class Skips(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(5, 5), nn.Linear(5, 2)

        def forward(self, x):
            return self.b(x if self.training else self.a(x))

    with pytest.raises(Unmet, match="another number of times than in evaluation"):
        networks.entering(networks.of(N=Skips), "N()", images(2, 5, dtype=torch.float32), 1)


def test_a_product_with_a_hankel_matrix_is_that_of_the_matrix():
    """By Fourier transforms on the student's side; here the matrix is read off its columns and multiplied out."""
    student = networks.of(M=lambda: nn.Linear(1100, 1000))
    eye = torch.eye(1100, dtype=torch.float64)
    columns, zero = networks.by_name(student, "M()", [eye, 0 * eye[:1]], 4).outputs
    x = images(3, 1100, seed=2)
    seen = networks.by_name(student, "M()", [x], 4).outputs[0]
    assert torch.allclose(seen, x @ (columns - zero) + zero, rtol=1e-9, atol=1e-10)


def test_what_the_network_raises_is_the_students_error():
    with pytest.raises(StudentError, match="not defined"):
        networks.by_name(networks.of(), "Missing()", [X], 1)
    with pytest.raises(StudentError, match="expected input"):
        networks.by_name(networks.of(N=Small), "N()", [images(2, 5, 9, 9)], 1)


def test_mistakes_come_with_their_values_and_hints():
    def run(student):
        return networks.by_name(student, "Network()", [X], 3).outputs[0]

    (value, hint), _ = networks.spoilt(Small, [({"stride": 1}, "the stride"), ({"p": 0.1}, "the dropout")], run)
    assert hint == "the stride"
    assert torch.equal(value, run(networks.of(Network=lambda: Small(stride=1))))
