"""Where the time of ``autograde grade`` goes, on the trusted side: inside this process, one submission at a time."""

from __future__ import annotations

import asyncio
import contextlib
import cProfile
import functools
import importlib
import io
import pstats
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from autograde import grade
from autograde.course import Course
from common.workload import Workload

#: What is timed with a clock, and by which function; an indented line is part of the one above it.
STAGES = (
    ("templates and checks", "autograde.grade:Grader.of"),
    ("gradebook: the assignment", "autograde.gradebook:prepare"),
    ("start the warm parent", "autograde.host:Host.__enter__"),
    ("one submission, start to end", "autograde.grade:Grader.grade"),
    ("  read it", "autograde.grade:read"),
    ("  assemble it", "autograde.assemble:Template.assemble"),
    ("  start the kernel", "autograde.kernel:Kernel.__aenter__"),
    ("    fork it into its sandbox", "autograde.host:Host.start"),
    ("  run the cells", "autograde.kernel:Kernel.run"),
    ("  hidden checks", "autograde.grade:Grader._check"),
    ("    questions to the kernel", "autograde.kernel:Kernel.exchange"),
    ("  end the kernel", "autograde.kernel:Kernel.__aexit__"),
    ("executed notebook and feedback", "autograde.grade:_publish"),
    ("journal", "autograde.journal:Journal.add"),
    ("end the warm parent", "autograde.host:Host.__exit__"),
    ("gradebook: the scores", "autograde.gradebook:store"),
)
_TOP = 40

Stage = tuple[str, int, float, float]


def stages(workload: Workload, count: int) -> list[Stage]:
    """Return for each stage its name, how often it ran, and its wall milliseconds: altogether, in the median call."""
    times: dict[str, list[float]] = {}
    with contextlib.ExitStack() as stack:
        for _, place in STAGES:
            stack.enter_context(_clocked(place, times.setdefault(place, [])))
        wall = _grade(workload, count, "stages")
    rows = [*((name, times[place]) for name, place in STAGES), ("all of it, without the imports", [wall])]
    return [(name, len(ts), 1000 * sum(ts), 1000 * statistics.median(ts or [0.0])) for name, ts in rows]


def profile(workload: Workload, count: int) -> str:
    """Return cProfile's tables: the most expensive functions by cumulative and by own time."""
    profiler, said = cProfile.Profile(), io.StringIO()
    profiler.runcall(_grade, workload, count, "profile")
    stats = pstats.Stats(profiler, stream=said).strip_dirs()
    for order in ("cumulative", "tottime"):
        stats.sort_stats(order).print_stats(_TOP)
    return said.getvalue()


def _grade(workload: Workload, count: int, out: str) -> float:
    root = workload.root
    workload.hand_in(root / "submitted", count)
    start = time.perf_counter()
    grade.run(Course(root), root / "submitted", root / out, jobs=1)
    return time.perf_counter() - start


@contextlib.contextmanager
def _clocked(place: str, times: list[float]) -> Iterator[None]:
    """Time each call of a function, named ``module:name`` or ``module:class.name``, while the body runs."""
    module, _, path = place.partition(":")
    *outer, name = path.split(".")
    owner = functools.reduce(getattr, outer, importlib.import_module(module))
    if name not in vars(owner):  # renamed since: the table shows that it never ran
        yield
        return
    original = vars(owner)[name]
    setattr(owner, name, _timed(original, times))
    try:
        yield
    finally:
        setattr(owner, name, original)


def _timed(original: Any, times: list[float]) -> Any:
    if isinstance(original, (classmethod, staticmethod)):
        return type(original)(_timed(original.__func__, times))

    @contextlib.contextmanager
    def clock() -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            times.append(time.perf_counter() - start)

    async def awaited(*args: Any, **kwargs: Any) -> Any:
        with clock():
            return await original(*args, **kwargs)

    def called(*args: Any, **kwargs: Any) -> Any:
        with clock():
            return original(*args, **kwargs)

    wrapper: Callable[..., Any] = awaited if asyncio.iscoroutinefunction(original) else called
    return functools.wraps(original)(wrapper)


def report(workload: Workload, count: int) -> tuple[list[Stage], str]:
    """Return the stages and the text of the profile's file; both are run after one run that warms the caches."""
    _grade(workload, 1, "warm")
    rows = stages(workload, count)
    table = "\n".join(f"{name:<40}{calls:>8}{ms:>12.1f}{each:>12.1f}" for name, calls, ms, each in rows)
    head = f"{count} submissions, one at a time\n\n{'stage':<40}{'calls':>8}{'ms':>12}{'median':>12}\n"
    note = "\n\nThe same under cProfile: the main thread's work; checks run in threads of their own.\n"
    return rows, head + table + note + profile(workload, count)
