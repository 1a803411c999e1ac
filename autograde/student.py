"""What a check sees of a student: code to run, values back.

There are two students with one interface. :class:`NamespaceStudent` runs in this process, for stock nbgrader,
for ``autograde verify`` and for tests. :class:`autograde.kernel.KernelStudent` runs in another process, which
the grader does not trust. A check cannot tell them apart, since both see inputs by value and answer by value.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar

from autograde import harness
from autograde.values import ValueFormatError, decode, encode


class StudentError(Exception):
    """The student's code raised, or gave something that is not a value.

    Attributes:
        kind: the exception's type name, such as ``"TypeError"``.
        message: its first line.
        line: the student's own line it came from, or None.
    """

    def __init__(self, kind: str, message: str, line: str | None = None) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind, self.message, self.line = kind, message, line

    def sentence(self) -> str:
        """Say in one sentence, to the student, what happened and where."""
        if self.kind == "NotImplementedError":
            return "Nothing is written here yet: replace `raise NotImplementedError()` with your answer."
        if self.kind == "ValueFormatError":
            return f"What came back cannot be graded: {self.message}."
        where = f", at your line `{self.line}`" if self.line else ""
        what = f"{self.kind}: {self.message.rstrip('.')}" if self.message else self.kind
        return f"Your code raised {what}{where}."


class StudentStopped(Exception):
    """The student's process gave no answer in time, or is gone; no further question makes sense.

    Attributes:
        status: ``"timeout"`` or ``"killed"``.
    """

    def __init__(self, status: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Student(ABC):
    """A student's finished notebook, of which a check may ask questions."""

    @abstractmethod
    def exchange(self, request: bytes) -> bytes:
        """Send one request of :func:`autograde.harness.execute` and return its reply."""

    @abstractmethod
    def source(self, name: str) -> str:
        """Return the source of the student's solution cell (or function) ``name``."""

    def run(self, code: str, returns: str | Sequence[str] = (), **inputs: Any) -> Any:
        """Run ``code`` beside the student's names, with ``inputs`` by value, and bring names back by value.

        Args:
            code: Python statements; they see the student's names and ``inputs``, and change neither.
            returns: one name, or a sequence of names, that ``code`` leaves behind.
            **inputs: numbers, strings, lists, dicts or tensors, as :mod:`autograde.values` allows.

        Returns:
            The value of the one name, or a tuple with one value for each name.

        Raises:
            StudentError: when the code raises, or a value cannot cross.
            StudentStopped: when the student's process gave no answer in time or is gone.
        """
        names = [returns] if isinstance(returns, str) else list(returns)
        request = encode({"code": code, "returns": names, "inputs": inputs})
        try:
            reply = decode(self.exchange(request))
            if type(reply) is not dict:
                raise ValueFormatError("the reply does not hold the values asked for")
            if "error" in reply:
                # From the student's side: any value may stand where text is due.
                error = {k: v for k, v in reply["error"].items() if type(v) is str}
                raise StudentError(error["type"][:80], error["message"][:300], error.get("line"))
            values = reply["values"]
            if type(values) is not list or len(values) != len(names):
                raise ValueFormatError("the reply does not hold the values asked for")
        except (ValueFormatError, KeyError, TypeError, AttributeError) as error:
            raise StudentError("ValueFormatError", str(error)) from None
        return values[0] if isinstance(returns, str) else tuple(values)

    def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Return what the student's function ``name`` returns for these arguments."""
        return self.run(f"result = {name}(*args, **kwargs)", returns="result", args=list(args), kwargs=dict(kwargs))


class NamespaceStudent(Student):
    """A student whose names are in this process.

    Args:
        namespace: the names that the notebook's cells left behind.
        sources: the source of each solution cell by exercise; without it, Python is asked.
    """

    def __init__(self, namespace: Mapping[str, Any], sources: Mapping[str, str] | None = None) -> None:
        self._namespace, self._sources = namespace, sources

    def exchange(self, request: bytes) -> bytes:
        """Run the request here."""
        return harness.execute(self._namespace, request)

    def source(self, name: str) -> str:
        """Return the source of a solution cell, or of the function or class of that name."""
        if self._sources is not None and name in self._sources:
            return self._sources[name]
        try:
            return inspect.getsource(self._namespace[name])
        except (KeyError, TypeError, OSError):
            raise StudentError("NameError", f"`{name}` is not defined") from None


class ReferenceStudent(NamespaceStudent):
    """A student whose names never change, right ones or those of a known mistake: to a question there is one answer.

    :meth:`remember` is for ``autograde verify``, where hundreds of answers on file get the same questions. In grading
    no two students do.

    Attributes:
        ahead: whether a check should ask what known mistakes give where an answer is right, too. That is so while
            ``autograde verify`` runs a check for the first time, with many wrong answers to come.

    Args:
        namespace: the names; what stands for them keeps nothing between two questions.
        *key: what tells the student from others; two with equal keys have the same answers. Without it there is no
            other one.
    """

    ahead: ClassVar[bool] = False
    _answers: ClassVar[dict[tuple[Hashable, bytes], bytes] | None] = None

    def __init__(self, namespace: Mapping[str, Any], *key: Hashable) -> None:
        super().__init__(namespace)
        self._key: Hashable = key or object()

    @classmethod
    def remember(cls) -> None:
        """Keep all answers, in this process and its forks, from now on."""
        cls._answers = {}

    def exchange(self, request: bytes) -> bytes:
        """Run the request here, unless its answer is known."""
        if self._answers is None:
            return super().exchange(request)
        if (self._key, request) not in self._answers:
            self._answers[self._key, request] = super().exchange(request)
        return self._answers[self._key, request]
