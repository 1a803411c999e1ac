"""What a function leaves of a model: one that leaves nothing passes, and each trace has its hint."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from autograde import untouched
from autograde.expect import Unmet
from autograde.networks import of

SIZE = (2, 6, 6)


class Toy(nn.Sequential):
    """A convolution, and a normalization inside another module."""

    def __init__(self):
        super().__init__(
            nn.Conv2d(2, 3, 3), nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()), nn.Flatten(), nn.Linear(48, 2)
        )


def visit(model, size, inside=None, behind=None, finish=True):
    """Send one image through a model, and leave nothing behind, unless `inside` or `behind` do."""
    modes = {m: m.training for m in model.modules()}
    handles = [m.register_forward_hook(lambda *_: None) for m in model.modules()]
    model.eval()
    done = False
    try:
        if inside:
            inside(model)
        with torch.no_grad():
            model(torch.zeros(1, *size))
        done = True
    finally:
        if done or finish:
            for handle in handles:
                handle.remove()
            for m, mode in modes.items():
                m.training = mode
    if behind:
        behind(model)


def same(visit, **settings):
    settings = {"size": SIZE, **settings}
    untouched.same_model(of(visit=visit, Toy=Toy), "visit(model, size)", "Toy()", **settings)


def spoilt(**how):
    return lambda model, size: visit(model, size, **how)


def moved(model):
    model[0].weight = nn.Parameter(model[0].weight.detach().clone())


def stays(*_):
    pass


def test_a_visit_that_leaves_nothing_passes():
    same(visit, random_state=True)
    same(visit, size=(3, 6, 6), fits=SIZE, error="RuntimeError")


@pytest.mark.parametrize(
    ("behind", "hint"),
    [
        (lambda m: m.eval(), "was in training mode, and is not any more"),
        (lambda m: m.train(), "was in evaluation mode, and is not any more"),
        (lambda m: m[1].train(m.training), "The module '1.0' was in evaluation mode"),
        (lambda m: m[2].register_forward_hook(stays), "A hook of yours is still on the module '2'"),
        (lambda m: [x._forward_hooks.clear() for x in m.modules()], "A hook that was there before is gone"),
        (moved, "Parameters or buffers are other objects"),
        (lambda m: m.append(nn.ReLU()), "The modules are not those that they were"),
        (lambda m: setattr(m[2], "forward", m[2].forward), "The modules are not those that they were"),
        (lambda m: m.requires_grad_(True), "requires_grad of a parameter changed"),
        (lambda m: m[0].weight.data.add_(1), "A parameter has other values afterwards"),
        (lambda m: m[1][0].running_mean.add_(1), "A buffer (running statistics, counters) has other values"),
        (lambda m: m.zero_grad(), "The gradient of a parameter changed"),
        (lambda m: m[0].weight.grad.add_(1), "The gradient of a parameter changed"),
    ],
)
def test_each_trace_has_its_hint(behind, hint):
    with pytest.raises(Unmet) as raised:
        same(spoilt(behind=behind))
    assert hint in str(raised.value)


def test_a_global_hook_is_seen():
    handles = []
    register = torch.nn.modules.module.register_module_forward_hook
    try:
        with pytest.raises(Unmet, match="A global hook is still there"):
            same(spoilt(behind=lambda _: handles.append(register(stays))))
    finally:
        for handle in handles:
            handle.remove()


def test_what_is_left_when_the_model_raises_is_seen():
    wrong = {"size": (3, 6, 6), "fits": SIZE, "error": "RuntimeError"}
    with pytest.raises(Unmet, match="when the model raises: use try and finally"):
        same(spoilt(finish=False), **wrong)
    same(spoilt(finish=False))
    with pytest.raises(Unmet, match="the model's error should go on"):
        same(lambda model, size: None, **wrong)

    def other(model, size):
        raise KeyError(size)

    with pytest.raises(Unmet, match="yours is KeyError"):
        same(other, **wrong)
    with pytest.raises(Unmet, match="Your code raised KeyError"):
        same(other)


def test_the_random_state_counts_where_it_should():
    draw = spoilt(inside=lambda _: torch.rand(1))
    same(draw)
    with pytest.raises(Unmet, match="random state changed"):
        same(draw, random_state=True)


@pytest.mark.parametrize(
    ("visit", "once", "hint"),
    [
        (visit, True, ""),
        (lambda model, size: [visit(model, size) for _ in "ab"], False, ""),
        (lambda model, size: [visit(model, size) for _ in "ab"], True, "Make the pass once"),
        (lambda model, size: None, False, "Send an image through the model"),
        (lambda model, size: model(torch.zeros(1, *size)), False, "Make the pass under torch.no_grad()"),
        (spoilt(behind=lambda _: torch.set_grad_enabled(False)), True, "Gradients stay disabled"),
    ],
)
def test_a_graph_is_seen(visit, once, hint):
    def ask():
        untouched.no_graph(of(visit=visit), "visit(model, size)", SIZE, once=once)

    if not hint:
        return ask()
    with pytest.raises(Unmet) as raised:
        ask()
    assert hint in str(raised.value)


def test_a_counter_of_pytorchs_is_seen_and_works_afterwards():
    def counted(model, size):
        with FlopCounterMode(display=False):
            visit(model, size)

    untouched.no_counter(of(visit=visit, Toy=Toy), "visit(model, size)", "Toy()", SIZE)
    with pytest.raises(Unmet, match="Count yourself"):
        untouched.no_counter(of(visit=counted, Toy=Toy), "visit(model, size)", "Toy()", SIZE)
    with FlopCounterMode(display=False) as counter:
        visit(Toy(), SIZE)
    assert counter.get_total_flops() > 0


def test_the_expressions_see_source_and_inputs():
    code = "from torch import nn\ndef make(width):\n    return nn.Linear(width, 2)\n"
    student = of(visit=lambda model, size, spoil: model.eval() if spoil else visit(model, size))
    call, make = "visit(model, size, spoil)", "make(width)"
    untouched.same_model(student, call, make, (5,), before=code, width=5, spoil=False)
    with pytest.raises(Unmet, match="was in training mode"):
        untouched.same_model(student, call, make, (5,), before=code, width=5, spoil=True)
