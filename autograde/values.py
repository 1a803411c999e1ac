"""Values that cross between the student's process and the grader, as bytes.

Only values cross: numbers, strings, lists, tuples, dicts and tensors, written as JSON with the tensors
beside it in the safetensors format. Nothing that is read back is ever executed, which is why pickle has no
place here. Everything read is checked, for it may come from code that means harm.
"""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

MAX_BYTES = 64 * 2**20
MAX_TEXT = 16 * 2**20
MAX_DEPTH = 32
MAX_NODES = 100_000
MAX_BITS = 8192

_HEADER = struct.Struct("<Q")
_SCALARS = (bool, int, float, str, type(None))
_DTYPES = {str(d).removeprefix("torch."): d for d in vars(torch).values() if isinstance(d, torch.dtype)}


class ValueFormatError(ValueError):
    """A value that cannot cross, or bytes that are not such a value."""


def encode(value: Any) -> bytes:
    """Write ``value`` as bytes.

    Accepts None, bool, int, float (nan and inf too), complex, str, list, tuple, dict with plain keys, torch
    tensors, dtypes and sizes, numpy arrays and numbers, nested at most ``MAX_DEPTH`` deep. Tensors are
    detached and moved to the CPU.

    Raises:
        ValueFormatError: for any other type, or when the result is larger than ``MAX_BYTES``.
    """
    tensors: dict[str, torch.Tensor] = {}
    text = json.dumps(_pack(value, tensors, 0), allow_nan=False).encode()
    if len(text) > MAX_TEXT:
        raise ValueFormatError(f"text of {len(text) / 2**20:.0f} MiB is too large (at most {MAX_TEXT >> 20} MiB)")
    size = len(text) + sum(t.numel() * t.element_size() for t in tensors.values())
    if size > MAX_BYTES:
        raise ValueFormatError(f"a value of {size / 2**20:.0f} MiB is too large (at most {MAX_BYTES >> 20} MiB)")
    try:
        return _HEADER.pack(len(text)) + text + save_tensors(tensors)
    except KeyError as error:  # safetensors has no name for every dtype
        raise ValueFormatError(f"a tensor of type {error.args[0]} cannot be sent") from None


def decode(data: bytes) -> Any:
    """Read what :func:`encode` wrote; the inverse of it, but for arrays, which become owned copies.

    Raises:
        ValueFormatError: when the bytes are not exactly such a value, or pass a limit of this module.
    """
    if len(data) > 2 * MAX_BYTES:
        raise ValueFormatError(f"{len(data) / 2**20:.0f} MiB is too large (at most {MAX_BYTES >> 20} MiB)")
    try:
        (length,) = _HEADER.unpack_from(data)
        if length > len(data) - _HEADER.size:
            raise ValueFormatError("the bytes end too early")
        text = data[_HEADER.size : _HEADER.size + length]
        # Before they are made: a parser takes seconds and gigabytes for a few megabytes of brackets.
        if length > MAX_TEXT or sum(map(text.count, (b"[", b"{", b","))) > 4 * MAX_NODES:
            raise ValueFormatError("a value is too deep or has too many parts")
        tree = json.loads(text)
        tensors = load_tensors(bytes(data[_HEADER.size + length :]))
        return _unpack(tree, tensors, 0, [0])
    except ValueFormatError:
        raise
    except Exception as error:  # whatever a library makes of bytes that mean harm
        raise ValueFormatError(f"these bytes are not a value ({type(error).__name__})") from None


def _pack(value: Any, tensors: dict[str, torch.Tensor], depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueFormatError(f"a value is nested more than {MAX_DEPTH} deep")
    # Exact types: a subclass may lie about what it is.
    kind = type(value)
    if kind is float and not math.isfinite(value):
        return {"$float": repr(value)}
    if kind is int and value.bit_length() > MAX_BITS:
        raise ValueFormatError(f"an integer of more than {MAX_BITS} bits cannot be sent")
    if kind in _SCALARS:
        return value
    if kind is complex:
        return {"$complex": [repr(value.real), repr(value.imag)]}
    if kind is list:
        return [_pack(v, tensors, depth + 1) for v in value]
    if isinstance(value, tuple):  # named ones too: torch.max and torch.linalg.eigh return those
        return {"$tuple": [_pack(v, tensors, depth + 1) for v in tuple(value)]}
    if isinstance(value, dict):
        items = []
        for key, item in value.items():
            if type(key) not in _SCALARS:
                raise ValueFormatError(f"a dict key of type {type(key).__name__} cannot be sent")
            items.append([_pack(key, tensors, depth + 1), _pack(item, tensors, depth + 1)])
        return {"$dict": items}
    if isinstance(value, torch.Tensor):
        if value.layout is not torch.strided or value.is_quantized or value.device.type == "meta":
            raise ValueFormatError("only dense tensors that hold data can be sent")
        name = str(len(tensors))
        # A plain, owned, contiguous copy: safetensors refuses shared storage.
        plain = value.detach().to("cpu", copy=True).as_subclass(torch.Tensor).resolve_conj().resolve_neg()
        if plain.dtype is torch.complex128:  # safetensors has no name for it: send pairs of float64
            tensors[name] = torch.view_as_real(plain).contiguous()
            return {"$complex128": name}
        tensors[name] = plain.contiguous()
        return {"$tensor": name}
    if isinstance(value, torch.dtype):
        return {"$dtype": str(value).removeprefix("torch.")}
    if isinstance(value, np.generic):
        return _pack(value.item(), tensors, depth + 1)  # one deeper: a long double is its own item
    if isinstance(value, np.ndarray):
        try:
            return {"$ndarray": _pack(torch.from_numpy(_plain_array(value)), tensors, depth + 1)}
        except TypeError:
            raise ValueFormatError(f"a numpy array of type {value.dtype} cannot be sent") from None
    if isinstance(value, _SCALARS):
        # A subclass of a number or a string, such as an IntEnum: its plain value.
        base = next(t for t in _SCALARS if isinstance(value, t))
        return _pack(base(value), tensors, depth)
    raise ValueFormatError(f"a value of type {kind.__name__} cannot be sent")


def _plain_array(value: np.ndarray) -> np.ndarray:
    """Return an owned copy in C order and the machine's own byte order."""
    return np.array(value, dtype=value.dtype.newbyteorder("="), order="C", subok=False)


def _unpack(tree: Any, tensors: dict[str, torch.Tensor], depth: int, count: list[int]) -> Any:
    count[0] += 1
    if depth > 3 * MAX_DEPTH or count[0] > MAX_NODES:
        raise ValueFormatError("a value is too deep or has too many parts")
    if isinstance(tree, list):
        return [_unpack(item, tensors, depth + 1, count) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if len(tree) != 1:
        raise ValueFormatError("a tagged value has exactly one tag")
    ((tag, body),) = tree.items()
    if tag == "$float":
        return float(body)
    if tag == "$complex":
        return complex(float(body[0]), float(body[1]))
    if tag == "$tuple":
        return tuple(_unpack(item, tensors, depth + 1, count) for item in body)
    if tag == "$dict":
        return {_unpack(key, tensors, depth + 1, count): _unpack(item, tensors, depth + 1, count) for key, item in body}
    if tag == "$tensor":
        return tensors[body]
    if tag == "$complex128":
        return torch.view_as_complex(tensors[body])
    if tag == "$ndarray":
        return _unpack(body, tensors, depth + 1, count).numpy()
    if tag == "$dtype":
        return _DTYPES[body]
    raise ValueFormatError("an unknown tag")
