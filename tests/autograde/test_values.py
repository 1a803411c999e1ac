"""Values cross unchanged, and bytes that mean harm are refused with one kind of error."""

from __future__ import annotations

import json
import math
import random
import struct
from collections import OrderedDict, namedtuple
from enum import IntEnum

import numpy as np
import pytest
import torch
from safetensors.torch import save

from autograde import values
from autograde.values import ValueFormatError, decode, encode


def same(a: object, b: object) -> bool:
    """Whether two values are alike: type, dtype, shape and every part, nan like nan."""
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return len(a) == len(b) and all(
            same(k, j) and same(v, w) for (k, v), (j, w) in zip(a.items(), b.items(), strict=True)
        )
    if isinstance(a, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    return a == b


def drawn(rng: random.Random, depth: int = 0) -> object:
    """Draw a value of any kind that may cross."""
    leaves = [
        lambda: None,
        lambda: rng.random() < 0.5,
        lambda: rng.choice([0, -1, 2**70, -(2**100), rng.randrange(1000)]),
        lambda: rng.choice([0.0, -0.0, math.inf, -math.inf, math.nan, 1e-308, rng.random()]),
        lambda: "".join(chr(rng.choice([34, 36, 92, 0, 233, 0x1F600, 0xD800, 97])) for _ in range(rng.randrange(5))),
        lambda: complex(rng.random(), rng.choice([math.inf, -0.5])),
        lambda: torch.randn([rng.randrange(4) for _ in range(rng.randrange(4))], dtype=rng.choice(FLOATS)),
        lambda: torch.randint(0, 100, (rng.randrange(4), 2)).to(rng.choice(INTEGERS)),
        lambda: rng.choice([torch.float16, torch.int64, torch.bool, torch.complex128]),
        lambda: np.arange(rng.randrange(5), dtype=rng.choice(["f4", "f8", "i8", "u1"])),
        lambda: {"$tensor": "0"},
        lambda: {"$float": "nan", "$x": 1},
    ]
    nodes = [
        lambda: [drawn(rng, depth + 1) for _ in range(rng.randrange(4))],
        lambda: tuple(drawn(rng, depth + 1) for _ in range(rng.randrange(4))),
        lambda: {
            rng.choice([i, str(i), i + 0.5]): v
            for i, v in enumerate(drawn(rng, depth + 1) for _ in range(rng.randrange(4)))
        },
    ]
    return rng.choice(leaves + (nodes * 3 if depth < 5 else []))()


FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64, torch.complex128]
INTEGERS = [torch.int64, torch.int32, torch.int16, torch.uint8, torch.bool]


@pytest.mark.parametrize("seed", range(200))
def test_what_is_sent_is_what_arrives(seed: int) -> None:
    value = drawn(random.Random(seed))
    assert same(decode(encode(value)), value)


Pair = namedtuple("Pair", "lr rate")


class Colour(IntEnum):
    RED = 3


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        (torch.Size([2, 3]), (2, 3)),
        (Pair(0.1, 0.9), (0.1, 0.9)),
        (torch.max(torch.eye(2), 0), (torch.ones(2), torch.tensor([0, 1]))),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (Colour.RED, 3),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (torch.nn.Parameter(torch.ones(2)), torch.ones(2)),
        (torch.arange(6.0).reshape(2, 3).T, torch.arange(6.0).reshape(2, 3).T.contiguous()),
        (torch.ones(1).expand(4), torch.ones(4)),
        (torch.tensor([1 + 2j]).conj(), torch.tensor([1 - 2j])),
        (torch.tensor([1 + 2j]).conj().imag, torch.tensor([-2.0])),
        (np.array(3.0), np.array(3.0)),
        (np.arange(3, dtype=">f8"), np.arange(3, dtype="<f8")),
        (np.arange(6)[::-2], np.array([5, 3, 1])),
    ],
    ids=lambda v: type(v).__name__,
)
def test_kin_of_plain_values_arrive_plain(sent: object, arrives: object) -> None:
    assert same(decode(encode(sent)), arrives)


def test_what_arrives_is_a_copy() -> None:
    tensor, array = torch.zeros(3), np.zeros(3)
    copies = decode(encode([tensor, tensor, array]))
    for copy in copies:
        copy += 1
    assert tensor.sum() == 0 and array.sum() == 0 and copies[0].sum() == 3


class Liar(str):
    """A string that says it is another."""

    def __str__(self) -> str:
        return "lie"


def deep(levels: int) -> list:
    value: list = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        object(),
        b"bytes",
        {1, 2},
        lambda: None,
        {(1, 2): 3},
        10**5000,
        np.longdouble(1.5),
        np.array(["a"]),
        np.array([object()]),
        torch.eye(2).to_sparse(),
        torch.empty(2, device="meta"),
        deep(values.MAX_DEPTH + 1),
        [1, [2, {"a": object}]],
    ],
    ids=lambda v: type(v).__name__,
)
def test_what_is_no_value_cannot_be_sent(value: object) -> None:
    with pytest.raises(ValueFormatError):
        encode(value)


def test_a_list_that_holds_itself_cannot_be_sent() -> None:
    loop: list = []
    loop.append(loop)
    with pytest.raises(ValueFormatError, match="nested"):
        encode(loop)


def test_sizes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "MAX_BYTES", 1000)
    assert len(encode(torch.zeros(100))) < 1000
    with pytest.raises(ValueFormatError, match="too large"):
        encode(torch.zeros(1000))
    with pytest.raises(ValueFormatError, match="too large"):
        encode("x" * 1000)
    with pytest.raises(ValueFormatError, match="too large"):
        decode(bytes(2001))


def raw(tree: object, tail: bytes | None = None) -> bytes:
    """Write bytes as encode would, of any JSON at all."""
    text = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    return struct.pack("<Q", len(text)) + text + (save({"0": torch.ones(2)}) if tail is None else tail)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 7,
        raw([1])[:-3],
        raw([1], b""),
        raw([1], b"\xff" * 40),
        struct.pack("<Q", 2**63) + b"[]",
        raw([1], struct.pack("<Q", 2**62) + b"{}"),
        raw(b"[1"),
        raw(b"\xff\xfe"),
        raw(b"[" * 100_000),
        raw(deep(4 * values.MAX_DEPTH)),
        raw([0] * (values.MAX_NODES + 1)),
        raw({}),
        raw({"a": 1}),
        raw({"$float": "1", "$tuple": []}),
        raw({"$import": "os"}),
        raw({"$float": "one"}),
        raw({"$float": 10**400}),
        raw({"$float": []}),
        raw({"$complex": []}),
        raw({"$complex": {"0": 1}}),
        raw({"$tuple": 3}),
        raw({"$dict": [[1]]}),
        raw({"$dict": [[[], 1]]}),
        raw({"$dict": {"a": 1}}),
        raw({"$tensor": "1"}),
        raw({"$tensor": []}),
        raw({"$tensor": 0}),
        raw({"$complex128": "0"}, save({"0": torch.ones(3)})),
        raw({"$ndarray": 1}),
        raw({"$ndarray": {"$tensor": "0"}}, save({"0": torch.ones(2, dtype=torch.bfloat16)})),
        raw({"$dtype": "float99"}),
        raw({"$dtype": "__class__"}),
    ],
    ids=lambda d: repr(d[8:40]),
)
def test_bytes_that_are_no_value_are_refused(data: bytes) -> None:
    with pytest.raises(ValueFormatError):
        decode(data)


def test_random_and_damaged_bytes_are_refused_or_are_values() -> None:
    rng = random.Random(0)
    good = encode({"a": [torch.randn(3), 1.5, "x", (1, None)], "b": np.ones(2), "c": math.nan})
    refused = 0
    for _ in range(4000):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 5)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.3:
            del data[rng.randrange(len(data)) :]
        if rng.random() < 0.1:
            data = bytearray(rng.randbytes(rng.randrange(200)))
        try:
            encode(decode(bytes(data)))
        except ValueFormatError:
            refused += 1
    assert 2000 < refused < 4000


@pytest.mark.parametrize("text", [b"[" + b"[]," * 10**6 + b"[]]", b'"' + b"x" * (values.MAX_TEXT + 1) + b'"'])
def test_what_would_take_long_to_parse_is_refused_before(text, monkeypatch):
    monkeypatch.setattr(values.json, "loads", None)
    with pytest.raises(ValueFormatError, match="too deep or has too many parts"):
        values.decode(struct.pack("<Q", len(text)) + text)


def test_text_that_is_too_long_is_not_sent():
    with pytest.raises(ValueFormatError, match="text of 17 MiB is too large"):
        values.encode("x" * (17 * 2**20))
