"""What a network costs, layer by layer, without making it: parameters, multiply-accumulates, numbers to remember.

    with torch.device("meta"):
        network = torchvision.models.vgg16()
    sum(layer.macs for layer in layers(network, (3, 224, 224)))  # 15,470,264,320

Everything runs on PyTorch's meta device, where tensors have shapes and no values: ResNet-152 is counted in a second and
needs no memory. A multiply-accumulate (MAC) is two FLOPs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.flop_counter import FlopCounterMode

#: Layers that papers count when they say how deep a network is.
WEIGHTED = (nn.modules.conv._ConvNd, nn.Linear)


@dataclass(frozen=True)
class Layer:
    """One use of a module that has no modules inside.

    Attributes:
        name: where it is in the model, such as ``"features.0"``; empty for the model itself.
        kind: its class, such as ``"Conv2d"``.
        shape: of its output, without the examples' dimension; None when the output is no tensor.
        parameters: how many numbers it owns; 0 where the module was met before, so that a sum counts each once.
        macs: multiply-accumulates for one example, in convolutions and matrix products.
        weighted: whether papers count it as a layer: a convolution or a fully connected layer.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    parameters: int
    macs: int
    weighted: bool

    @property
    def activations(self) -> int:
        """How many numbers the output has, for one example."""
        return 0 if self.shape is None else math.prod(self.shape)


def parameters(model: nn.Module) -> int:
    """Return how many numbers a model's parameters have; shared ones once."""
    return sum(p.numel() for p in model.parameters())


def layers(model: nn.Module, input_shape: Sequence[int]) -> list[Layer]:
    """Return what one example meets on its way through a model, in this order.

    Args:
        model: on any device; neither it nor its mode is changed. The mode matters: GoogLeNet's auxiliary heads are met
            in training only.
        input_shape: of one example, such as ``(3, 224, 224)``.

    Returns:
        One row for each use of a module without modules inside. A parameter that is owned by a larger module (a class
        token, the projections inside of attention) is in no row, and neither are the products computed there.

    Raises:
        ValueError: when the model does not take such an input, with PyTorch's reason.
    """
    names: dict[nn.Module, str] = {}
    for name, module in model.named_modules():
        if not list(module.children()):
            names.setdefault(module, name)
    rows: list[Layer] = []
    begun: list[int] = []
    counted: set[int] = set()
    counter = FlopCounterMode(display=False)

    def before(module: nn.Module, given: Any) -> None:
        begun.append(counter.get_total_flops())

    def after(module: nn.Module, given: Any, output: Any) -> None:
        flops = counter.get_total_flops() - begun.pop()
        fresh = [p for p in owned[module] if p not in counted]
        counted.update(fresh)
        rows.append(
            Layer(
                name=names[module],
                kind=type(module).__name__,
                shape=tuple(output.shape[1:]) if isinstance(output, torch.Tensor) else None,
                parameters=sum(sizes[p] for p in fresh),
                macs=flops // 2,
                weighted=isinstance(module, WEIGHTED),
            )
        )

    # While the model runs, its parameters are replaced by meta tensors: who owns which is asked before.
    owned = {module: [id(p) for p in module.parameters(recurse=False)] for module in names}
    sizes = {id(p): p.numel() for p in model.parameters()}
    hooks = [h for m in names for h in (m.register_forward_pre_hook(before), m.register_forward_hook(after))]
    try:
        with counter, torch.no_grad():
            given = (torch.empty(1, *input_shape, device="meta"),)
            functional_call(model, _on_meta(model), given, tie_weights=False)
    except Exception as error:
        raise ValueError(
            f"{type(model).__name__} does not take an input of shape {tuple(input_shape)}: {error}"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    return rows


def kept_for_backward(model: nn.Module, batch: torch.Tensor) -> int:
    """Return how many bytes PyTorch keeps of a forward pass in training, for the way back.

    Memory that several operations keep counts once. What is there anyway, parameters and buffers, does not count.

    Args:
        model: on the device of the batch; ``meta`` will do. Its mode is put back; in training normalization counts on.
        batch: (N, ...).
    """
    own = {StorageWeakRef(t.untyped_storage()) for t in (*model.parameters(), *model.buffers())}
    kept: dict[StorageWeakRef, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[StorageWeakRef(storage)] = storage  # held, so that no other takes its place
        return tensor

    modes = {module: module.training for module in model.modules()}
    try:
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model.train()(batch)
    finally:
        for module, training in modes.items():
            module.training = training
    return sum(storage.nbytes() for reference, storage in kept.items() if reference not in own)


def _on_meta(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return shapes and dtypes of all parameters and buffers, one for each place that holds one.

    A module with two names is one place: replaced under both, it would be left with a tensor of the meta device. A
    tensor that two modules share is one tensor in two places.
    """
    made: dict[int, torch.Tensor] = {}
    return {
        f"{module_name}.{name}" if module_name else name: made.setdefault(id(t), torch.empty_like(t, device="meta"))
        for module_name, module in model.named_modules()
        for name, t in [*module._parameters.items(), *module._buffers.items()]
        if t is not None
    }


def depth(rows: Iterable[Layer]) -> int:
    """Return how many layers with weights there are among these rows, as papers count them."""
    return sum(row.weighted for row in rows)
