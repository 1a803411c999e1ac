"""The hidden checks of the assignment `comparison`.

MACs are those of PyTorch's FlopCounterMode, halved, and closed forms where a layer stands alone. Parameters are counted
by walking over the places that hold them. Outputs are those of `ravines.counting`, and closed forms. The Pareto front
is its definition, pair by pair. The wrong values that usual mistakes give come from counts that have the mistake.
"""

import copy
import functools
import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from autograde import expect, untouched
from autograde.cases import Cases, check
from autograde.shapes import shapes_of
from autograde.student import Student
from ravines import counting
from solutions import toy_networks
from solutions.toy_networks import made, whole

#: The models here are made on the student's side, too.
_MODELS = inspect.getsource(toy_networks) + "from autograde.shapes import shapes_of\n"
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd)
#: Where no module is used in a special way, and how big one image is.
IMAGE, AT_227 = (3, 224, 224), (3, 227, 227)


def _whole(value: Any, what: str) -> None:
    """Expect an integer of a sane size."""
    expect.kind(value, int, what)
    expect.that(abs(value) < 2**62, f"{what} is far too large.")


def _judge(seen: int, wanted: int, mistakes: Iterable[tuple[int, str]], where: str, hint: str) -> None:
    """Expect this integer; one that a known mistake gives fails with the mistake's hint."""
    if seen == wanted:
        return
    for value, words in mistakes:
        expect.that(seen != value or value == wanted, f"{where} {words}")
    expect.that(False, f"{where} {hint}")


def _places(model: nn.Module) -> list[nn.Parameter]:
    """Return what stands in every place that holds a parameter; a module with two names is one place."""
    return [p for m in model.modules() for p in m._parameters.values() if p is not None]


# --- 1. count_parameters ---------------------------------------------------------------------------------------------


_EQUAL = "Two parameters that happen to have the same values are two, and not shared."


@check
def count_parameters(student: Student, cases: Cases) -> None:
    """Walk over all places that hold a parameter, and compare with what torchvision publishes."""
    settings = [cases.integer(2, 4), cases.integer(6, 8), cases.integer(2, 4), cases.integer(5, 9)]
    code = _MODELS + "counted = count_parameters(made(name, settings, device=device))\n"

    def compare(name: str, where: str, device: str = "cpu") -> None:
        seen = student.run(code, "counted", name=name, settings=settings, device=device)
        _whole(seen, "The number of parameters")
        model = made(name, settings)
        places = _places(model)
        wanted = sum({id(p): p.numel() for p in places}.values())
        buffers = sum(b.numel() for b in model.buffers())
        everywhere = [p for _, p in model.named_parameters(remove_duplicate=False)]
        state = sum(v.numel() for v in model.state_dict().values())
        own = {id(p) for m in model.modules() if list(m.children()) for p in m._parameters.values()}
        first = {tuple(p.shape): p.numel() for p in places}
        different: list[nn.Parameter] = []
        for p in places:
            if not any(p.shape == other.shape and torch.equal(p, other) for other in different):
                different.append(p)
        twice = "A parameter that several modules share is counted once, and so is a module that is in several places."
        mistakes = [
            (wanted + buffers, "Buffers, such as running means, are no parameters."),
            (sum(p.numel() for p in places), twice),
            (sum(p.numel() for p in everywhere), twice),
            (state, "A state dict holds buffers, too, and what is shared in each of its places."),
            (sum(p.numel() for p in model.parameters() if p.requires_grad), "Frozen parameters are counted, too."),
            (sum(p.numel() for p in model.parameters() if id(p) not in own), "A model may have parameters of its own."),
            (sum(p.numel() for p in model.parameters() if p.dim() > 1), "Biases and scales are parameters, too."),
            (len(list(model.parameters())), "Count the numbers in the parameters, not the parameters."),
            (sum(p.numel() for p in different), _EQUAL),
            (sum(first.values()), "Two parameters of the same shape are still two."),
            (sum(len(p) if p.dim() else 1 for p in model.parameters()), "A parameter has as many numbers as numel()."),
            (4 * wanted, "Count numbers, not bytes."),
        ]
        _judge(seen, wanted, mistakes, where, "The number of parameters is wrong.")

    with cases("layers of all kinds"):
        compare("convolutions", "A network of convolutions and normalizations.")
        compare("sides", "Convolutions with kernels of one and three sides.")
    with cases("shared, frozen and own parameters", weight=2):
        compare("tied", "A model with shared, frozen and own parameters.")
    with cases("a module in two places"):
        compare("twice", "A model that uses one module in two places.")
    with cases("models of one module, and without parameters"):
        compare("itself", "A model that is one layer.")
        compare("bare", "A model without parameters.")
    with cases("on the meta device", weight=2):
        compare("tied", "A model on the meta device, where all tensors are at the address 0.", "meta")
        for name, record in (("resnet18", "ResNet18_Weights"), ("mobilenet_v2", "MobileNet_V2_Weights")):
            seen = student.run(code, "counted", name=name, settings=settings, device=None)
            _whole(seen, "The number of parameters")
            published = getattr(torchvision.models, record).IMAGENET1K_V1.meta["num_params"]
            expect.that(seen == published, f"The number of parameters of torchvision's {name} is wrong.")
    with cases("equal values"):
        code_equal = (
            "import torch\nfrom torch import nn\n"
            "model = nn.Sequential(nn.Linear(width, width), nn.Linear(width, width))\n"
            "nn.init.ones_(model[0].weight)\nnn.init.ones_(model[1].weight)\nnn.init.zeros_(model[0].bias)\n"
            "nn.init.zeros_(model[1].bias)\ncounted = count_parameters(model)\n"
        )
        seen = student.run(code_equal, "counted", width=settings[1])
        expect.equal(seen, 2 * (settings[1] ** 2 + settings[1]), _EQUAL)
    with cases("nothing left behind"):
        images = (settings[0], 17, 19)
        _traceless(student, "count_parameters(model)", settings, images)


# --- 2. count_macs ---------------------------------------------------------------------------------------------------


def _flops(model: nn.Module, size: Sequence[int]) -> int:
    """Return PyTorch's own count of the MACs for one image, in evaluation mode."""
    first = next(model.parameters(), torch.empty(0))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(torch.zeros(1, *size, dtype=first.dtype, device=first.device))
    return counter.get_total_flops() // 2


@functools.cache
def _network_macs(name: str, size: tuple[int, ...]) -> int:
    """Return PyTorch's own count of the MACs of a whole network."""
    return shapes_of(lambda: _flops(whole(name), size))


_SPREAD = "In a transposed convolution each number of the input meets C_out / g times the kernel's weights."
_MAC_WORDS = {
    "flops": "A MAC is one multiplication and one addition: count it once.",
    "groups": "With g groups each output channel sees only C_in / g input channels.",
    "bias": "A bias costs no MAC.",
    "no kernel": "The kernel's size belongs to the number of products.",
    "square": "The sides of a kernel may differ.",
    "input": "A convolution's MACs follow the size of its output: stride and padding change it.",
    "pixels": "There is one sum of products for each channel of the output, too.",
    "rows": "A linear layer is applied to every token.",
    "no pixels": "Every weight is used once for each position of the output.",
    "first": "All numbers that leave a layer count, also where one image has become several examples.",
    "forward": _SPREAD,
    "forward groups": _SPREAD,
    "transposed groups": "In a transposed convolution with g groups each number meets only C_out / g channels.",
    "no transposed": "Transposed convolutions have MACs, too.",
    "no linear": "Linear layers have MACs, too.",
    "only images": "Convolutions of one and of three dimensions have MACs, too.",
    "only conv2d": "Conv2d and Linear are not the only layers of WEIGHTED.",
    "elements": "Only convolutions and linear layers have MACs here; everything else has 0.",
    "once": "A layer that is used twice counts twice.",
    "unused": "A layer that is not used does not count.",
}


def _spoilt_macs(model: nn.Module, size: Sequence[int]) -> dict[str, int]:
    """Return the sums that usual mistakes give: mistake -> MACs."""
    uses: list[dict[str, int]] = []
    met: set[nn.Module] = set()

    def use(module: nn.Module, given: tuple, output: torch.Tensor) -> None:
        if not isinstance(output, torch.Tensor):
            return
        out, came = output.numel(), given[0].numel() if isinstance(given[0], torch.Tensor) else 0
        if not isinstance(module, WEIGHTED):
            uses.append({"right": 0, "elements": out})
            return
        bias = out * (module.bias is not None)
        if isinstance(module, nn.Linear):
            right = out * module.in_features
            known = {
                "rows": module.weight.numel(),
                "no linear": 0,
                "forward": right,
                "no pixels": module.weight.numel(),
            }
        else:
            kernel, g = math.prod(module.kernel_size), module.groups
            fan, after = module.in_channels // g, module.out_channels // g
            transposed = isinstance(module, TRANSPOSED)
            right = came * after * kernel if transposed else out * fan * kernel
            known = {
                "groups": right if transposed else right * g,
                "no kernel": right // kernel,
                "square": right // kernel * module.kernel_size[0] ** len(module.kernel_size),
                "input": right if transposed else math.prod(given[0].shape[2:]) * module.out_channels * fan * kernel,
                "pixels": right if transposed else right // module.out_channels,
                "no pixels": module.weight.numel(),
                "only images": right if len(module.kernel_size) == 2 else 0,
                "only conv2d": right if isinstance(module, nn.Conv2d) else 0,
            }
            if transposed:
                forward = out * fan * kernel
                known |= {"forward": forward, "forward groups": out * module.weight[0].numel(), "no transposed": 0}
                known |= {"transposed groups": right * g}
        once = 0 if module in met else right
        met.add(module)
        uses.append(
            {
                "right": right,
                "flops": 2 * right,
                "bias": right + bias,
                "first": right // len(output),
                "once": once,
                **known,
            }
        )

    hooks = [m.register_forward_hook(use) for m in model.modules() if not list(m.children())]
    first = next(model.parameters(), torch.empty(0))
    with torch.no_grad():
        shapes_of(lambda: model.eval()(torch.zeros(1, *size, dtype=first.dtype, device=first.device)))
    for hook in hooks:
        hook.remove()
    sums = {kind: sum(known.get(kind, known["right"]) for known in uses) for kind in _MAC_WORDS}
    spare = [m for m in model.modules() if isinstance(m, nn.Linear) and m not in met]
    sums["unused"] = sums["unused"] + sum(m.weight.numel() for m in spare)
    return sums


def _compare_macs(seen: Any, wanted: int, model: nn.Module | str, size: Sequence[int], where: str) -> None:
    """Expect the MACs of a model, or of a network that is made by its name."""
    _whole(seen, "The number of MACs")
    if seen != wanted:
        spoilt = _spoilt_macs(whole(model) if isinstance(model, str) else model, size)
        mistakes = [(spoilt[kind], words) for kind, words in _MAC_WORDS.items()]
        _judge(seen, wanted, mistakes, where, "The number of MACs is wrong.")


def _side(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Return one side of a convolution's output."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


@check
def count_macs(student: Student, cases: Cases) -> None:
    """Compare with PyTorch's own counter and closed forms, and look for what is left behind."""
    settings = [cases.integer(2, 4), cases.integer(6, 8), cases.integer(2, 4), cases.integer(5, 9)]
    a, b, _, k = settings
    images = (a, cases.integer(17, 22), cases.integer(19, 24))
    code = _MODELS + "counted = shapes_of(lambda: count_macs(made(name, settings, dtype, device), tuple(size)))\n"

    def ask(name: str, size: Sequence[int], dtype: torch.dtype | None = None, device: str | None = None) -> Any:
        inputs = {"name": name, "settings": settings, "size": tuple(size), "dtype": dtype, "device": device}
        return student.run(code, "counted", **inputs)

    def compare(name: str, size: Sequence[int], where: str, dtype: torch.dtype | None = None) -> None:
        model = made(name, settings)
        _compare_macs(ask(name, size, dtype), _flops(model, size), model, size, where)

    with cases("one convolution", weight=2):
        height, width = images[1:]
        for groups, stride, padding, dilation in ((1, (1, 2), (0, 2), (1, 1)), (3, (2, 1), (1, 0), (2, 3))):
            pixels = math.prod(map(_side, (height, width), (3, 2), stride, padding, dilation))
            wanted = pixels * 3 * b * (3 * a // groups) * 3 * 2
            options = {"groups": groups, "stride": stride, "padding": padding, "dilation": dilation}
            code_layer = "from torch import nn\nlayer = nn.Conv2d(3 * a, 3 * b, (3, 2), **options)\n"
            seen = student.run(
                code_layer + "counted = count_macs(layer, (3 * a, height, width))",
                "counted",
                **{"a": a, "b": b, "height": height, "width": width, "options": options},
            )
            layer = nn.Conv2d(3 * a, 3 * b, (3, 2), **options)
            where = f"A convolution with {groups} group{'s' * (groups > 1)}."
            _compare_macs(seen, wanted, layer, (3 * a, height, width), where)
    with cases("convolutions of every kind", weight=2):
        compare("convolutions", images, "A network with all kinds of convolutions.")
    with cases("transposed convolutions", weight=2):
        compare("decoder", images, "A network with transposed convolutions.")
    with cases("one and three dimensions"):
        compare("sides", (a, 4, 7, 3), "Convolutions of one and three dimensions.")
    with cases("modules that are used twice", weight=2):
        compare("twice", images, "A network whose modules are used twice.")
    with cases("tokens and patches", weight=2):
        tokens = cases.integer(5, 9)
        seen = ask("words", (tokens, a))
        wanted = tokens * (a * 4 * b + 4 * b * k)
        _compare_macs(seen, wanted, made("words", settings), (tokens, a), "Linear layers on tokens.")
        compare("words", (3, tokens, a), "Linear layers on a grid of tokens.")
        compare("patches", images, "A model that turns an image into several examples.")
    with cases("evaluation mode"):
        compare("modes", images, "A network in training mode, which has another way there.")
    with cases("other models"):
        compare("wide", images, "A class that inherits from nn.Conv2d is a convolution, too.")
        compare("bare", images, "A model without parameters.")
        compare("itself", (a,), "A model that is one layer.")
        compare("twice", images, "A model in float64.", torch.float64)
    with cases("networks on the meta device", weight=2):
        trials = (
            *(("alexnet in one group", AT_227), ("alexnet in two groups", AT_227), ("vgg16", IMAGE)),
            *(("googlenet", IMAGE), ("resnet50", IMAGE), ("mobilenet_v2", IMAGE)),
        )
        for name, size in trials:
            _compare_macs(ask(name, size), _network_macs(name, size), name, size, f"{name} on the meta device.")
    with cases("nothing left behind", weight=3):
        _traceless(student, "count_macs(model, size)", settings, images)
    with cases("when the model raises", weight=2):
        _traceless(
            student, "count_macs(model, size)", settings, (a + 1, *images[1:]), fits=images, error="RuntimeError"
        )
    with cases("no graph"):
        untouched.no_graph(student, "count_macs(model, size)", images)
    with cases("your own count"):
        _own_count(student, "count_macs(model, size)", settings, images)


# --- 3. activation_memory --------------------------------------------------------------------------------------------

_NO_MEMORY = "Every use of a leaf counts its output, also where it takes no memory of its own."
_MEMORY_WORDS = {
    "numbers": "Each number of the output has element_size() bytes.",
    "swapped": "With weighted_only=True only layers of WEIGHTED count, with False all leaves.",
    "once": "A module that is used twice counts twice.",
    "last": "A module that is used twice counts twice.",
    "inputs": "The outputs count, not the inputs.",
    "containers": "Only leaves count, modules without modules inside: the others would count outputs a second time.",
    "not in place": "A module that works in place counts, too.",
    "views": _NO_MEMORY,
    "storages": _NO_MEMORY,
    "no linear": "Linear layers are layers with weights, too.",
    "only conv2d": "Conv2d and Linear are not the only layers of WEIGHTED.",
    "with parameters": "With weighted_only=True layers of WEIGHTED count, and no normalizations.",
    "both": "With weighted_only=False every leaf counts once, layers with weights too.",
    "rest": "With weighted_only=False every leaf counts, layers with weights too.",
    "with weights": "The outputs count, and not the parameters.",
    "first": "All numbers of an output count, also where one image has become several examples.",
    "four": "The bytes of one number are those of the output's own dtype.",
    "largest": "Add up all outputs; the largest one is another number.",
}


def _spoilt_memory(model: nn.Module, size: Sequence[int], weighted_only: bool) -> dict[str, int]:
    """Return the bytes that usual mistakes give: mistake -> bytes."""
    uses: list[dict[str, Any]] = []

    def use(module: nn.Module, given: tuple, output: Any) -> None:
        if isinstance(output, torch.Tensor):
            came = given[0] if isinstance(given[0], torch.Tensor) else output
            uses.append(
                {
                    "module": module,
                    "leaf": not list(module.children()),
                    "weighted": isinstance(module, WEIGHTED),
                    "bytes": output.numel() * output.element_size(),
                    "numbers": output.numel(),
                    "one": output[0].numel() * output.element_size(),
                    "input": came.numel() * came.element_size(),
                    "view": came is not output and came.data_ptr() == output.data_ptr(),
                    "output": output,  # kept: the address of a freed one would come again
                }
            )

    hooks = [m.register_forward_hook(use) for m in model.modules()]
    first = next(model.parameters(), torch.empty(0))
    with torch.no_grad():
        model.eval()(torch.zeros(1, *size, dtype=first.dtype, device=first.device))
    for hook in hooks:
        hook.remove()
    leaves = [u for u in uses if u["leaf"]]
    weighted = [u for u in leaves if u["weighted"]]
    chosen = weighted if weighted_only else leaves
    everything = sum(u["bytes"] for u in chosen)

    def of(which: Iterable[dict[str, Any]], what: str = "bytes") -> int:
        return sum(u[what] for u in which)

    return {
        "numbers": of(chosen, "numbers"),
        "swapped": of(leaves if weighted_only else weighted),
        "once": of({u["module"]: u for u in reversed(chosen)}.values()),
        "last": of({u["module"]: u for u in chosen}.values()),
        "inputs": of(chosen, "input"),
        "containers": of(uses),
        "not in place": of(u for u in chosen if not getattr(u["module"], "inplace", False)),
        "views": of(
            u for u in chosen if not u["view"] and not isinstance(u["module"], (nn.Flatten, nn.Dropout, nn.Identity))
        ),
        "storages": of({u["output"].data_ptr(): u for u in reversed(chosen)}.values()),
        "no linear": of(u for u in chosen if not isinstance(u["module"], nn.Linear)),
        "only conv2d": of(u for u in chosen if isinstance(u["module"], (nn.Conv2d, nn.Linear))),
        "with parameters": of(u for u in leaves if list(u["module"].parameters())),
        "both": everything + of(weighted),
        "rest": of(u for u in leaves if not u["weighted"]),
        "with weights": everything + sum(p.numel() * p.element_size() for p in model.parameters()),
        "first": of(chosen, "one"),
        "four": 4 * of(chosen, "numbers"),
        "largest": max((u["bytes"] for u in chosen), default=0),
    }


def _outputs(rows: Sequence[counting.Layer], weighted_only: bool) -> int:
    """Return how many numbers the chapter's counter finds."""
    return sum(row.activations for row in rows if row.weighted or not weighted_only)


@functools.cache
def _rows(name: str, size: tuple[int, ...]) -> list[counting.Layer]:
    """Return the rows of a whole network."""
    return shapes_of(lambda: counting.layers(whole(name).eval(), size))


@functools.lru_cache(maxsize=64)  # those of one student; of everybody where all are asked the same
def _small_rows(name: str, settings: tuple[int, ...], size: tuple[int, ...]) -> list[counting.Layer]:
    """Return the rows of a model that is made from four numbers."""
    return counting.layers(made(name, settings).eval(), size)


@check
def activation_memory(student: Student, cases: Cases) -> None:
    """Compare with the chapter's counter and closed forms, and look for what is left behind."""
    settings = [cases.integer(2, 4), cases.integer(6, 8), cases.integer(2, 4), cases.integer(5, 9)]
    a, b, _, k = settings
    images = (a, cases.integer(17, 22), cases.integer(19, 24))
    code = _MODELS + "model = made(name, settings, dtype)\ncounted = [shapes_of(lambda: activation_memory(model, "
    code += "tuple(size), **options)) for options in ({}, {'weighted_only': True}, {'weighted_only': False})]\n"

    def ask(name: str, size: Sequence[int], wanted: tuple[int, int], where: str, **dtype: torch.dtype) -> None:
        """Ask for the bytes of layers with weights and of all leaves, and expect these."""
        inputs = {"name": name, "settings": settings, "size": tuple(size), "dtype": None, **dtype}
        seen = student.run(code, "counted", **inputs)
        expect.sequence(seen, 3, "The list of results")
        for value in seen:
            _whole(value, "The number of bytes")
        default, weighted, everything = seen
        model = made(name, settings, inputs["dtype"])
        for value, right, only in ((weighted, wanted[0], True), (everything, wanted[1], False)):
            spoilt = _spoilt_memory(copy.deepcopy(model), size, only) if value != right else {}
            mistakes = [(spoilt[kind], words) for kind, words in _MEMORY_WORDS.items() if kind in spoilt]
            _judge(value, right, mistakes, f"{where} weighted_only={only}.", "The number of bytes is wrong.")
        expect.that(default == weighted, f"{where} weighted_only is True where it is not given.")

    def compare(name: str, size: Sequence[int], where: str, **dtype: torch.dtype) -> None:
        rows = _small_rows(name, tuple(settings), tuple(size))
        each = 8 if dtype else 4
        ask(name, size, (each * _outputs(rows, True), each * _outputs(rows, False)), where, **dtype)

    with cases("convolutions of every kind", weight=2):
        compare("convolutions", images, "A network with all kinds of convolutions.")
    with cases("other layers"):
        compare("decoder", images, "A network with transposed convolutions.")
        compare("sides", (a, 4, 7, 3), "Convolutions of one and three dimensions.")
        compare("wide", images, "A class that inherits from nn.Conv2d is a convolution, too.")
    with cases("modules that are used twice", weight=2):
        compare("twice", images, "A network whose modules are used twice.")
    with cases("tokens and patches"):
        compare("words", (5, a), "Linear layers on tokens.")
        pixels = (images[1] // 2 - 2) * (images[2] // 2 - 2)  # of a quarter, behind a 3x3 convolution
        weighted = 4 * (4 * b * pixels + k)
        ask("patches", images, (weighted, weighted + 4 * 4 * b), "A model that turns an image into several examples.")
    with cases("the dtype of the output", weight=2):
        compare("convolutions", images, "A model in float64.", dtype=torch.float64)
        numbers = b * (images[1] - 2) * (images[2] - 2)
        everything = (4 + 2 + 8 + 8) * numbers
        ask("casts", images, (4 * numbers, everything), "Modules whose outputs have different dtypes.")
    with cases("outputs that are no tensors"):
        ask("pairs", (a,), (4 * (b + k), 4 * (b + b + k)), "A leaf whose output is a tuple counts 0.")
    with cases("other models"):
        compare("modes", images, "A network in training mode, which has another way there.")
        compare("bare", images, "A model without parameters.")
        compare("itself", (a,), "A model that is one layer.")
    with cases("networks on the meta device", weight=2):
        for name, size in (("alexnet in one group", AT_227), ("vgg16", IMAGE), ("resnet18", IMAGE)):
            both = code.replace("{}, ", "", 1)  # without what is asked by default
            seen = student.run(both, "counted", name=name, settings=settings, size=size, dtype=None)
            expect.sequence(seen, 2, "The list of results")
            for value, only in zip(seen, (True, False), strict=True):
                _whole(value, "The number of bytes")
                where = f"{name} on the meta device, weighted_only={only}."
                expect.that(value == 4 * _outputs(_rows(name, size), only), f"{where} The number of bytes is wrong.")
    for only in (True, False):
        call = f"activation_memory(model, size, weighted_only={only})"
        with cases(f"nothing left behind, weighted_only={only}", weight=1.5):
            _traceless(student, call, settings, images)
            untouched.no_graph(student, call, images)
    with cases("when the model raises", weight=2):
        for only in (True, False):
            call = f"activation_memory(model, size, weighted_only={only})"
            _traceless(student, call, settings, (a + 1, *images[1:]), fits=images, error="RuntimeError")
    with cases("your own count"):
        _own_count(student, "activation_memory(model, size, weighted_only=False)", settings, images)


# --- 4. comparison_row -----------------------------------------------------------------------------------------------

KEYS = (
    "network",
    "parameters",
    "gmac",
    "gflop",
    "weighted_layers",
    "weights_mib",
    "outputs_mib",
    "all_outputs_mib",
    "macs_per_parameter",
    "top5_accuracy",
)

# Counters with made-up numbers, which remember what they were given.
_COUNTERS = """
given = []
def count(model):
    given.append([type(model).__name__, id(model) == id(asked[0]), None])
    return numbers[0]
def work(model, input_size):
    given.append([type(model).__name__, id(model) == id(asked[0]), list(input_size)])
    return numbers[1]
def memory(model, input_size, weighted_only=True):
    given.append([type(model).__name__, id(model) == id(asked[0]), list(input_size)])
    return numbers[2] if weighted_only else numbers[3]
counters = (count, work, memory)
"""
_ASKED = _MODELS + _COUNTERS + "model = made(name, settings)\nasked = [model]\n"
_CALL = "comparison_row('a network', model, tuple(size), counters=counters, **options)"
_ROW = _ASKED + f"row = {_CALL}\n"


def _read(row: Any) -> dict[str, Any]:
    """Expect a dict with the table's keys."""
    expect.kind(row, dict, "The row")
    missing, spare = [key for key in KEYS if key not in row], [key for key in row if key not in KEYS]
    expect.that(not missing, f"The row should have the key {missing[0]!r}." if missing else "")
    expect.that(not spare, f"The row has a key that the table does not have: {str(spare[0])[:40]!r}." if spare else "")
    return row


def _compare_number(row: dict[str, Any], key: str, wanted: float | None, hint: str, mistakes: Any = ()) -> None:
    """Expect a number of the row, or None."""
    if wanted is None:
        expect.that(row[key] is None, f"{key}: {hint}")
        return
    expect.that(row[key] is not None, f"{key} should be a number here, but it is None. {hint}")
    expect.kind(row[key], int if isinstance(wanted, int) else (float, int), key)
    known = [(v, f"{key}: {words}") for v, words in mistakes if v != wanted]
    if isinstance(wanted, float) and not math.isclose(row[key], wanted, rel_tol=1e-9):
        rounded = any(row[key] == round(wanted, digits) for digits in range(7)) and row[key] != 0
        known += [(row[key], f"{key}: do not round; that is for those who print.")] * rounded
    expect.close(row[key], wanted, f"{key}: {hint}", known)


@check
def comparison_row(student: Student, cases: Cases) -> None:
    """Give counters with made-up numbers, and count layers and bytes of a model with layers of all kinds."""
    settings = [cases.integer(2, 4), cases.integer(6, 8), cases.integer(2, 4), cases.integer(5, 9)]
    a, _, c, _ = settings
    size = (a, 8, 9)
    numbers = [cases.integer(10**6, 10**7), cases.integer(10**9, 10**10), *(cases.integer(10**6, 10**7) for _ in "ab")]
    parameters, macs, some, everything = numbers

    def ask(name: str = "layers", made_up: Sequence[int] = numbers, **options: Any) -> dict[str, Any]:
        inputs = {"name": name, "settings": settings, "size": size, "numbers": list(made_up), "options": options}
        return _read(student.run(_ROW, "row", **inputs))

    mib = 2**20
    with cases("the counters and their units", weight=3):
        row = ask()
        expect.equal(row["network"], "a network", "network is the name that is given.")
        _compare_number(row, "parameters", parameters, "it is what the first counter says of the model.")
        flops = "a MAC is two FLOPs."
        wrong_giga = "a billion is 10**9, and no power of two."
        work = [
            (2 * macs / 1e9, flops),
            (macs / 2**30, wrong_giga),
            (macs / 1e6, "the unit is 10**9 MACs, not millions."),
        ]
        work += [(float(macs), "the unit is 10**9 MACs.")]
        _compare_number(row, "gmac", macs / 1e9, "it is what the second counter says, in 10**9.", work)
        work = [
            (macs / 1e9, flops),
            (macs / 2e9, flops),
            (2 * macs / 2**30, wrong_giga),
            (2.0 * macs, "the unit is 10**9."),
        ]
        work += [(4 * macs / 1e9, flops)]
        _compare_number(row, "gflop", 2 * macs / 1e9, "it is the same work in FLOPs, in 10**9.", work)
        for key, value, other in (("outputs_mib", some, everything), ("all_outputs_mib", everything, some)):
            units = [(float(value), "the unit is MiB, not bytes."), (value / 1e6, "a MiB has 2**20 bytes, not 10**6.")]
            units += [(4 * value / mib, "the counter's result is in bytes already.")]
            units += [
                (value / 1024, "a MiB has 2**20 bytes, not 2**10."),
                (other / mib, "weighted_only is the other one."),
            ]
            _compare_number(row, key, value / mib, "it is what the third counter says, in MiB.", units)
        uses = [(parameters / macs, "divide the MACs by the parameters."), (2 * macs / parameters, flops)]
        uses += [(macs / 1e9 / parameters, "it is a plain number, not in billions.")]
        uses += [(float(macs // parameters), "divide without rounding.")]
        _compare_number(row, "macs_per_parameter", macs / parameters, "divide the MACs by the parameters.", uses)
        _compare_number(row, "top5_accuracy", None, "it is None where top5_error is None.")
    with cases("layers with weights", weight=2):
        wanted = 2 + 3 + 1 + 1 + c + 1  # images, lines, wide, spare, heads, tied
        named = [
            (wanted + 1, "a layer that is in two places is one layer."),
            (wanted - 3 - 1, "the layers of WEIGHTED are not only Conv2d and Linear."),
            (wanted - 2, "transposed convolutions are layers with weights, too."),
            (wanted + 1 + 1, "normalizations and embeddings are not in WEIGHTED."),
            (3, "layers count at every depth of the model, and not only its direct children."),
            (1 + 1, "layers count whether the image meets them or not."),
            (wanted - 1, "a class that inherits from nn.Conv2d is a convolution, too."),
        ]
        hint = "count the layers of WEIGHTED in the model, each once, used or not."
        _compare_number(ask(), "weighted_layers", wanted, hint, named)
    with cases("the bytes of the weights", weight=2):
        model = made("layers", settings)
        own = {id(p): p for p in _places(model)}.values()
        bytes_of = [(p, p.numel() * p.element_size()) for p in own]
        right = sum(n for _, n in bytes_of) / mib
        everywhere = sum(p.numel() * p.element_size() for p in _places(model)) / mib
        first = next(model.parameters()).element_size()
        named = [
            (4 * sum(p.numel() for p in own) / mib, "each parameter has the bytes of its own dtype."),
            (first * sum(p.numel() for p in own) / mib, "each parameter has the bytes of its own dtype."),
            (4 * parameters / mib, "each parameter has the bytes of its own dtype."),
            (everywhere, "a weight that two layers share is in memory once."),
            (right + sum(t.numel() * t.element_size() for t in model.buffers()) / mib, "buffers are no parameters."),
            (sum(n for p, n in bytes_of if p.requires_grad) / mib, "frozen parameters count, too."),
            (sum(n for p, n in bytes_of if p.dim() > 1) / mib, "biases and scales are parameters, too."),
            (right * mib, "the unit is MiB, not bytes."),
            (right * mib / 1e6, "a MiB has 2**20 bytes, not 10**6."),
            (right * 1024, "a MiB has 2**20 bytes, not 2**10."),
            (sum(p.numel() for p in own) / mib, "each number has element_size() bytes."),
        ]
        _compare_number(ask(), "weights_mib", right, "add up numel() * element_size() of the parameters.", named)
    with cases("the accuracy"):
        error = cases.uniform(3.0, 18.0)
        for given in (error, 0.0, 100.0, 0, 25):
            named = [(float(given), "an accuracy is 100 % minus the error."), (1 - given, "the error is in percent.")]
            named += [(1 - given / 100, "the accuracy is in percent, too.")]
            hint = "it is 100 % minus the error. An error of 0 is an error that is known."
            _compare_number(ask(top5_error=given), "top5_accuracy", 100.0 - given, hint, named)
    with cases("impossible errors"):
        code = _ASKED + (
            f"raised = ''\ntry:\n    {_CALL}\nexcept NotImplementedError:\n    raise\n"
            "except Exception as error:\n    raised = type(error).__name__\n"
        )
        for given in (-0.01, 100.5, math.nan, math.inf):
            inputs = {"name": "layers", "settings": settings, "size": size, "numbers": numbers}
            raised = student.run(code, "raised", options={"top5_error": given}, **inputs)
            seen = f"yours gives {raised or 'a row'}"
            expect.equal(raised, "ValueError", f"A top5_error of {given} is a ValueError; {seen}.")
    with cases("no parameters"):
        row = ask("bare", [0, 0, 0, everything])
        _compare_number(row, "macs_per_parameter", None, "it is None where there are no parameters.")
        _compare_number(row, "weights_mib", 0.0, "without parameters it is 0.")
        _compare_number(row, "weighted_layers", 0, "without layers of WEIGHTED it is 0.")
        _compare_number(row, "all_outputs_mib", everything / mib, "it is what the third counter says, in MiB.")
    with cases("what the counters are given"):
        inputs = {"name": "layers", "settings": settings, "size": size, "numbers": numbers, "options": {}}
        given = student.run(_ROW, "given", **inputs)
        expect.that(
            type(given) is list and len(given) >= 4, "Use the counters that are given, for all that they count."
        )
        for _, same, asked in given:
            expect.that(same is True, "The counters get the model itself.")
            expect.that(asked in (None, list(size)), "The counters get input_size as it is.")
    with cases("your own counters"):
        # Right counters stand in for those of exercises 1 to 3, so that a mistake there costs nothing here.
        seen = _read(student.run(_MODELS + _DEFAULTS, "row", size=IMAGE))
        rows, model = _rows("resnet18", IMAGE), whole("resnet18")
        total = sum({id(p): p.numel() for p in _places(model)}.values())
        macs = _network_macs("resnet18", IMAGE)
        hint = "without counters the row comes from your own three functions."
        _compare_number(seen, "parameters", total, hint)
        _compare_number(seen, "gmac", macs / 1e9, hint)
        _compare_number(seen, "gflop", 2 * macs / 1e9, hint)
        _compare_number(seen, "weighted_layers", 21, "ResNet-18 has 18 layers in a row and 3 projections beside them.")
        _compare_number(seen, "weights_mib", 4 * total / mib, "a float32 number has 4 bytes.")
        _compare_number(seen, "outputs_mib", 4 * _outputs(rows, True) / mib, hint)
        _compare_number(seen, "all_outputs_mib", 4 * _outputs(rows, False) / mib, hint)
        _compare_number(seen, "macs_per_parameter", macs / total, hint)
    with cases("nothing left behind"):
        call = "comparison_row('a network', model, size, counters=counters)"
        here_numbers = f"\nnumbers, asked = {numbers!r}, [None]\n" + _COUNTERS
        _traceless(student, call, settings, (a, 17, 19), before=here_numbers)


# The names that the student's function looks up are the course's counters while it runs.
_DEFAULTS = """
import functools
from ravines import counting
@functools.cache
def rows_of(model, input_size):
    return shapes_of(lambda: counting.layers(model.eval(), input_size))
def count_right(model):
    return counting.parameters(model)
def work_right(model, input_size):
    return sum(row.macs for row in rows_of(model, tuple(input_size)))
def memory_right(model, input_size, weighted_only=True):
    rows = rows_of(model, tuple(input_size))
    return 4 * sum(row.activations for row in rows if row.weighted or not weighted_only)
right = {"count_parameters": count_right, "count_macs": work_right, "activation_memory": memory_right}
scope = getattr(comparison_row, "__globals__", {})
kept = {name: scope[name] for name in right if name in scope}
scope.update(right)
try:
    row = comparison_row("ResNet-18", whole("resnet18"), size)
finally:
    for name in right:
        scope.pop(name, None)
    scope.update(kept)
"""


# --- 5. pareto_front -------------------------------------------------------------------------------------------------


def _front(points: Sequence[tuple[float, float]], beats: str = "right") -> list[int]:
    """Return those that nobody dominates, pair by pair; or what other meanings of the word give."""
    cost, accuracy = np.array(points, dtype=float).reshape(-1, 2).T
    if beats == "dear":
        cost = -cost
    if beats == "worse":
        accuracy = -accuracy
    no_dearer, no_worse = cost[:, None] <= cost[None], accuracy[:, None] >= accuracy[None]
    cheaper, better = cost[:, None] < cost[None], accuracy[:, None] > accuracy[None]
    dominated = {
        "strict": cheaper & better,
        "cheaper": cheaper & no_worse,
        "better": no_dearer & better,
        "any": cheaper | better,
        "equal": no_dearer & no_worse & ~np.eye(len(cost), dtype=bool),
    }.get(beats, no_dearer & no_worse & (cheaper | better))
    left = np.flatnonzero(~dominated.any(0))
    return [int(i) for i in sorted(left, key=lambda i: (points[i][0], i))]


def _mistaken_fronts(points: Sequence[tuple[float, float]]) -> list[tuple[list, str]]:
    """Return what usual mistakes give."""
    right = _front(points)
    seen: dict[tuple, int] = {}
    for i in right:
        seen.setdefault(tuple(points[i]), i)
    last = {tuple(points[i]): i for i in right}
    hull: list[int] = []
    for i in right:
        while len(hull) > 1:
            (c0, a0), (c1, a1), (c2, a2) = points[hull[-2]], points[hull[-1]], points[i]
            if (a1 - a0) * (c2 - c0) >= (a2 - a0) * (c1 - c0):
                break
            hull.pop()
        hull.append(i)
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1], i))
    running, best = [], -math.inf
    for i in order:
        if points[i][1] >= best:
            running.append(i)
            best = points[i][1]

    def arriving(key: Callable[[int], Any]) -> list[int]:
        """Return what is left of a walk that never takes a point back."""
        front, best = [], -math.inf
        for i in sorted(range(len(points)), key=key):
            if points[i][1] > best:
                front.append(i)
                best = points[i][1]
        return front

    whichever = "Of points of the same cost only the most accurate is left, whichever stands first."
    double = "Two equal points do not dominate each other: both are on the front."
    both = "A point is dominated by one that is no worse in both and better in one of the two, cost or accuracy."
    return [
        (sorted(right), "The indices are in the order of rising cost, not of the list."),
        (right[::-1], "The indices are in the order of rising cost."),
        ([order.index(i) for i in right], "Return the places in the list that was given, not in the sorted one."),
        (list(range(len(right))), "Return the places in the list that was given, not in the front."),
        (list(seen.values()), double),
        (list(last.values()), double),
        (_front(points, "equal"), double),
        (sorted(right, key=lambda i: (points[i][0], -i)), "Equal points are in the order of their indices."),
        (_front(points, "strict"), both),
        (_front(points, "cheaper"), f"{both} Of two points of the same cost the more accurate one dominates."),
        (_front(points, "better"), f"{both} Of two points of the same accuracy the cheaper one dominates."),
        (running, f"{both} Of two points of the same accuracy the cheaper one dominates."),
        (arriving(lambda i: points[i][0]), f"{both} {whichever}"),
        (arriving(lambda i: tuple(points[i])), f"{both} {whichever}"),
        (_front(points, "any"), both),
        (_front(points, "dear"), "Of the cost less is better."),
        (_front(points, "dear")[::-1], "Of the cost less is better."),
        (_front(points, "worse"), "Of the accuracy more is better."),
        (hull, "A front is no convex hull: a point that no other one dominates is on it, also in a dent."),
    ]


def _compare_front(seen: Any, points: Sequence[tuple[float, float]], where: str) -> None:
    """Expect the indices of the front."""
    expect.kind(seen, list, "The front")
    points_seen = any(isinstance(i, (tuple, list, np.ndarray, torch.Tensor)) for i in seen)
    expect.that(not points_seen, f"{where} Return indices, not points.")
    wanted = _front(points)
    if seen == wanted and all(type(i) is int for i in seen):
        return
    for value, words in _mistaken_fronts(points):
        expect.that(seen != value or value == wanted, f"{where} {words}")
    expect.that(all(type(i) is int for i in seen), f"{where} The front is a list of indices, integers.")
    expect.that(all(0 <= i < len(points) for i in seen), f"{where} An index goes from 0 to {len(points) - 1}.")
    spare = [i for i in seen if i not in wanted]
    expect.that(
        not spare,
        f"{where} A point of yours is dominated: another one costs no more, is no less accurate, and better in one."
        if spare
        else "",
    )
    expect.that(
        len(seen) == len(wanted), f"{where} A point that no other one dominates is missing, or one is there twice."
    )
    expect.that(False, f"{where} The indices are in the order of rising cost, equal points in that of the list.")


@check
def pareto_front(student: Student, cases: Cases) -> None:
    """Compare with the definition, pair by pair."""

    def compare(points: list[tuple[float, float]], where: str) -> None:
        seen, after = student.run(
            "seen = pareto_front(points)\nafter = list(points)", ["seen", "after"], points=list(points)
        )
        _compare_front(seen, points, where)
        expect.that(after == points, f"{where} The points should stay as they are, and in their order.")

    def shuffled(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        return [points[i] for i in torch.randperm(len(points), generator=cases.generator)]

    with cases("points without ties", weight=2):
        cost, noise = cases.randn(60).tolist(), cases.randn(60).tolist()
        compare([(round(math.exp(c), 6), 60 + 5 * c + 4 * e) for c, e in zip(cost, noise, strict=True)], "60 networks.")
        compare([(c, e - 3) for c, e in zip(cost, noise, strict=True)], "Costs and accuracies below 0.")
    with cases("equal costs, and equal accuracies", weight=2):
        base = [
            (1.0, 5.0),
            (1.0, 7.0),
            (2.0, 7.0),
            (3.0, 7.0),
            (3.0, 9.0),
            (3.0, 8.0),
            (5.0, 9.0),
            (0.5, 7.0),
            (6.0, 10.0),
        ]
        compare(shuffled(base), "Points with equal costs or accuracies.")
        compare([(2.0, 3.0), (2.0, 4.0), (2.0, 5.0)], "Points of the same cost.")
        compare([(3.0, 4.0), (2.0, 4.0), (1.0, 4.0)], "Points of the same accuracy.")
        compare(base[::-1], "Points with equal costs or accuracies.")
    with cases("equal points", weight=2):
        shifts = [(float(i), float(i)) for i in range(4)]
        compare(
            shuffled([*shifts, *shifts, (2.0, 1.0), (2.0, 1.0), (3.0, 3.0)]), "Points that are there several times."
        )
        compare([(1.0, 1.0)] * 5, "Five equal points.")
        compare([(2.0, 2.0), (1.0, 3.0), (2.0, 2.0)], "Two equal points that a third one dominates.")
    with cases("many ties"):
        for _ in range(6):
            points = torch.randint(0, 7, (40, 2), generator=cases.generator).double().tolist()
            compare([(c, 0.5 * c + a) for c, a in points], "Points on a grid.")
    with cases("dents"):
        compare(
            shuffled([(float(i), float(i**2)) for i in range(9)]),
            "Points on a curve that bends up, all of them on the front.",
        )
    with cases("few points"):
        seen = student.call("pareto_front", [])
        expect.equal(seen, [], "Without points the front is an empty list.")
        compare([(cases.uniform(1, 2), cases.uniform(1, 2))], "A single point.")
        compare([(1.0, 2.0), (1.0, 2.0)], "Two equal points.")
    with cases("other sequences"):
        points = [tuple(p) for p in torch.randint(0, 9, (30, 2), generator=cases.generator).tolist()]
        seen = student.call("pareto_front", np.array(points, dtype=float))
        _compare_front(seen, points, "An array of shape (n, 2).")
        _compare_front(student.call("pareto_front", [list(p) for p in points]), points, "A list of lists of integers.")
        _compare_front(student.call("pareto_front", tuple(points)), points, "A tuple of tuples.")
        code = "import numpy as np\nafter = np.array(points, dtype=float)\npareto_front(after)\n"
        after = student.run(code, "after", points=points)
        expect.close(after, np.array(points, dtype=float), "An array should stay as it is.", rtol=0.0, atol=0.0)
    with cases("nan", weight=2):
        code = (
            "raised, message = '', ''\ntry:\n    pareto_front(points)\nexcept NotImplementedError:\n    raise\n"
            "except Exception as error:\n    raised, message = type(error).__name__, str(error)[:500]\n"
        )
        for place in range(3):
            for which, what in enumerate(("a cost", "an accuracy")):
                points = [[1.0, 50.0], [2.0, 60.0], [3.0, 40.0]]
                points[place][which] = math.nan
                raised, message = student.run(code, ["raised", "message"], points=[tuple(p) for p in points])
                seen = f"yours gives {raised or 'an answer'}"
                expect.equal(raised, "ValueError", f"Where {what} is nan, a ValueError is due; {seen}.")
                expect.that("nan" in str(message).lower(), "The message of the ValueError should contain the word nan.")
        raised, message = student.run(code, ["raised", "message"], points=[(math.nan, math.nan)])
        expect.equal(raised, "ValueError", "A single point with a nan is a ValueError, too.")
    with cases("many points", weight=2):
        # How long it takes is counted in steps of Python's, not in seconds: a loop over all pairs has at least 4,500 a
        # point here; a sort has some fifty, one with a comparison written in Python some hundreds.
        for step in (1, -1):
            points = [(float(i), 2.0 * i) for i in range(500)][::step]
            seen, steps = student.run(_STEPS, ["seen", "steps"], points=points, most=2000 * len(points))
            expect.that(
                type(steps) is int and steps <= 2000 * len(points),
                "With points that are all on the front your function looks at every pair. Sort them by cost first.",
            )
            _compare_front(seen, points, "500 points that are all on the front.")
        points = torch.randint(0, 400, (800, 2), generator=cases.generator).tolist()
        _compare_front(student.call("pareto_front", points), points, "800 points with many ties.")


# Bytecodes are counted by Python's own tracing; the count ends what takes too long.
_STEPS = """
import sys
class TooMany(BaseException):
    pass
steps, seen = 0, None
def trace(frame, event, arg):
    global_steps[0] += 1
    if global_steps[0] > most:
        raise TooMany
    frame.f_trace_opcodes = True
    return trace
global_steps = [0]
kept = sys.gettrace()
sys.settrace(trace)
try:
    seen = pareto_front(points)
except TooMany:
    pass
finally:
    sys.settrace(kept)
steps = global_steps[0]
"""


# --- What a visit leaves behind --------------------------------------------------------------------------------------


def _traceless(student: Student, call: str, settings: list[int], size: Sequence[int], **others: Any) -> None:
    """Expect a network of convolutions to be after a call what it was before."""
    make, before = "made('convolutions', settings)", _MODELS + others.pop("before", "")
    untouched.same_model(student, call, make, size, random_state=True, before=before, settings=settings, **others)


def _own_count(student: Student, call: str, settings: list[int], size: Sequence[int]) -> None:
    """Expect that no counter of PyTorch's is at work; the course's uses it."""
    untouched.no_counter(student, call, "made('twice', settings)", size, before=_MODELS, settings=settings)
