"""Counts are compared with closed forms and with the numbers that torchvision publishes beside its weights."""

import pytest
import torch
import torchvision
from torch import nn

from ravines import counting

#: How many convolutions and fully connected layers each has; projections count: ResNet-18 has 18 and 3 of them.
PUBLISHED = {
    "alexnet": 8,
    "vgg11": 11,
    "vgg16": 16,
    "vgg16_bn": 16,
    "googlenet": 58,
    "resnet18": 18 + 3,
    "resnet50": 50 + 4,
    "resnet152": 152 + 4,
    "resnext50_32x4d": 50 + 4,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts(name: str) -> None:
    weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    settings = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    with torch.device("meta"):
        model = torchvision.models.get_model(name, **settings).eval()
    rows = counting.layers(model, (3, 224, 224))
    assert sum(row.parameters for row in rows) == counting.parameters(model) == weights.meta["num_params"]
    assert sum(row.macs for row in rows) / 1e9 == pytest.approx(weights.meta["_ops"], abs=6e-4)  # 3 digits are given
    assert counting.depth(rows) == PUBLISHED[name]


def test_each_row_by_hand() -> None:
    model = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 4 * 5, 7))
    rows = counting.layers(model, (4, 9, 11))
    assert [row.name for row in rows] == ["0", "1", "2", "3"]
    assert [row.kind for row in rows] == ["Conv2d", "ReLU", "Flatten", "Linear"]
    assert [row.shape for row in rows] == [(6, 4, 5), (6, 4, 5), (120,), (7,)]
    assert [row.parameters for row in rows] == [6 * 2 * 9 + 6, 0, 0, 120 * 7 + 7]
    assert [row.macs for row in rows] == [6 * 4 * 5 * 2 * 9, 0, 0, 120 * 7]
    assert [row.activations for row in rows] == [120, 120, 120, 7]
    assert counting.depth(rows) == 2


def test_an_output_of_one_number_is_one_number_and_no_tensor_is_none() -> None:
    (flat,) = counting.layers(nn.Flatten(0), (1,))
    assert (flat.shape, flat.activations) == ((), 1)
    (pair,) = counting.layers(nn.LSTM(3, 2), (5, 3))  # gives a tuple
    assert (pair.shape, pair.activations) == (None, 0)


def test_a_module_with_two_names_is_counted_once_and_keeps_its_numbers() -> None:
    network = nn.Sequential(nn.Linear(5, 5), nn.BatchNorm1d(5))
    network.again, network.norm = network[0], network[1]
    before = {name: t.clone() for name, t in network.state_dict().items()}
    rows = counting.layers(network.eval(), (5,))
    assert sum(row.parameters for row in rows) == counting.parameters(network) == 40
    for name, tensor in network.state_dict().items():
        assert tensor.device.type == "cpu" and torch.equal(tensor, before[name])


def test_a_module_used_twice_owns_its_parameters_once() -> None:
    shared = nn.Linear(5, 5)
    rows = counting.layers(nn.Sequential(shared, nn.ReLU(), shared), (5,))
    assert [row.parameters for row in rows] == [30, 0, 0]
    assert [row.macs for row in rows] == [25, 0, 25]
    tied = nn.Sequential(nn.Linear(5, 5, bias=False), nn.Linear(5, 5, bias=False))
    tied[1].weight = tied[0].weight
    assert [row.parameters for row in counting.layers(tied, (5,))] == [25, 0]
    assert [row.macs for row in counting.layers(tied, (5,))] == [25, 25]


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(training: bool) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5)).train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    counting.layers(model, (1, 8, 8))
    after = model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert model.training is training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert model(torch.zeros(2, 1, 8, 8)).shape == (2, 2, 6, 6)


def test_auxiliary_heads_are_met_in_training_only() -> None:
    with torch.device("meta"):
        model = torchvision.models.googlenet(aux_logits=True, init_weights=False)
    met = {
        training: counting.depth(counting.layers(model.train(training), (3, 224, 224))) for training in (True, False)
    }
    assert met == {True: 64, False: 58}


def test_what_is_kept_for_the_way_back_by_hand() -> None:
    """A linear layer keeps its input, a ReLU its output, which the next layer keeps, too; weights are there anyway."""
    model = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3)).eval()
    assert counting.kept_for_backward(model, torch.zeros(4, 5)) == 4 * (4 * 5 + 4 * 7)
    assert not any(module.training for module in model)
    # Normalization keeps its input, and a mean and a deviation of each feature; its statistics are buffers.
    norm = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7))
    with torch.device("meta"):
        same = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7))
    found = counting.kept_for_backward(norm, torch.zeros(4, 5))
    assert found == 4 * (4 * 5 + 4 * 7 + 2 * 7)
    assert counting.kept_for_backward(same, torch.empty(4, 5, device="meta")) == found
    pool = nn.MaxPool2d(2)
    images = torch.zeros(2, 3, 4, 4, requires_grad=True)
    assert counting.kept_for_backward(pool, images) == 4 * 96 + 8 * 24, "the input, and where the maxima were"


def test_one_sentence_about_an_input_that_does_not_fit() -> None:
    model = nn.Sequential(nn.Linear(3, 2))
    with pytest.raises(ValueError, match=r"Sequential does not take an input of shape \(4,\)"):
        counting.layers(model, (4,))
    assert not model[0]._forward_hooks
    assert counting.layers(model, (3,))[0].macs == 6
