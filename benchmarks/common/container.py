"""A container for programs that run hostile code unprotected: made by bubblewrap, bounded, and watched from outside.

Inside, nothing but a temporary file system of a fixed size can be written, there is no network but the loopback, and
the user is nobody. As limits of the kernel do not bind everything, the processes and their memory are counted from
outside, and too many end the container with all that is in it. Linux only.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograde import sandbox as boxes

#: Where the template of a world lies inside, and where everything is written.
TEMPLATE, WRITABLE = "/template", "/tmp"
USER = 1000
_MIB, _GIB = 2**20, 2**30
#: The container's own bounds, which are generous beside what a submission is meant to use.
BOUNDS = {"processes": 256, "data": 6 * _GIB, "file": 512 * _MIB, "disk": 2 * _GIB, "shared": 512 * _MIB}
#: What is seen from outside and ends the container.
MOST_PROCESSES, MOST_MEMORY, LEAST_FREE = 300, 4 * _GIB, 2 * _GIB
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc")
#: Seconds between two looks.
_PERIOD = 0.1


@dataclass
class Watched:
    """What one run of a container came to.

    Attributes:
        told: what the program inside printed, read as JSON; None when it did not get that far.
        stopped: why it was ended from outside, or nothing.
        seconds: how long it took.
        processes: how many there were at most.
        threads: how many there were at most, those processes' first ones included.
        memory: the most bytes that all processes together held (proportional set size, or above it at low values).
        said: the end of what it said on stderr.
    """

    told: Any
    stopped: str
    seconds: float
    processes: int
    threads: int
    memory: int
    said: str


def unavailable() -> str:
    """Return why no container can be made here, or nothing."""
    try:
        boxes.check()
    except boxes.SandboxError as error:
        return str(error)
    return "" if shutil.which("setpriv") else "There is no setpriv here"


def run(module: str, order: Any, template: Path, readable: Sequence[Path], *, seconds: float) -> Watched:
    """Run a Python module in a container of its own, and kill the container after it.

    Args:
        module: its name, to be found in ``benchmarks/``; it reads ``order`` from its stdin and prints JSON.
        order: what JSON can hold.
        template: a folder that is shown, read-only, as ``TEMPLATE``.
        readable: further folders to show read-only, at their own paths.
        seconds: after these it is killed.
    """
    space = boxes._user_namespace() if os.geteuid() == 0 else None
    words = [*_arguments(space, template, readable), "--"]
    if space is not None:
        # A user whom nobody is outside, so that the bound on processes holds.
        words += ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--inh-caps=-all"]
        words += ["--bounding-set=-all", "--"]
    words += [sys.executable, "-m", module]
    env = {"PATH": os.defpath, "HOME": WRITABLE, "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    env |= {"PYTHONPATH": str(Path(__file__).resolve().parents[1]), "PYTHONUTF8": "1"}
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        asked.write(json.dumps(order).encode())
        asked.seek(0)
        start = time.monotonic()
        process = subprocess.Popen(
            words,
            stdin=asked,
            stdout=out,
            stderr=err,
            env=env,
            cwd="/",
            pass_fds=() if space is None else (space,),
            start_new_session=True,
            preexec_fn=_limit,
        )
        if space is not None:
            os.close(space)
        try:
            stopped, most, threads, memory = _watch(process, start + seconds)
        finally:
            _kill(process)
        out.seek(0)
        err.seek(0)
        told = None
        with contextlib.suppress(ValueError):
            told = json.loads(out.read())
        said = err.read().decode(errors="replace")[-3000:]
        return Watched(told, stopped, time.monotonic() - start, most, threads, memory, said)


def _limit() -> None:
    """Bound the process that becomes bubblewrap, and so everything inside."""
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_NPROC: BOUNDS["processes"]}
    limits |= {resource.RLIMIT_DATA: BOUNDS["data"], resource.RLIMIT_FSIZE: BOUNDS["file"]}
    for which, value in limits.items():
        resource.setrlimit(which, (value, value))


def _arguments(space: int | None, template: Path, readable: Sequence[Path]) -> list[str]:
    words = ["bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    words += ["--die-with-parent", "--new-session", "--hostname", "container"]
    if space is None:
        words += ["--unshare-user", "--uid", str(USER), "--gid", str(USER)]
    else:
        words += ["--userns", str(space)]
        for capability in ("SETUID", "SETGID", "SETPCAP"):
            words += ["--cap-add", f"CAP_{capability}"]
    words += ["--proc", "/proc", "--dev", "/dev", "--ro-bind", "/proc/sys", "/proc/sys"]
    for name in ("sysrq-trigger", "kcore", "keys"):
        if Path(f"/proc/{name}").exists():
            words += ["--ro-bind", "/dev/null", f"/proc/{name}"]
    words += ["--perms", "1777", "--size", str(BOUNDS["disk"]), "--tmpfs", WRITABLE]
    words += ["--perms", "1777", "--size", str(BOUNDS["shared"]), "--tmpfs", "/dev/shm"]
    shown = sorted({str(Path(p).absolute()) for p in (*boxes.interpreter(), *readable)})
    above = {str(f) for p in shown for f in Path(p).parents} - {"/", WRITABLE}
    for folder in sorted({*above, "/var"}):
        words += ["--perms", "0755", "--dir", folder]
    words += ["--symlink", WRITABLE, "/var/tmp"]
    for name in _SYSTEM:
        if Path(name).is_symlink():
            words += ["--symlink", os.readlink(name), name]  # noqa: PTH115 (the text itself)
        elif Path(name).exists():
            words += ["--ro-bind", name, name]
    words += ["--ro-bind-try", "/sys/devices/system/cpu", "/sys/devices/system/cpu"]
    for path in shown:
        words += ["--ro-bind", path, path]
    words += ["--ro-bind", str(template), TEMPLATE]
    return [*words, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", WRITABLE]


def _watch(process: subprocess.Popen[bytes], end: float) -> tuple[str, int, int, int]:
    """Count until the container ends or must be ended; return why, and the largest counts."""
    most = threads = memory = 0
    while True:
        tree = _tree(process.pid)
        most = max(most, len(tree))
        if len(tree) > MOST_PROCESSES:
            return f"{len(tree)} processes", most, threads, memory
        threads = max(threads, sum(_status(p, "Threads") for p in tree))
        held = sum(_status(p, "VmRSS") for p in tree) * 1024
        if held > _GIB:  # shared pages count once; that takes longer to read
            held = sum(map(_share, tree))
        memory = max(memory, held)
        if held > MOST_MEMORY:
            return f"{held / _GIB:.1f} GiB of memory", most, threads, memory
        if _free() < LEAST_FREE:
            return "little memory left on the machine", most, threads, memory
        if time.monotonic() > end:
            return "out of time", most, threads, memory
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_PERIOD)
            return "", most, threads, memory


def _tree(root: int) -> set[int]:
    """Return a process and its descendants. None leaves the tree: orphans become children of the container's first."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name, in parentheses, may hold anything.
            parents[int(path.parent.name)] = int(path.read_text(errors="replace").rpartition(")")[2].split()[1])
    tree = more = {root} & parents.keys()
    while more:
        more = {p for p, parent in parents.items() if parent in more} - tree
        tree = tree | more
    return tree


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill everything inside. The end of a pid namespace's first process is the end of all."""
    inside = _tree(process.pid) - {process.pid}
    for number in [*sorted(inside), process.pid]:
        with contextlib.suppress(OSError):
            os.kill(number, signal.SIGKILL)
    process.wait()
    for _ in range(100):
        if not any(Path(f"/proc/{p}").exists() for p in inside):
            return
        time.sleep(0.05)


def _share(number: int) -> int:
    """Return a process's proportional set size in bytes; 0 when it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{number}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _status(number: int, key: str) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{number}/status").read_text(errors="replace").splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1])
    return 0


def _free() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return LEAST_FREE
