"""The same hostile submissions through stock nbgrader and through ``autograde grade``: what each makes of them.

    python benchmarks/attacks.py --help

The figures go to ``results/attacks.json``, from which the book's table of attacks is drawn.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import click
from common import container, measure, outcome, world
from common.catalogue import CATALOGUE, FAMILIES, NAME, ROOT, SECRETS, Attack
from common.hostile import CODE
from common.outcome import Observed

from autograde import console

RESULTS = Path(__file__).resolve().parent / "results" / "attacks.json"
PACKAGES = ("nbgrader", "nbclient", "ipykernel", "torch")
#: All points there are, seconds for one submission before nbgrader is stopped, and how many share one run of it.
BEST, SECONDS, GROUP = 10.0, 60, 8
#: Seconds for a cell: nbgrader's own for those that share a run, fewer for those that are alone, many of which hang.
CELL, CELL_ALONE = 30, 10
#: What takes more than a class does in a row: the whole container, beyond its submissions.
_SLACK = 90
#: Attacks that use up what a container has, or leave something in it, have one of their own, beside those that say so.
_ALONE = re.compile("daemon|holds the output|threads at|too large|every socket")
#: Attacks that end their run of nbgrader, or change files around it, have a run and a world of their own.
_APART = re.compile(
    r"\bwrite|grader's package|beside the notebook|its group|a pipe|a device|schema version|second test|work folder$"
)

Row = dict[str, Any]
Tick = Callable[[str], None]


def with_nbgrader(attacks: Sequence[Attack], template: world.Template, tick: Tick) -> Iterator[tuple[Attack, Row]]:
    """Grade attacks with stock nbgrader, one container at a time; yield each as soon as it is done.

    Those that take no effect beyond their own grade share a run of nbgrader with others, as a class does. Where such a
    run ends early, or something was changed, its members are graded once more, each by a run of its own.
    """
    alone = [a for a in attacks if a.alone or _ALONE.search(a.name)]
    again = [a for a in attacks if a not in alone and _APART.search(a.name)]
    shared = [a for a in attacks if a not in alone and a not in again]
    groups = [shared[i : i + GROUP] for i in range(0, len(shared), GROUP)]
    for i in range(0, len(groups), world.LANES):
        lanes = groups[i : i + world.LANES]
        watched = _contain(lanes, template, SECONDS * GROUP, CELL)
        for number, group in enumerate(lanes):
            left = group if _troubled(watched) else _again(watched.told["lanes"][number], group)
            for attack in group:
                if attack not in left:
                    yield attack, _row(attack, watched, number, lanes, template)
                    tick(attack.name)
            again += left
    for i in range(0, len(again), world.LANES):
        lanes = [[a] for a in again[i : i + world.LANES]]
        watched = _contain(lanes, template, 2 * SECONDS, CELL)
        for number, (attack,) in enumerate(lanes):
            if _troubled(watched):
                alone.append(attack)
            else:
                yield attack, _row(attack, watched, number, lanes, template)
                tick(attack.name)
    for attack in alone:
        yield attack, _row(attack, _contain([[attack]], template, SECONDS, CELL_ALONE), 0, [[attack]], template)
        tick(attack.name)


def _contain(
    lanes: Sequence[Sequence[Attack]], template: world.Template, seconds: float, cell: int
) -> container.Watched:
    students = [[a.student for a in lane] for lane in lanes]
    order = {**template.order(), "lanes": students, "seconds": seconds, "cell": cell}
    shown = [ROOT / "benchmarks", ROOT / "autograde"]
    return container.run("common.hostile", order, template.root, shown, seconds=seconds + _SLACK)


def _troubled(watched: container.Watched) -> bool:
    """Say whether something happened in a shared container of which nobody knows who did it."""
    told = watched.told
    return told is None or bool(told["left"]) or told["disk"] > outcome.DISK or watched.memory > 1.5 * outcome.MEMORY


def _again(lane: Row, group: Sequence[Attack]) -> list[Attack]:
    """Return the members of a class that must be graded once more, each by a run of its own."""
    found, left = lane["students"], []
    if lane["changed"] or lane["litter"]:
        left = list(group)
    elif lane["hung"] or lane["ended"]:
        left = [a for a in group if found[a.student]["score"] is None and not found[a.student]["traceback"]]
    if left:
        why = [*lane["changed"], *lane["litter"], *lane["log"].splitlines()[-3:]]
        console.note(f"Once more: {', '.join(a.name for a in left)}, for nbgrader says: {why}")
    return left


def _row(
    attack: Attack, watched: container.Watched, number: int, lanes: Sequence[Sequence[Attack]], template: world.Template
) -> Row:
    """Say what became of one attack."""
    group, only = lanes[number], len(lanes) == len(lanes[number]) == 1
    seen = observed(attack, watched, number, len(group) == 1, only, template.root)
    keys = outcome.effects(seen, attack.score, attack.family, _rejected(attack))
    row = {"score": seen.score, "max": BEST, "outcome": outcome.outcome(seen, keys), "effects": keys}
    if watched.told is not None:
        lane = watched.told["lanes"][number]
        row |= {"neighbours": len(group) - 1, "exit": lane["code"]}
        if lane["changed"]:
            row |= {"changed": lane["changed"][:10]}
        if only:
            row |= {"left": watched.told["left"][:5]}
    elif watched.stopped:
        row |= {"stopped": watched.stopped}
    if only:
        row |= {"peak_mib": round(watched.memory / 2**20), "peak_processes": watched.processes}
        row |= {"peak_threads": watched.threads, "seconds": round(watched.seconds, 1)}
    return row


def observed(attack: Attack, watched: container.Watched, number: int, single: bool, only: bool, root: Path) -> Observed:
    """Return what was seen of one attack under nbgrader; a class's and a container's belong to its only member."""
    if watched.told is None:
        many, late = "processes" in watched.stopped or "memory" in watched.stopped, "time" in watched.stopped
        hung = watched.seconds if late else 0
        taken = {"memory": watched.memory, "processes": max(watched.threads, watched.processes)}
        return Observed(None, BEST, ended=not late and not many, hung=hung, **taken)
    lane = watched.told["lanes"][number]
    found = lane["students"][attack.student]
    seen: Row = {"traceback": found["traceback"], "leaked": bool(found["leaks"])}
    seen["heard"] = any(_says(attack, words, root / f"lane-{number}") for words in lane["heard"])
    if single:
        seen |= {"ended": lane["ended"], "hung": lane["hung"], "changed": bool(lane["changed"])}
        seen |= {"litter": bool(lane["litter"])}
        seen |= {"neighbour": lane["zoe"] is not None and lane["zoe"] < BEST}
    if only:
        seen |= {"left": len(watched.told["left"])}
        seen |= {"memory": watched.memory, "processes": watched.threads}
        seen |= {"disk": watched.told["disk"], "files": watched.told["files"]}
    return Observed(found["score"], BEST, **seen)


def _says(attack: Attack, heard: str, lane: Path) -> bool:
    """Say whether all words that a listener heard are in a submission's notebook."""
    words = re.findall(r"[A-Za-z ]{3,}", heard)
    notebook = lane / "submissions" / attack.student / NAME / f"{NAME}.ipynb"
    with contextlib.suppress(OSError):
        text = notebook.read_text(errors="replace") if notebook.is_file() else ""
        return bool(words) and all(word in text for word in words)
    return False


def _rejected(attack: Attack) -> bool:
    return attack.score == 0 and attack.status.startswith(("rejected", "missing"))


def with_autograde(attacks: Iterable[Attack]) -> tuple[dict[str, Row], Row]:
    """Grade the whole catalogue as its tests do; return a row for each student, and what holds for the whole run."""
    import test_attacks as tests

    folder = Path(tempfile.mkdtemp(prefix="catalogue-")).resolve()
    run = tests.Run(os.geteuid() == 0, folder)
    try:
        tests._grade(run, ordinary=False)
        rows = {attack.student: _our_row(attack, run, tests) for attack in attacks}
        before, after = run.before, run.after
        files = sorted(p for p in before.files | after.files if before.files.get(p) != after.files.get(p))
        return rows, {
            "seconds": round(sum(run.seconds.values()), 1),
            "processes_left": len(after.processes),
            "mounts_left": sorted(set(after.mounts) - set(before.mounts)),
            "sockets_left": sorted(after.sockets - before.sockets),
            "files_changed": files,
            "heard": len(run.heard),
        }
    finally:
        tests._clear(folder)


def _our_row(attack: Attack, run: Any, tests: Any) -> Row:
    found = run.results[f"{tests._batch(attack)}/{tests.printable(attack.student)}"]
    text = "".join(run.given(attack).values())
    seen = Observed(found["score"], found["max_score"], leaked=any(w in text for w in (*SECRETS.values(), *CODE)))
    keys = outcome.effects(seen, attack.score, attack.family, _rejected(attack))
    expected = _passes(tests.test_an_attack_gets_what_is_due, run, attack)
    expected = expected and _passes(tests.test_an_attack_learns_nothing, run, attack)
    return {
        "score": found["score"],
        "max": found["max_score"],
        "status": found["status"],
        "as_expected": expected,
        "outcome": outcome.outcome(seen, keys),
        "effects": keys,
    }


def _passes(test: Callable[..., None], *arguments: Any) -> bool:
    try:
        test(*arguments)
    except AssertionError:
        return False
    return True


def totals(rows: Sequence[Row]) -> Row:
    """Count, for both graders, how many submissions did what they must not."""
    found: Row = {}
    for grader in ("nbgrader", "autograde"):
        graded = [r[grader] for r in rows if r.get(grader)]
        of = {what: sum(any(k in keys for k in g["effects"]) for g in graded) for what, keys in outcome.TOTALS.items()}
        found[grader] = {"of": len(graded), **of, outcome.RESISTED: sum(not g["effects"] for g in graded)}
    ours = [r["autograde"] for r in rows if r.get("autograde")]
    found["autograde"]["as the catalogue says"] = sum(g["as_expected"] for g in ours)
    return found


def show(found: Row) -> None:
    """Print both outcomes side by side, and the totals."""
    rows = []
    for row in found["attacks"]:
        theirs, ours = row.get("nbgrader"), row.get("autograde")
        style = "plain" if not theirs or theirs["outcome"] == outcome.RESISTED else "warn"
        cells = [row["family"], row["name"], _points(row["deserved"])]
        cells += [_points(theirs["score"]), theirs["outcome"]] if theirs else ["", ""]
        cells += (
            [_points(ours["score"]), ours["status"] + ("" if ours["as_expected"] else " (!)")] if ours else ["", ""]
        )
        rows.append((style if not ours or ours["as_expected"] else "bad", cells))
    console.table(("family", "attack", "due", "", "nbgrader", "", "autograde"), rows, title=f"Points of {BEST:g}")
    counts = found["totals"]
    names = dict.fromkeys([*counts["nbgrader"], *counts["autograde"]])
    lines = [("plain", [n, *(counts[g].get(n, "") for g in ("nbgrader", "autograde"))]) for n in names]
    console.table(("how many", "nbgrader", "autograde"), lines)


def _points(score: float | None) -> str:
    return "none" if score is None else f"{score:g}"


def _kept(path: Path) -> dict[str, Row]:
    """Return the rows of an earlier run, by name, as far as the catalogue still holds them."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        return {r["name"]: r for r in json.loads(path.read_text(encoding="utf-8"))["attacks"]}
    return {}


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--only", type=click.Choice(FAMILIES), multiple=True, help="Run this family alone; may be repeated.")
@click.option("--name", "text", metavar="TEXT", help="Run the attacks whose names hold this text.")
@click.option(
    "--grader", type=click.Choice(["nbgrader", "autograde"]), multiple=True, help="Run this one; both by default."
)
@click.option("--missing", is_flag=True, help="Run those for which the JSON has no row of nbgrader's yet.")
@click.option(
    "--json",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=RESULTS,
    metavar="PATH",
    help="Where the results go: benchmarks/results/attacks.json by default.",
)
def main(only: Sequence[str], text: str | None, grader: Sequence[str], missing: bool, path: Path) -> None:
    """Grade every hostile and broken submission of the tests with stock nbgrader and with autograde grade.

    nbgrader runs what students hand in unprotected. So it runs in a container made by bubblewrap, without a network,
    in a temporary file system, and everything is killed after it. nbgrader has its own settings, but for the seconds
    of a cell (10 instead of 30) and a minute for a submission, after which it is stopped. autograde grade runs as
    its tests run it, the whole catalogue at once.

    Rows that a run does not touch are kept from the JSON of an earlier run. The file is written after every container,
    so that a run that was stopped goes on with --missing.

    \b
    One attack:     python benchmarks/attacks.py --name "patch showtraceback" --grader nbgrader
    One family:     python benchmarks/attacks.py --only stalling
    For the record: python benchmarks/attacks.py

    Exit code: 0 when autograde grade gave every attack what is due, else 1; 2 when there is no container to be had.
    """
    why = container.unavailable()
    if why:
        console.note(why, "bad")
        raise SystemExit(2)
    rows = {a.name: _kept(path).get(a.name, {}) for a in CATALOGUE}
    chosen = [a for a in CATALOGUE if (not only or a.family in only) and (not text or text in a.name)]
    graders = grader or ("nbgrader", "autograde")
    about: Row = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "benchmarks/attacks.py", *sys.argv[1:]]),
        "device": measure.device(),
        "versions": {"python": sys.version.split()[0], **{name: metadata.version(name) for name in PACKAGES}},
        "settings": {
            "nbgrader_cell_timeout_s": CELL,
            "nbgrader_cell_timeout_alone_s": CELL_ALONE,
            "nbgrader_submission_s": SECONDS,
            "container": container.BOUNDS,
        },
    }
    whole = _earlier(path)
    start = time.monotonic()
    if "autograde" in graders:
        ours, whole = with_autograde(chosen)
        for attack in chosen:
            rows[attack.name]["autograde"] = ours[attack.student]
        found = _save(path, about, rows, whole, start)
    if "nbgrader" in graders:
        # In /tmp, where the container has its own files at the same paths.
        with tempfile.TemporaryDirectory(prefix="attacks-", dir="/tmp", ignore_cleanup_errors=True) as folder:
            todo = [a for a in chosen if not (missing and rows[a.name].get("nbgrader"))]
            template = world.make(Path(folder).resolve(), todo)
            with console.progress("nbgrader", len(todo)) as tick:
                for attack, row in with_nbgrader(todo, template, tick):
                    rows[attack.name]["nbgrader"] = row
                    found = _save(path, about, rows, whole, start)
    found = _save(path, about, rows, whole, start)
    names = {a.name for a in chosen}
    show({**found, "attacks": [r for r in found["attacks"] if r["name"] in names]})
    raise SystemExit(0 if all(r["autograde"]["as_expected"] for r in found["attacks"] if "autograde" in r) else 1)


def _earlier(path: Path) -> Row:
    with contextlib.suppress(OSError, ValueError, KeyError):
        return json.loads(path.read_text(encoding="utf-8"))["autograde_run"]
    return {}


def _save(path: Path, about: Row, rows: Mapping[str, Row], whole: Row, start: float) -> Row:
    """Write what there is so far, in the catalogue's order."""
    listed = []
    for attack in CATALOGUE:
        row = {k: v for k, v in rows[attack.name].items() if k in ("nbgrader", "autograde")}
        if row:
            about_it = {"family": attack.family, "name": attack.name, "aim": attack.aim, "deserved": attack.score}
            listed.append({**about_it, **row})
    seconds = round(time.monotonic() - start, 1)
    found = {**about, "seconds": seconds, "autograde_run": whole, "totals": totals(listed), "attacks": listed}
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    beside.replace(path)
    return found


if __name__ == "__main__":
    main()
