"""What became of a hostile submission, in a fixed vocabulary."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

#: What an outcome may be, the gravest first; ``resisted`` is none of them. Numbers take the place of N.
WORDS = {
    "ended": "ended the grader",
    "hung": "hung (stopped by us after N s)",
    "files": "changed files of others",
    "neighbour": "cost a neighbour's marks",
    "full": "full marks for a wrong answer",
    "some": "some marks for a wrong answer",
    "worked": "got through and was paid for it",
    "secret": "read the secret",
    "network": "reached the network",
    "process": "left a process behind",
    "litter": "left files outside of its folder",
    "took": "took N",
    "traceback": "gave a traceback to the instructor, no grade",
    "none": "no grade",
    "fewer": "fewer marks than deserved",
}
RESISTED = "resisted"
#: The questions that totals answer: how many submissions did any of these.
TOTALS = {
    "got more points than they deserve": ("full", "some", "worked"),
    "read a secret or reached the network": ("secret", "network"),
    "hung": ("hung",),
    "ended the grader or harmed others": ("ended", "files", "neighbour"),
    "left something behind": ("process", "litter"),
    "took too much": ("took",),
    "got no grade, or less than they deserve": ("traceback", "none", "fewer"),
}
#: Beyond these, a submission took too much: bytes of memory, processes and threads, bytes of disk, files.
MEMORY, PROCESSES, DISK, FILES = 2 * 2**30, 150, 256 * 2**20, 50_000
#: The families whose wrong answers are right if the attack succeeds.
_INDIRECT = ("spying", "stalling", "escaping")


@dataclass(frozen=True)
class Observed:
    """What was seen of one submission and its grader.

    Attributes:
        score: the points it got; None without a grade.
        best: the most points there are.
        traceback: whether the grader showed the instructor a traceback for it.
        ended: whether the grader ended before its time.
        hung: after how many seconds it was stopped from outside; 0 when it was not.
        leaked: whether what the student gets to see holds a secret.
        heard: whether a listener on the machine heard from it.
        changed: whether files of others are not what they were.
        neighbour: whether somebody else's right answers got fewer points than they deserve.
        litter: whether files stayed in folders that are everybody's.
        left: how many processes stayed.
        memory: bytes at most, of all processes.
        processes: processes and threads at most.
        disk: bytes of files that stayed.
        files: how many of them.
    """

    score: float | None
    best: float
    traceback: bool = False
    ended: bool = False
    hung: float = 0
    leaked: bool = False
    heard: bool = False
    changed: bool = False
    neighbour: bool = False
    litter: bool = False
    left: int = 0
    memory: int = 0
    processes: int = 0
    disk: int = 0
    files: int = 0


def effects(seen: Observed, deserved: float | None, family: str, rejected: bool = False) -> list[str]:
    """Return the keys of ``WORDS`` that apply, the gravest first.

    Args:
        seen: what was observed.
        deserved: the points that must come out; None where they are not said, and then no number is wrong.
        family: the attack's family.
        rejected: whether having no grade is what this hand-in deserves, as one that cannot be read does.
    """
    found = {
        "ended": seen.ended,
        "hung": seen.hung > 0,
        "files": seen.changed,
        "neighbour": seen.neighbour,
        "secret": seen.leaked,
        "network": seen.heard,
        "process": seen.left > 0,
        "litter": seen.litter,
        "took": bool(_took(seen)),
        "traceback": seen.traceback and seen.score is None,
    }
    if seen.score is None:
        found["none"] = not rejected and not any(found[key] for key in ("ended", "hung", "traceback"))
    elif deserved is not None and seen.score > deserved + 1e-6:
        key = "worked" if family in _INDIRECT else "full" if seen.score >= seen.best - 1e-6 else "some"
        found[key] = True
    elif deserved is not None and seen.score < deserved - 1e-6:
        found["fewer"] = True
    return [key for key in WORDS if found.get(key)]


def outcome(seen: Observed, keys: Iterable[str]) -> str:
    """Say it in words."""
    words = {**WORDS, "hung": f"hung (stopped by us after {seen.hung:.0f} s)", "took": f"took {_took(seen)}"}
    return "; ".join(words[key] for key in keys) or RESISTED


def _took(seen: Observed) -> str:
    amounts = []
    if seen.memory > MEMORY:
        amounts.append(f"{seen.memory / 2**30:.1f} GiB")
    if seen.processes > PROCESSES:
        amounts.append(f"{seen.processes} processes")
    if seen.disk > DISK:
        amounts.append(f"{seen.disk / 2**20:.0f} MiB of disk")
    if seen.files > FILES:
        amounts.append(f"{seen.files} files")
    return " and ".join(amounts)
