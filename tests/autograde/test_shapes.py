"""Networks as shapes: the same network, and what was changed in PyTorch on the way is put back."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from autograde.shapes import on_meta, shapes_of, undrawn


def state() -> tuple:
    """Return what is changed in PyTorch on the way."""
    return dict(vars(torch.Tensor)), dict(vars(nn.init)), torch.batch_norm


@pytest.fixture(autouse=True)
def everything_is_put_back() -> Iterator[None]:
    before = state()
    yield
    assert state() == before


def test_a_network_on_the_meta_device_is_the_same_network() -> None:
    made = on_meta(lambda: nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Linear(7, 2)))
    shapes = {name: tuple(value.shape) for name, value in made.state_dict().items()}
    other = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Linear(7, 2)).state_dict()
    assert shapes == {name: tuple(value.shape) for name, value in other.items()}
    assert all(value.is_meta for value in made.state_dict().values())


def test_what_stands_elsewhere_is_drawn() -> None:
    made = on_meta(lambda: [torch.zeros(99, device="cpu").normal_(), torch.zeros(99, device="cpu").uniform_(2, 3)])
    assert (made[0] != 0).all() and (made[1] >= 2).all()
    assert on_meta(lambda: nn.init.ones_(torch.zeros(3, device="cpu").fill_(2))).tolist() == [1, 1, 1]
    with undrawn(everywhere=True):
        assert (torch.zeros(99).normal_() == 0).all() and (torch.zeros(99).fill_(3) == 3).all()
    assert (torch.zeros(99).normal_() != 0).all()


def test_a_function_of_the_students_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def own(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.fill_(7)

    monkeypatch.setattr(torch.Tensor, "normal_", own, raising=False)
    assert on_meta(lambda: torch.empty(2, device="cpu").normal_()).tolist() == [7, 7]
    assert torch.Tensor.normal_ is own


@pytest.mark.parametrize("training", [True, False])
def test_a_normalization_keeps_the_shape(training: bool) -> None:
    norm = on_meta(lambda: nn.BatchNorm2d(4)).train(training)
    seen = shapes_of(lambda: norm(torch.empty(2, 4, 3, 3, device="meta", dtype=torch.float32)))
    assert seen.is_meta and seen.shape == (2, 4, 3, 3)
    real, x = nn.BatchNorm2d(4).train(training), torch.randn(2, 4, 3, 3)
    assert torch.equal(shapes_of(lambda: real(x)), real(x))


def test_what_does_not_fit_still_raises() -> None:
    norm = on_meta(lambda: nn.BatchNorm2d(4))
    with pytest.raises(Exception):  # noqa: B017 (which one, PyTorch decides)
        shapes_of(lambda: norm(torch.empty(2, 5, 3, 3, device="meta")))
    with pytest.raises(ZeroDivisionError):
        on_meta(lambda: 1 / 0)
