"""Asking a student: values in and out, and every failure as the student's own."""

from __future__ import annotations

import linecache
import random
from textwrap import dedent

import numpy as np
import pytest
import torch

from autograde.student import NamespaceStudent, ReferenceStudent, Student, StudentError
from autograde.values import encode


def student(code: str = "", **names: object) -> NamespaceStudent:
    """Return a student whose notebook held ``code``."""
    namespace: dict = dict(names)
    code = dedent(code)
    linecache.cache["<cell answer>"] = (len(code), None, code.splitlines(keepends=True), "<cell answer>")
    exec(compile(code, "<cell answer>", "exec"), namespace)
    return NamespaceStudent(namespace)


def test_run_brings_back_one_name_or_several() -> None:
    asked = student("def twice(x):\n    return 2 * x")
    assert asked.run("y = twice(x)", returns="y", x=21) == 42
    assert asked.run("y = twice(x); z = [y]", returns=["y", "z"], x=1) == (2, [2])
    assert asked.run("twice(1)") == ()
    assert asked.call("twice", "ab") == "abab"
    assert torch.equal(asked.call("twice", x=torch.ones(2)), torch.full((2,), 2.0))


def test_inputs_and_names_are_not_changed() -> None:
    asked = student("kept = 1\ndef spoil(t):\n    t += 1\n    return t")
    tensor = torch.zeros(2)
    assert asked.call("spoil", tensor).sum() == 2 and tensor.sum() == 0
    asked.run("kept = 2")
    assert asked.run("", returns="kept") == 1


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("def f(): raise NotImplementedError()", "NotImplementedError", "Nothing is written here yet"),
        ("def f(): return {}['a']", "KeyError", "Your code raised KeyError: 'a', at your line `def f(): return"),
        ("def f(): raise SystemExit(3)", "SystemExit", "SystemExit: 3"),
        ("def f(): raise KeyboardInterrupt", "KeyboardInterrupt", "KeyboardInterrupt"),
        ("def f(): return f()", "RecursionError", "maximum recursion depth"),
        ("def f(): return object()", "ValueFormatError", "a value of type object cannot be sent"),
        ("def f(x): return x", "TypeError", "missing 1 required positional argument"),
        ("g = 1", "NameError", "name 'f' is not defined"),
    ],
)
def test_a_failure_is_told_in_one_sentence(code: str, kind: str, words: str) -> None:
    with pytest.raises(StudentError) as caught:
        student(code).call("f")
    assert caught.value.kind == kind
    sentence = caught.value.sentence()
    assert words in sentence
    assert sentence.endswith(".") and "\n" not in sentence


def test_an_exception_that_cannot_be_printed_is_told_too() -> None:
    code = """
        class Bad(Exception):
            def __str__(self):
                raise ValueError

        def f():
            raise Bad
    """
    with pytest.raises(StudentError) as caught:
        student(code).call("f")
    assert caught.value.kind == "Bad" and caught.value.sentence().startswith("Your code raised Bad")


def test_the_line_is_the_students_own() -> None:
    code = """
        import torch

        def f(a, b):
            c = a + 1
            return torch.linalg.solve(c, b)
    """
    with pytest.raises(StudentError) as caught:
        student(code).call("f", torch.ones(2, 3), torch.ones(2))
    assert caught.value.line == "return torch.linalg.solve(c, b)"


def test_settings_left_behind_decide_nothing() -> None:
    asked = student(
        """
        import torch, random
        def f():
            return torch.ones(1), torch.ones(1, requires_grad=True).sum().requires_grad, random.random(), torch.rand(1)
        """
    )
    before = asked.call("f")
    state = torch.get_default_dtype(), torch.is_grad_enabled()
    try:
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        random.seed(5)
        torch.manual_seed(5)
        drawn = random.getstate(), torch.get_rng_state(), np.random.get_state()[1].copy()
        after = asked.call("f")
        assert torch.get_default_dtype() == torch.float64 and not torch.is_grad_enabled()
        assert random.getstate() == drawn[0]
        assert torch.equal(torch.get_rng_state(), drawn[1]) and (np.random.get_state()[1] == drawn[2]).all()
    finally:
        torch.set_default_dtype(state[0])
        torch.set_grad_enabled(state[1])
    assert after[0].dtype == torch.float32 and after[1] is True
    assert before[2] == after[2] and torch.equal(before[3], after[3])


def test_a_question_prints_and_warns_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    student("import warnings\ndef f():\n    print('loud')\n    warnings.warn('loud')").call("f")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"junk" * 10,
        encode([]),
        encode({}),
        encode({"values": 3}),
        encode({"values": []}),
        encode({"values": [1, 2]}),
        encode({"error": {}}),
        encode({"error": "all right"}),
        encode({"error": {"type": 1, "message": None, "line": 3}}),
    ],
    ids=range(10),
)
def test_a_forged_reply_is_the_students_failure(reply: bytes) -> None:
    class Forger(Student):
        def exchange(self, request: bytes) -> bytes:
            return reply

        def source(self, name: str) -> str:
            return ""

    with pytest.raises(StudentError):
        Forger().call("f")


def test_source() -> None:
    given = NamespaceStudent({"f": test_source}, {"answer": "def f(): pass"})
    assert given.source("answer") == "def f(): pass"
    assert given.source("f").startswith("def test_source")
    with pytest.raises(StudentError, match="not defined"):
        given.source("g")


def test_a_reference_is_asked_once_where_its_answers_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter(range(10))
    reference = ReferenceStudent({"f": lambda x: next(numbers) + x, "wrong": lambda: 1 / 0})
    assert [reference.call("f", 0.0) for _ in range(2)] == [0, 1]
    monkeypatch.setattr(ReferenceStudent, "_answers", None)  # put back in the end
    ReferenceStudent.remember()
    assert [reference.call("f", x) for x in (0.0, 0.5, 0.0)] == [2, 3.5, 2]
    assert ReferenceStudent({"f": lambda x: x}).call("f", 0.0) == 0, "another one's answers are its own"
    named = [ReferenceStudent({"f": lambda x: next(numbers)}, "a", key) for key in (1, 2, 1)]
    assert [one.call("f", 0.0) for one in named] == [4, 5, 4]
    first, second = reference.run("x = [1]", "x"), reference.run("x = [1]", "x")
    assert first == second and first is not second
    for _ in range(2):
        with pytest.raises(StudentError, match="ZeroDivisionError"):
            reference.call("wrong")
