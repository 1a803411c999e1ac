"""What a function leaves of a model that it visits: nothing, or a hint that says what.

A check gives the expression that makes a model, the call of the student's function, and the size of one example:

    untouched.same_model(student, "count(model, size)", "Network(3)", (3, 8, 8))

In the call stand `model` and `size`. What the expressions need besides the student's names is given as source,
`before`, and as inputs by value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autograde import expect
from autograde.student import Student

# Everything that a model has, before and after. It comes with what a function may lose: gradients, frozen parameters,
# hooks of its own, and modules in one mode inside of others that are in the other.
_VISIT = """
import torch
def own(module, *rest):
    pass
def mark(model):
    tensors = [*model.named_parameters(), *model.named_buffers()]
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return {
        "objects": [[name, id(t), str(t.device)] for name, t in tensors],
        "values": [t.detach().clone() for _, t in tensors if not t.is_meta],
        "grads": [None if t.grad is None or t.grad.is_meta else t.grad.clone() for _, t in model.named_parameters()],
        "flags": [[name, p.requires_grad] for name, p in model.named_parameters()],
        "modes": [[name, m.training] for name, m in model.named_modules()],
        "hooks": [[name, *(len(getattr(m, kind)) for kind in hooks)] for name, m in model.named_modules()],
        "kinds": [[name, type(m).__name__, "forward" in vars(m)] for name, m in model.named_modules()],
    }
torch.manual_seed(0)
before, after, raised, drawn = [], [], [], []
for start in ("train", "eval", "mixed"):
    model = {make}
    modules, parameters = list(model.modules()), list(model.parameters())
    with torch.enable_grad():
        model(torch.randn(4, *fits)).sum().backward()
    for p in parameters[::3]:
        p.requires_grad_(False)
    for p in parameters[1::3]:
        p.grad = None
    model.train(start != "eval")
    if start == "mixed":
        for m in modules[1::2]:
            m.training = False
    for m in modules:
        if not list(m.children()):
            m.register_forward_hook(own)
    model.register_forward_pre_hook(own)
    before.append(mark(model))
    state = torch.get_rng_state()
    try:
        {call}
        raised.append(None)
    except NotImplementedError:
        raise
    except Exception as error:
        raised.append(type(error).__name__)
    drawn.append(not torch.equal(state, torch.get_rng_state()))
    after.append(mark(model))
left = list(torch.nn.modules.module._global_forward_hooks)
"""

_GRAPH = """
import torch
from torch import nn
enabled = []
class Watching(nn.Conv2d):
    def forward(self, x):
        enabled.append(torch.is_grad_enabled())
        return super().forward(x)
model = nn.Sequential(Watching(size[0], 2, 3), nn.ReLU())
{call}
still = torch.is_grad_enabled()
"""

_COUNTER = """
from torch.utils.flop_counter import FlopCounterMode
called = []
kept = FlopCounterMode.__enter__
def watched(self):
    called.append(1)
    return kept(self)
model = {make}
FlopCounterMode.__enter__ = watched
try:
    {call}
finally:
    FlopCounterMode.__enter__ = kept
"""


def same_model(
    student: Student,
    call: str,
    make: str,
    size: Sequence[int],
    *,
    fits: Sequence[int] = (),
    error: str = "",
    random_state: bool = False,
    before: str = "",
    **inputs: Any,
) -> None:
    """Expect a model to be after a call what it was before: in training, in evaluation, and in a mixture of modes.

    Args:
        student: in whose process it happens.
        call: an expression with the names `model` and `size`.
        make: an expression that makes the model, which gives a tensor for a batch of examples, in training mode too.
        size: of one example, as the function is told.
        fits: of one example that the model takes, where `size` is not.
        error: what the model raises for an example of `size`, which should go on to the caller.
        random_state: whether PyTorch's random state must be what it was, too.
        before: source that `call` and `make` need.
        **inputs: values that they need.
    """
    code = before + _VISIT.replace("{make}", make).replace("{call}", call)
    inputs |= {"size": tuple(size), "fits": tuple(fits or size)}
    one, other, raised, drawn, left = student.run(code, ["before", "after", "raised", "drawn", "left"], **inputs)
    expect.sequence(raised, 3)
    if error:
        expect.that(all(raised), "For an image that does not fit, the model's error should go on to the caller.")
        expect.that(raised == [error] * 3, f"The model's own error should go on to the caller; yours is {raised[0]}.")
    else:
        expect.that(not any(raised), f"Your code raised {raised[0] or raised[1] or raised[2]}.")
    when = " when the model raises: use try and finally." if error else "."
    expect.that(left == [], f"A global hook is still there{when}")
    expect.sequence(other, 3)
    for was, now in zip(one, other, strict=True):
        expect.kind(now, dict)
        _compare(was, now, when)
    if random_state:
        hint = "PyTorch's random state changed: make the image of zeros, in evaluation mode."
        expect.that(drawn == [False] * 3, hint)


def _compare(one: dict[str, Any], other: dict[str, Any], when: str) -> None:
    """Expect the same marks of a model."""
    others = f"The modules are not those that they were{when}"
    expect.that([name for name, *_ in one["kinds"]] == [name for name, *_ in other["kinds"]], others)
    for (name, *count), (_, *now) in zip(one["hooks"], other["hooks"], strict=True):
        expect.that(sum(now) <= sum(count), f"A hook of yours is still on the module {name!r}{when}")
        expect.that(now == count, f"A hook that was there before is gone from the module {name!r}{when}")
    for (name, mode), (_, now) in zip(one["modes"], other["modes"], strict=True):
        was = "training" if mode else "evaluation"
        expect.that(mode == now, f"The module {name!r} was in {was} mode, and is not any more{when}")
    expect.that(one["objects"] == other["objects"], f"Parameters or buffers are other objects, or elsewhere{when}")
    expect.that(one["kinds"] == other["kinds"], others)
    expect.that(one["flags"] == other["flags"], f"requires_grad of a parameter changed{when}")
    parameters = len(one["flags"])
    for i, (was, now) in enumerate(zip(one["values"], other["values"], strict=True)):
        what = "A parameter" if i < parameters else "A buffer (running statistics, counters)"
        expect.close(now, was, f"{what} has other values afterwards{when}", rtol=0.0, atol=0.0)
    for was, now in zip(one["grads"], other["grads"], strict=True):
        expect.that((was is None) == (now is None), f"The gradient of a parameter changed{when}")
        if was is not None:
            expect.close(now, was, f"The gradient of a parameter changed{when}", rtol=0.0, atol=0.0)


def no_graph(
    student: Student, call: str, size: Sequence[int], *, once: bool = False, before: str = "", **inputs: Any
) -> None:
    """Expect a pass without gradients, through a convolution and a ReLU, and gradients to be enabled behind it.

    Args:
        student: in whose process it happens.
        call: an expression with the names `model` and `size`.
        size: of one image, channels first.
        once: whether there must be one pass and no other.
        before: source that `call` needs.
        **inputs: values that it needs.
    """
    code = before + _GRAPH.replace("{call}", call)
    enabled, still = student.run(code, ["enabled", "still"], size=tuple(size), **inputs)
    expect.that(type(enabled) is list and len(enabled) > 0, "Send an image through the model.")
    if once:
        expect.that(enabled == [False], "Make the pass once, and under torch.no_grad().")
    expect.that(not any(enabled), "Make the pass under torch.no_grad().")
    expect.that(still is True, "Gradients stay disabled after your function: use `with torch.no_grad():`.")


def no_counter(student: Student, call: str, make: str, size: Sequence[int], *, before: str = "", **inputs: Any) -> None:
    """Expect that the function does not have PyTorch's FlopCounterMode count, itself or through another library.

    Arguments are those of :func:`same_model`.
    """
    code = before + _COUNTER.replace("{make}", make).replace("{call}", call)
    called = student.run(code, "called", size=tuple(size), **inputs)
    hint = "Count yourself: a counter of PyTorch's, or the course's, is at work."
    expect.that(type(called) is list and not called, hint)
