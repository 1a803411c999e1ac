"""One check at a time in the grader's process, and all students at once in theirs.

A check compares with PyTorch's own layers, in the grader's process, and on the way it sets what a whole process
shares: the seed of the global generator, the default dtype, sys.stdout, a function of PyTorch's in whose place it
puts another. Two checks in two threads would spoil each other's, and a right answer would be compared with a wrong
one. So a check waits for its turn, and passes it on whenever its student has to answer, which takes most of the time.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import torch


class Over(BaseException):
    """There are no turns any more; no ``except Exception`` of a check should stop this."""


class Turns:
    """What the checks of one process take turns at."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._whose: Turn | None = None
        self._over = False

    def close(self, seconds: float = 5.0) -> None:
        """Give no turns any more, and wait up to so many seconds for the end of the present one.

        A run that is stopped leaves checks behind in their threads: what it prints must not land in a stdout of theirs.
        """
        with self._changed:
            self._over = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._whose is None, seconds)


class Turn:
    """The turns of one check, which runs in a thread of its own. As a context manager: wait for one, and give it up.

    Args:
        turns: what this check shares with others.
        excuse: is told after each wait for how many seconds it was; a student's clock should not count them.
    """

    def __init__(self, turns: Turns, excuse: Callable[[float], None] = lambda _seconds: None) -> None:
        self._turns, self._excuse, self._since = turns, excuse, 0.0

    def __enter__(self) -> Turn:
        """Wait until nobody else has a turn.

        Raises:
            Over: when there are none any more.
        """
        start = time.monotonic()
        with self._turns._changed:
            self._turns._changed.wait_for(lambda: self._turns._over or self._turns._whose is None)
            if self._turns._over:
                raise Over
            self._turns._whose, self._since = self, time.monotonic()
        self._excuse(self._since - start)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the turn up."""
        self.end()

    def end(self) -> None:
        """Let the next one have its turn; from any thread, and without effect where it is not this one's turn."""
        with self._turns._changed:
            if self._turns._whose is self:
                self._turns._whose = None
                self._turns._changed.notify_all()

    def seconds(self) -> float:
        """Return for how long it has been this one's turn: 0 where it is not."""
        with self._turns._changed:
            return time.monotonic() - self._since if self._turns._whose is self else 0.0

    @contextlib.contextmanager
    def passed_on(self) -> Iterator[None]:
        """Let others have turns while the body runs, and wait for one after it; the random state is as it was then."""
        state = torch.get_rng_state()
        self.end()
        try:
            yield
        finally:
            self.__enter__()
            torch.set_rng_state(state)
