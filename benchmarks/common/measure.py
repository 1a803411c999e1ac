"""Time, CPU and memory of a command with all the processes it starts. Linux only: it reads ``/proc``."""

from __future__ import annotations

import contextlib
import ctypes
import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: Samples per second.
RATE = 20
#: A number of processes that this many samples saw was no passing one.
_STEADY = 10
_TICK, _PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER, see prctl(2)
_GROUPS = Path("/sys/fs/cgroup")


class CommandError(Exception):
    """A command that is measured failed; the text is the end of what it said."""


@dataclass(frozen=True)
class Usage:
    """What one run of a command took, all of its processes together.

    Attributes:
        wall_s: from the start to the end of the command.
        reaped_cpu_s: of the command and the descendants that were waited for, as the kernel adds them up. A process
            whose parent ignores its end is not in it.
        system_cpu_s: of the whole machine meanwhile: an upper bound where nothing else runs.
        group_cpu_s: of the command's own control group, exact; None where none can be made.
        sampled_cpu_s: of the processes that the sampler saw; None without it. What a process used after its last
            sample is missing.
        peak_pss_mb: the largest sum of the processes' proportional set sizes; None without the sampler.
        peak_anonymous_pss_mb: the same for memory that no file stands behind. Programs that map the same libraries,
            whoever started them, do not change it.
        peak_processes: how many processes there were at most; None without the sampler.
        full_pss_mb: the median sum while as many processes lived as ever did for a while; None without the sampler.
        full_anonymous_pss_mb: the same for memory that no file stands behind.
        samples: how many samples were taken.
    """

    wall_s: float
    reaped_cpu_s: float
    system_cpu_s: float
    group_cpu_s: float | None = None
    sampled_cpu_s: float | None = None
    peak_pss_mb: float | None = None
    peak_anonymous_pss_mb: float | None = None
    peak_processes: int | None = None
    full_pss_mb: float | None = None
    full_anonymous_pss_mb: float | None = None
    samples: int = 0

    @property
    def cpu_s(self) -> float:
        """The best figure there is: the control group's, else the larger of the two that may miss something."""
        return max(self.reaped_cpu_s, self.sampled_cpu_s or 0.0) if self.group_cpu_s is None else self.group_cpu_s


@dataclass
class Sampler:
    """Watches the descendants of this process: CPU and, if ``memory``, proportional set size.

    This process becomes the reaper of orphans meanwhile, so that no descendant leaves its tree.
    """

    memory: bool = True
    peak_pss: int = 0
    peak_anonymous: int = 0
    peak_processes: int = 0
    samples: int = 0
    _levels: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    _cpu: dict[tuple[int, int], int] = field(default_factory=dict)
    _end: threading.Event = field(default_factory=threading.Event)

    @property
    def cpu_s(self) -> float:
        """CPU of all processes seen, each until its last sample."""
        return sum(self._cpu.values()) / _TICK

    @contextlib.contextmanager
    def watching(self, root: int) -> Iterator[None]:
        """Sample while the body runs; ``root`` is the one child of this process that is reaped elsewhere."""
        reaper = ctypes.CDLL(None).prctl
        reaper(_SUBREAPER, 1, 0, 0, 0)
        others = frozenset(p for p, (parent, *_) in processes().items() if parent == os.getpid()) - {root}
        thread = threading.Thread(target=self._work, args=(root, others))
        thread.start()
        try:
            yield
        finally:
            self._end.set()
            thread.join()
            reaper(_SUBREAPER, 0, 0, 0, 0)

    @property
    def full(self) -> tuple[float, float]:
        """The median PSS in bytes, and its anonymous part, while as many processes lived as ever did for a while.

        That is when all submissions of a run were there at once; the peak may lie elsewhere, such as in the start.
        """
        steady = [count for count, sizes in self._levels.items() if len(sizes) >= _STEADY]
        if not steady:
            return 0.0, 0.0
        whole, anonymous = zip(*self._levels[max(steady)], strict=True)
        return statistics.median(whole), statistics.median(anonymous)

    def _work(self, root: int, others: frozenset[int]) -> None:
        due = time.monotonic()
        while not self._end.wait(max(0.0, due - time.monotonic())):
            due = time.monotonic() + 1 / RATE
            stats = processes()
            adopted = {p for p, (parent, *_) in stats.items() if parent == os.getpid()} - others - {root}
            tree = more = adopted | ({root} & stats.keys())
            while more:
                more = {p for p, (parent, *_) in stats.items() if parent in more} - tree
                tree = tree | more
            self._cpu.update({(p, stats[p][1]): stats[p][2] for p in tree})
            self.samples += 1
            self.peak_processes = max(self.peak_processes, len(tree))
            if self.memory:
                sizes = [pss(p) for p in tree]
                whole, anonymous = (sum(part) for part in zip(*sizes, strict=True)) if sizes else (0, 0)
                self.peak_pss = max(self.peak_pss, whole)
                self.peak_anonymous = max(self.peak_anonymous, anonymous)
                self._levels.setdefault(len(tree), []).append((whole, anonymous))
            for pid in adopted:  # an orphan that ended must not stay behind as a zombie
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)


def processes() -> dict[int, tuple[int, int, int]]:
    """Return the parent, the start and the user and system time (in ticks) of every process."""
    found = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The name, in parentheses, may hold anything.
                words = (Path(entry.path) / "stat").read_text(errors="replace").rpartition(")")[2].split()
                found[int(entry.name)] = int(words[1]), int(words[19]), int(words[11]) + int(words[12])
    return found


def pss(pid: int) -> tuple[int, int]:
    """Return a process's proportional set size in bytes, and its anonymous part; 0 when gone or not to be read."""
    found = {}
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
            key, value, *_ = line.split()
            found[key] = int(value) * 1024
    return found.get("Pss:", 0), found.get("Pss_Anon:", 0)


def system_cpu_s() -> float:
    """Return how long the machine's cores have been busy since it started."""
    user, nice, system, _, _, irq, softirq = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + irq + softirq) / _TICK


@contextlib.contextmanager
def group() -> Iterator[tuple[Path, Callable[[], float]] | None]:
    """Make a control group that counts CPU; yield its folder and what reads its seconds, or None."""
    for folder, read in _possible_groups():
        mine = folder / f"benchmark-{os.getpid()}"
        try:
            mine.mkdir()
        except OSError:
            continue
        try:
            yield mine, lambda read=read, mine=mine: read(mine)
        finally:
            with contextlib.suppress(OSError):  # a process that stayed behind is in it
                mine.rmdir()
        return
    yield None


def _possible_groups() -> Iterator[tuple[Path, Callable[[Path], float]]]:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "cpuacct" in controllers.split(","):
            yield _GROUPS / controllers / path[1:], lambda g: int((g / "cpuacct.usage").read_text()) / 1e9
        elif not controllers and (_GROUPS / path[1:] / "cpu.stat").is_file():
            yield _GROUPS / path[1:], lambda g: int((g / "cpu.stat").read_text().split()[1]) / 1e6


def run(
    command: Sequence[str | Path],
    cwd: Path,
    *,
    env: Mapping[str, str] | None = None,
    sampler: Sampler | None = None,
    good: Sequence[int] = (0,),
) -> Usage:
    """Run a command to its end and return what it took.

    Args:
        command: the program and its arguments.
        cwd: where it runs.
        env: additions to the environment.
        sampler: watches it, if given. Its own work slows the command down somewhat.
        good: the exit codes that mean success.

    Raises:
        CommandError: when the command ends with another code.
    """
    with tempfile.TemporaryFile() as said, group() as counted:
        join = (lambda: (counted[0] / "cgroup.procs").write_text("0")) if counted else None
        busy, start = system_cpu_s(), time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=join,
        )
        try:
            with sampler.watching(process.pid) if sampler else contextlib.nullcontext():
                _, status, used = os.wait4(process.pid, 0)
                wall = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            if process.returncode is None:  # stopped from the keyboard
                process.kill()
                process.wait()
        if process.returncode not in good:
            said.seek(0)
            tail = said.read().decode(errors="replace")[-3000:]
            raise CommandError(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{tail}")
        return Usage(
            wall,
            used.ru_utime + used.ru_stime,
            system_cpu_s() - busy,
            counted[1]() if counted else None,
            sampler.cpu_s if sampler else None,
            sampler.peak_pss / 1e6 if sampler and sampler.memory else None,
            sampler.peak_anonymous / 1e6 if sampler and sampler.memory else None,
            sampler.peak_processes if sampler else None,
            sampler.full[0] / 1e6 if sampler and sampler.memory else None,
            sampler.full[1] / 1e6 if sampler and sampler.memory else None,
            sampler.samples if sampler else 0,
        )


def device() -> dict[str, object]:
    """Return what this machine is."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PHYS_PAGES") * _PAGE
    return {
        "cpu": names[0] if names else "unknown",
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory / 1e9, 1),
        "load_before": round(os.getloadavg()[0], 2),
    }
