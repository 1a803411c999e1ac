"""The trusted end of a warm parent (see :mod:`autograde.warm`)."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

#: Seconds that the parent has to import everything.
_START = 300.0


_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_early: list[tuple[Path, WarmParent | None]] = []


class WarmParentError(Exception):
    """A warm parent that does not start, or a kernel that it does not fork; the text is one sentence."""


def available() -> bool:
    """Whether kernels can be forked here: forking with threads or Apple's frameworks about is not safe."""
    return sys.platform.startswith("linux") and hasattr(os, "pidfd_open") and hasattr(socket, "recv_fds")


def environment() -> dict[str, str]:
    """Return what the environments of a warm parent and of students' processes have in common: no more than this."""
    libraries = os.environ.get("LD_LIBRARY_PATH")  # where a container may keep the GPU's driver
    return {
        **({"LD_LIBRARY_PATH": libraries} if libraries else {}),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        **dict.fromkeys(_THREADS, "1"),
    }


def start_early() -> None:
    """Start a warm parent for :func:`take` to find: it imports while this process does."""
    if available():
        _early.append(_start())
        atexit.register(_discard)


def take() -> tuple[Path, WarmParent | None]:
    """Return the run's new temporary folder, and a warm parent, which removes it should this process be killed."""
    if _early:
        return _early.pop()
    if available():
        return _start()
    return Path(tempfile.mkdtemp(prefix="autograde-")), None


def _start() -> tuple[Path, WarmParent]:
    folder = Path(tempfile.mkdtemp(prefix="autograde-"))
    # Nothing reads or writes there before a kernel has its own.
    return folder, WarmParent(environment() | {"HOME": str(folder)}, folder)


def _discard() -> None:
    """End a parent that nobody took."""
    while _early:
        folder, unused = _early.pop()
        unused.close()
        shutil.rmtree(folder, ignore_errors=True)


class WarmParent:
    """A process that forks kernels. It imports while this process goes on; :meth:`prepare` waits for it.

    Args:
        env: its whole environment; a kernel's own comes with the kernel.
        folder: a folder that the parent removes when this process is gone; its name begins with ``autograde-``.
    """

    _shared: WarmParent | None = None
    _lock = threading.Lock()

    def __init__(self, env: Mapping[str, str], folder: Path | None = None) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._owner = os.getpid()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "autograde.warm", str(theirs.fileno()), str(folder or "")],
                env=dict(env),
                cwd="/",
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        self._channel = ours
        self._ready = False

    @classmethod
    def shared(cls) -> WarmParent:
        """Return the one of this process, for kernels that run whatever the user starts."""
        with cls._lock:
            known = cls._shared
            if known is None or known._process.poll() is not None or known._owner != os.getpid():
                # OpenBLAS starts its threads when it is loaded; torch does when it first needs them, in the kernel.
                needed = {"MPLBACKEND": environment()["MPLBACKEND"], "OPENBLAS_NUM_THREADS": "1"}
                cls._shared = cls({**os.environ, **needed})
                cls._shared.prepare()
            return cls._shared

    def prepare(self, modules: Sequence[str] = (), path: Sequence[str] = ()) -> list[str]:
        """Have it import more modules, from more folders, and wait until it is ready.

        Returns:
            The modules that could not be imported.

        Raises:
            WarmParentError: when it does not start, or cannot be forked.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(_START)
        message = {"modules": list(modules), "path": list(path)}
        try:
            with theirs:
                socket.send_fds(self._channel, [json.dumps(message).encode()], [theirs.fileno()])
            said = json.loads(ours.recv(65536))
        except (OSError, ValueError):
            self._process.kill()
            words = self._process.communicate()[1].decode(errors="replace").strip().splitlines()
            raise WarmParentError(f"The warm parent does not start: {words[-1] if words else 'no word'}.") from None
        finally:
            ours.close()
        if said["threads"] != 1:
            self.close()
            raise WarmParentError(f"The warm parent has {said['threads']} threads; it cannot be forked.")
        return said["missing"]

    def fork(self, request: Mapping[str, Any], listening: Sequence[socket.socket] = ()) -> socket.socket:
        """Ask for a kernel and return its keeper's control socket (see :mod:`autograde.keeper`)."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, tempfile.TemporaryFile() as file:
            file.write(json.dumps(request).encode())
            file.seek(0)
            descriptors = [theirs.fileno(), file.fileno(), *(s.fileno() for s in listening)]
            try:
                socket.send_fds(self._channel, [b"{}"], descriptors)
            except OSError:
                ours.close()
                raise WarmParentError("The warm parent is gone.") from None
        return ours

    def close(self) -> None:
        """End the parent, and with it its kernels."""
        self._channel.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._process.kill()
        self._process.wait()
        self._process.stderr.close()
