"""Where students' kernels are started: forked into a sandbox, forked without one, or as ordinary processes.

A :class:`Host` stands for the length of a run. It owns the run's temporary folder and the warm parent, and
:meth:`Host.start` makes one kernel with a :class:`Place` of its own. Everything else that concerns a kernel, such as
running cells and ending it in time, is :mod:`autograde.kernel`'s.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

from autograde import parent, sandbox
from autograde.parent import WarmParent
from autograde.sandbox import SandboxError
from autograde.submission import MAX_FILE_BYTES, MisuseError

#: The ways to run what students wrote. Only the first is safe with code that nobody has read.
BUBBLEWRAP, NONE = "bubblewrap", "none"
#: No history thread and file: nobody looks at it.
_OPTIONS = ["--HistoryManager.enabled=False", "--InteractiveShell.colors=nocolor"]


#: Prints where the packages lie that an interpreter finds by itself.
_LOCATE = """
import importlib.util, json, os, sys
specs = {name: importlib.util.find_spec(name) for name in sys.argv[1:]}
places = {name: list(spec.submodule_search_locations or [""])[0] for name, spec in specs.items() if spec}
print(json.dumps({name: os.path.realpath(places[name]) if places.get(name) else None for name in specs}))
"""


@dataclass(frozen=True)
class Limits:
    """What one submission may use.

    Attributes:
        cell: seconds for one cell, and for one question of a check.
        total: seconds for the whole submission, from the kernel's start.
        output: bytes of output that are kept.
        grace: seconds that a kernel has to obey an interrupt before it is killed.
        start: seconds that a kernel has to start.
        memory: bytes of memory, in a sandbox.
        processes: processes and threads beside the kernel's own, in a sandbox.
        disk: bytes that all files written may take, in a sandbox.
        file: bytes of the notebook as handed in.
    """

    cell: float = 60.0
    total: float = 300.0
    output: int = 2**20
    grace: float = 3.0
    start: float = 120.0
    memory: int = 2**31
    processes: int = 64
    disk: int = 2**28
    file: int = MAX_FILE_BYTES


@dataclass(frozen=True)
class Place:
    """The folders of one kernel.

    Attributes:
        root: on this machine, holds the connection file and the sockets; removed at the end.
        work: the student's work folder and home, as the kernel sees it.
        temporary: where the kernel puts temporary files, as it sees it.
        library: links to the packages that the student's side may import, or None when it finds them by itself.
    """

    root: Path
    work: Path
    temporary: Path
    library: Path | None = None


class _OneKernel(KernelSpecManager):
    """Knows one kernel: IPython in the Python that grades, whatever kernels the user has installed."""

    forked = False

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        provisioner = {"kernel_provisioner": {"provisioner_name": "autograde-warm"}}
        return KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="Python 3",
            language="python",
            metadata=provisioner if self.forked else {},
        )


def environment(place: Place, gpu: bool = False) -> dict[str, str]:
    """Return the whole environment of a student's process: a short list, nothing of the grader's own."""
    values = {**parent.environment(), "HOME": str(place.work), "TMPDIR": str(place.temporary)}
    if not gpu:
        values["CUDA_VISIBLE_DEVICES"] = ""
    if place.library is not None:
        values["PYTHONPATH"] = str(place.library)
    return values


@dataclass
class Host:
    """Starts kernels. Use it as a context manager around a run.

    Args:
        limits: what one submission may use.
        sandbox: ``"bubblewrap"`` or ``"none"``.
        packages: folders of packages that students may import, wherever they lie.
        modules: what the warm parent imports beside the usual.
        hidden: folders that no sandbox may show, should they lie in one that it shows.
        gpu: whether the NVIDIA devices are there for the student.
    """

    limits: Limits = field(default_factory=Limits)
    sandbox: str = NONE
    packages: Sequence[Path] = ()
    modules: Sequence[str] = ()
    hidden: Sequence[Path] = ()
    gpu: bool = False

    root: Path = field(init=False)
    #: Of ``modules`` those that cannot be imported; known when the first kernel has been started.
    missing: Sequence[str] = field(default=(), init=False)
    _parent: WarmParent | None = field(default=None, init=False)
    _library: Path | None = field(default=None, init=False)
    _prepared: bool = field(default=False, init=False)
    _preparing: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    def __enter__(self) -> Host:
        """Make the run's folder and start the warm parent.

        Raises:
            SandboxError: when a sandbox is asked for and cannot be made here.
            MisuseError: when students' processes would run another copy of this package.
        """
        if self.sandbox == BUBBLEWRAP:
            sandbox.check()
        self.root, self._parent = parent.take()
        try:
            if self.sandbox == BUBBLEWRAP and self._parent is None:
                raise SandboxError("Kernels cannot be forked here, so they cannot enter a sandbox")
            links = library_paths(self.packages)
            if __package__ in links:  # what forks kernels is that copy, and no sandbox would show its files
                raise MisuseError(
                    f"This is {links[__package__]}, and {sys.executable} itself imports another {__package__}. "
                    "Leave PYTHONPATH out, or install this one (pip install -e .)."
                )
            self._link(links)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End the warm parent, with what may still run, and remove the folder."""
        if self._parent is not None:
            self._parent.close()
        shutil.rmtree(self.root, ignore_errors=True)

    @property
    def forks(self) -> bool:
        """Whether kernels are forked from a process that has imported everything."""
        return self._parent is not None

    async def start(self, files: Mapping[str, str]) -> tuple[Place, AsyncKernelManager]:
        """Start a kernel whose work folder holds these files alone."""
        await self._prepare()
        place = self._place(files)
        specs = _OneKernel()
        specs.forked = self._parent is not None
        manager = AsyncKernelManager(
            kernel_name="python3",
            kernel_spec_manager=specs,
            transport="ipc",
            ip=str(place.root / "k"),
            connection_file=str(place.root / "connection.json"),
            log=silent(),
        )
        more: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        if self._parent is not None:
            more = {"warm": self._parent, "sandbox": self._request(files) if self.sandbox == BUBBLEWRAP else None}
        try:
            await manager.start_kernel(
                cwd=str(place.work), env=environment(place, self.gpu), extra_arguments=_OPTIONS, **more
            )
        except BaseException:
            shutil.rmtree(place.root, ignore_errors=True)
            raise
        return place, manager

    async def _prepare(self) -> None:
        """Wait, the first time, until the warm parent has imported everything."""
        if self._parent is None or self._prepared:
            return
        async with self._preparing:
            if not self._prepared:
                path = [str(self._library)] if self._library else []
                self.missing = await asyncio.to_thread(self._parent.prepare, self.modules, path)
                self._prepared = True

    def _place(self, files: Mapping[str, str]) -> Place:
        root = Path(tempfile.mkdtemp(dir=self.root))
        if self.sandbox == BUBBLEWRAP:
            return Place(root, Path(sandbox.HOME), Path(sandbox.WRITABLE), self._library)
        place = Place(root, root / "work", root / "work", self._library)
        place.work.mkdir()
        for name, text in files.items():
            (place.work / name).write_text(text, encoding="utf-8")
        return place

    def _request(self, files: Mapping[str, str]) -> dict[str, Any]:
        """Return what the keeper needs to know of the sandbox."""
        library = [self._library] if self._library else []
        readable = [*sandbox.interpreter(), *sandbox.exposed([*self.packages, *library])]
        return {
            "sandbox": {
                "readable": readable,
                "hidden": [str(p.resolve()) for p in self.hidden],
                "disk": self.limits.disk,
                "gpu": self.gpu,
                "program": sandbox.program(),
            },
            "files": dict(files),
            "memory": self.limits.memory,
            "processes": self.limits.processes,
        }

    def _link(self, paths: Mapping[str, Path]) -> None:
        """Link packages that are not found into one folder, so that what lies beside them stays off the path."""
        if not paths:
            return
        self._library = self.root / "library"
        self._library.mkdir()
        for name, path in paths.items():
            (self._library / name).symlink_to(path.resolve())


def library_paths(packages: Iterable[Path]) -> dict[str, Path]:
    """Return which of these packages an interpreter would not find by itself, or find elsewhere, by name."""
    paths = {p.name: p for p in packages}
    if not paths:
        return {}
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _LOCATE, *paths],
            cwd=empty,
            env=parent.environment(),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    found = json.loads(done.stdout)
    return {name: path for name, path in paths.items() if found[name] != str(path.resolve())}


def silent() -> logging.Logger:
    """Return a logger that says nothing: what a student's kernel makes a library complain about is the student's."""
    logger = logging.getLogger("autograde.kernel")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
    return logger
