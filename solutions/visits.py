"""Answers on file that send one image through a model: how right ones do it, and what wrong ones leave behind.

An answer to `layer_table` of `resnet`, and to exercises 2 and 3 of `comparison`, is a template with the parts `before`
and `run`: what is noted before the pass, and the pass with what is put back after it.
"""

from collections.abc import Callable, Sequence

from autograde.variants import Variant, wrong

BEFORE = "modes = {m: m.training for m in model.modules()}"
RUN = """
try:
    model.eval()
    like = next(model.parameters(), torch.zeros(()))
    with torch.no_grad():
        model(torch.zeros(1, *input_size, device=like.device, dtype=like.dtype))
finally:
    for handle in handles:
        handle.remove()
    for m, mode in modes.items():
        m.training = mode
"""


def after_eval(line: str) -> str:
    """Return a pass with one more line behind `model.eval()`."""
    return RUN.replace("    model.eval()\n", f"    model.eval()\n    {line}\n")


#: What a visit may leave behind: a name, the parts, the hint.
TRACES: list[tuple[str, dict[str, str], str]] = [
    ("left in evaluation mode", {"before": "modes = {}"}, "was in training mode, and is not any more"),
    (
        "always back in training mode",
        {"before": "modes = {}", "run": RUN + "model.train()\n"},
        "was in evaluation mode, and is not any more",
    ),
    (
        "one mode for all",
        {"before": "modes, mode = {}, model.training", "run": RUN + "model.train(mode)\n"},
        "was in evaluation mode, and is not any more",
    ),
    ("hooks left", {"run": RUN.replace("handle.remove()", "pass")}, "A hook of yours is still on the module"),
    (
        "all hooks removed",
        {
            "run": RUN.replace(
                "for handle in handles:\n        handle.remove()",
                "for m in model.modules():\n        m._forward_hooks.clear()",
            )
        },
        "A hook that was there before is gone",
    ),
    (
        "no finally",
        {
            "run": """
model.eval()
like = next(model.parameters(), torch.zeros(()))
with torch.no_grad():
    model(torch.zeros(1, *input_size, device=like.device, dtype=like.dtype))
for handle in handles:
    handle.remove()
for m, mode in modes.items():
    m.training = mode
"""
        },
        "when the model raises: use try and finally",
    ),
    (
        "errors swallowed",
        {"run": RUN.replace("finally:", "except RuntimeError:\n    pass\nfinally:")},
        "error should go on to the caller",
    ),
    (
        "gradients recorded",
        {"run": RUN.replace("torch.no_grad()", "torch.enable_grad()")},
        "under torch.no_grad()",
    ),
    (
        "gradients left disabled",
        {"run": RUN.replace("with torch.no_grad():\n        model(", "torch.set_grad_enabled(False)\n    model(")},
        "Gradients stay disabled after your function",
    ),
    (
        "in the model's own mode",
        {"run": RUN.replace("    model.eval()\n", "")},
        "Your code raised ValueError: Expected more than 1 value per channel",
    ),
    ("always float32", {"run": RUN.replace(", dtype=like.dtype", "")}, "Your code raised RuntimeError"),
    ("always on the CPU", {"run": RUN.replace("device=like.device, ", "")}, "Your code raised"),
    (
        "a parameter needed",
        {"run": RUN.replace("next(model.parameters(), torch.zeros(()))", "next(model.parameters())")},
        "Your code raised StopIteration",
    ),
    (
        "the model moved to the meta device",
        {"run": after_eval('model.to("meta")')},
        "Parameters or buffers are other objects, or elsewhere",
    ),
    ("gradients cleared", {"run": after_eval("model.zero_grad()")}, "The gradient of a parameter changed"),
    ("parameters frozen", {"run": after_eval("model.requires_grad_(False)")}, "requires_grad of a parameter changed"),
]


def traces(
    make: Callable[..., str], *left_out: str, more: Sequence[tuple[str, dict[str, str], str]] = ()
) -> list[Variant]:
    """Return wrong answers that leave something behind.

    Args:
        make: fills in an exercise's template, from the parts of a trace.
        left_out: the names of traces that are not on file for this exercise.
        more: traces that others do not have.
    """
    return [wrong(name, make(**parts), hint=hint) for name, parts, hint in [*TRACES, *more] if name not in left_out]
