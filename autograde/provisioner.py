"""Kernels forked from a warm parent, for every program that starts kernels through jupyter_client.

The entry point ``autograde-warm`` names :class:`WarmProvisioner`, and the kernelspec ``warm`` asks for it: nbclient,
nbgrader, nbval and the book's build then start kernels in a tenth of a second instead of the seconds that importing
torch takes. Where kernels cannot be forked (macOS, Windows), it starts an ordinary kernel.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import LocalProvisioner

from autograde.parent import WarmParent, WarmParentError, available

#: Seconds that a kernel has to be forked.
_FORK = 60.0
_CHANNELS = ("shell", "iopub", "stdin", "control")


class WarmProvisioner(LocalProvisioner):
    """Provides a kernel by a fork of a warm parent, in a sandbox when it is asked for one.

    ``start_kernel`` takes, beside what it takes for any kernel: ``warm``, a :class:`~autograde.parent.WarmParent` (by
    default the one of this process), and ``sandbox``, a mapping with the request's keys ``sandbox``, ``files``,
    ``memory`` and ``processes``, as :mod:`autograde.keeper` describes them.
    """

    #: Why the keeper ended the kernel, when it passed a limit.
    reason: str | None = None
    _control: socket.socket | None = None
    _held: tuple[socket.socket, ...] = ()
    _exit: int | None = None

    @property
    def exit_code(self) -> int | None:
        """How the kernel ended, as ``subprocess`` says it; None while it runs."""
        return self._exit

    @property
    def has_process(self) -> bool:
        """Whether there is a kernel to speak of."""
        return self._control is not None or super().has_process

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Choose the kernel's ports, and listen on them until the kernel does.

        jupyter_client chooses ports and leaves them, and the kernel takes them a moment later. When several kernels
        start at once, another one can be first; then this one ends before it has begun.
        """
        self._release()
        if self.parent.transport == "tcp" and kwargs.get("sandbox") is None and available():
            self._hold()
        return await super().pre_launch(**kwargs)

    async def cleanup(self, restart: bool = False) -> None:
        """Give back what a kernel that is gone, or has not come to be, has held."""
        self._release()
        await super().cleanup(restart)

    def _hold(self) -> None:
        """Listen on the ports that the manager has chosen, or on free ones."""
        self._held = tuple(socket.socket() for _ in _CHANNELS)
        names = [f"{channel}_port" for channel in _CHANNELS]
        try:
            for listener, name in zip(self._held, names, strict=True):
                port = getattr(self.parent, name)
                # A kernel that starts again has its ports again, although connections to them linger. A free port
                # is to be nobody else's, so there it is said afterwards.
                if port:
                    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind((self.parent.ip, port))
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.listen(128)
        except OSError:  # whatever is wrong with the address, jupyter_client has words for it
            self._release()
            return
        for listener, name in zip(self._held, names, strict=True):
            setattr(self.parent, name, listener.getsockname()[1])
        # The heartbeat's port is left to the manager: a kernel that cannot have it works as well.
        self.ports_cached = True

    def _release(self) -> None:
        for listener in self._held:
            listener.close()
        self._held = ()

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Fork a kernel."""
        parent, boxed = kwargs.pop("warm", None), kwargs.pop("sandbox", None)
        if parent is None and boxed is None and not available():
            return await super().launch_kernel(cmd, **kwargs)
        if parent is None:
            parent = await asyncio.to_thread(WarmParent.shared)
        connection = {
            k: v.decode() if isinstance(v, bytes) else v
            for k, v in self.connection_info.items()
            if not k.startswith("curve_") or v is not None
        }
        file = self.parent.connection_file
        request = {
            "argv": cmd[cmd.index("-m") + 1 :] if "-m" in cmd else cmd,
            "env": dict(kwargs.get("env") or os.environ),
            "cwd": str(kwargs.get("cwd") or Path.cwd()),
            "connection": connection,
            "connection_file": file,
            **(boxed or {"sandbox": None, "files": {}, "memory": None, "processes": None}),
        }
        if boxed:
            self._held = _listen(connection)
        try:
            control = parent.fork(request, self._held)
        finally:
            self._release()
        control.setblocking(False)
        self._exit, self.reason = None, None
        try:
            data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(control, 65536), _FORK)
        except TimeoutError:
            data = b""
        said = json.loads(data) if data else {"failed": "The kernel was not forked."}
        if "failed" in said:
            control.close()
            raise WarmParentError(said["failed"])
        self._control = control
        self.pid, self.pgid, self.cwd = said["pid"], None, kwargs.get("cwd")
        return self.connection_info

    async def poll(self) -> int | None:
        """Return the kernel's exit code, or None while it runs."""
        if self._control is None:
            return await super().poll() if self._exit is None else self._exit
        with contextlib.suppress(BlockingIOError):
            self._take(self._recv())
        return self._exit

    async def wait(self) -> int | None:
        """Wait for the kernel's end, and for that of all that it started."""
        if self._control is None:
            return await super().wait() if self._exit is None else self._exit
        while self._exit is None:
            self._take(await asyncio.get_running_loop().sock_recv(self._control, 65536))
        self._control.close()
        self._control = None
        return self._exit

    async def send_signal(self, signum: int) -> None:
        """Have the keeper send a signal to the kernel's group."""
        if self._control is None:
            await super().send_signal(signum)
            return
        with contextlib.suppress(OSError):
            self._control.send(json.dumps({"signal": int(signum)}).encode())

    async def kill(self, restart: bool = False) -> None:
        """Kill the kernel; whatever it started goes with it."""
        if self._control is None:
            await super().kill(restart)
        else:
            await self.send_signal(signal.SIGKILL)

    async def terminate(self, restart: bool = False) -> None:
        """Ask the kernel to end."""
        if self._control is None:
            await super().terminate(restart)
        else:
            await self.send_signal(signal.SIGTERM)

    def _recv(self) -> bytes:
        try:
            return self._control.recv(65536)
        except BlockingIOError:
            raise
        except OSError:
            return b""

    def _take(self, data: bytes) -> None:
        """Take a message of the keeper; without one it is gone, and the kernel with it."""
        said = json.loads(data) if data else {"exit": -signal.SIGKILL, "reason": None}
        self._exit, self.reason = said["exit"], said["reason"]


def _listen(connection: Mapping[str, Any]) -> tuple[socket.socket, ...]:
    """Make the sockets that a kernel in a sandbox listens on, where its clients look for them."""
    sockets = []
    for channel in _CHANNELS:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(f"{connection['ip']}-{connection[f'{channel}_port']}")
        listener.listen(16)
        sockets.append(listener)
    return tuple(sockets)
