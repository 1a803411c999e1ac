"""The process that makes the sandbox of one kernel, watches it, and ends it.

The warm parent forks a keeper for each kernel, from its small process that has imported next to nothing. The keeper
asks bubblewrap for a sandbox, asks the zygote for a kernel in it, and stays: outside of the sandbox's processes, so
that nothing in there can see or signal it. It forwards signals, ends everything when a limit is passed or the grader
is gone, and reports how the kernel ended.

The request is JSON::

    {"argv": [...], "env": {...}, "cwd": "...", "connection": {...}, "connection_file": "...",   # as for any kernel
     "sandbox": null or {"readable": [...], "hidden": [...], "disk": bytes, "gpu": bool},
     "files": {"name": "text"}, "memory": bytes, "processes": number}      # with a sandbox

Over the control socket the keeper sends ``{"pid": n}`` or ``{"failed": "sentence"}``, and at the end ``{"exit": code,
"reason": sentence or null}`` with a code as ``subprocess`` has it. It takes ``{"signal": n}``. When the socket closes,
it ends everything.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograde import sandbox
from autograde.forked import OWN_TASKS, tell
from autograde.sandbox import Namespaces, Sandbox, SandboxError

#: Seconds between two looks at what the sandbox uses.
_PERIOD = 0.1
#: Files and folders that a sandbox may hold: each takes memory that counts for no process.
_FILES = 50_000
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


@dataclass(frozen=True)
class Bounds:
    """What all processes of a sandbox may use together.

    Attributes:
        memory: bytes that are in use, files in the sandbox included.
        processes: processes and threads beside the kernel's own.
    """

    memory: int
    processes: int


def main(descriptors: Sequence[int], zygote: socket.socket) -> None:
    """Have a kernel made and stay until it is gone.

    Args:
        descriptors: the control socket, the request, then the sockets that the kernel is to listen on.
        zygote: where kernels are asked for.
    """
    control = socket.socket(fileno=descriptors[0])
    with os.fdopen(os.dup(descriptors[1]), "rb") as file:
        request = json.load(file)
    os.setsid()
    namespaces = bounds = None
    try:
        if request["sandbox"] is not None:
            namespaces = sandbox.make(Sandbox.of(request["sandbox"]))
            bounds = Bounds(request["memory"], request["processes"])
        answer = _ask(zygote, descriptors[1:], namespaces)
        said = _hear(answer) or {}
        if "pid" not in said:
            raise SandboxError(said.get("failed", "The zygote is gone."))
        kernel = said["pid"]
        if namespaces is not None:
            namespaces.door.join()
    except (SandboxError, OSError) as error:
        tell(control, {"failed": str(error)})
        if namespaces is not None:
            namespaces.end()
        return
    for descriptor in descriptors[1:]:
        os.close(descriptor)
    ended = None
    try:
        tell(control, {"pid": kernel})
        ended, reason = _watch(control, answer, kernel, bounds)
    finally:
        if ended is None:
            # The kernel alone first, so that its end is known; then whatever it has started.
            with contextlib.suppress(OSError):
                os.kill(kernel, signal.SIGKILL)
            ended = _hear(answer)
        if namespaces is not None:
            namespaces.end()
    tell(control, {"exit": (ended or {}).get("exit", -signal.SIGKILL), "reason": reason})


def _ask(zygote: socket.socket, descriptors: Sequence[int], namespaces: Namespaces | None) -> socket.socket:
    """Ask the zygote for a kernel; return the socket on which it will answer."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    door = namespaces.door if namespaces is not None else None
    message = json.dumps({"door": None if door is None else {"rooted": door.rooted}}).encode()
    with theirs:
        doors = [] if door is None else door.descriptors
        socket.send_fds(zygote, [message], [theirs.fileno(), *doors, *descriptors])
    return ours


def _watch(
    control: socket.socket, answer: socket.socket, kernel: int, bounds: Bounds | None
) -> tuple[dict[str, Any] | None, str | None]:
    """Wait for the kernel's end, an order to end it, or a passed limit.

    Returns:
        What is known of the kernel's end, if it has ended, and which limit was passed, if one was.
    """
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(answer, select.POLLIN)
    start = _used() if bounds else 0
    while True:
        ready = {descriptor for descriptor, _ in poll.poll(_PERIOD * 1000 if bounds else None)}
        if answer.fileno() in ready:
            return _hear(answer) or {"exit": -signal.SIGKILL}, None
        if control.fileno() in ready:
            message = _hear(control)
            if message is None:
                return None, None
            if message.get("signal") in _SIGNALS:
                _signal(kernel, message["signal"])
        if bounds is not None:
            reason = _passed(bounds, start)
            if reason is not None:
                return None, reason


def _signal(kernel: int, number: int) -> None:
    """Signal the kernel and its group, as a terminal would; the kernel leads its group."""
    for send in (os.killpg, os.kill):
        with contextlib.suppress(OSError):
            send(kernel, number)
            return


def _passed(bounds: Bounds, start: int) -> str | None:
    """Say which bound the sandbox's processes have passed together, or return None."""
    mebi = 2**20
    disk = os.statvfs(sandbox.WRITABLE)
    files, written = disk.f_files - disk.f_ffree, (disk.f_blocks - disk.f_bfree) * disk.f_frsize
    if files > _FILES:
        return f"It made more than {_FILES:,} files."
    # Shared pages count for each process here, so this is an upper bound. Only what passes it is counted with each
    # page's share, of which at most half of what the kernel had at its start is the zygote's.
    if _used() - start + written > bounds.memory and _used(exactly=True) - start // 2 + written > bounds.memory:
        return f"It used more than {bounds.memory // mebi:,} MiB of memory."
    if not sandbox.counts_by_namespace() and _tasks() > bounds.processes + OWN_TASKS:
        return f"It started more than {bounds.processes} processes and threads."
    return None


def _used(exactly: bool = False) -> int:
    """Return the bytes of memory that no file stands behind, of all processes of the joined sandbox."""
    names = ("Pss_Anon:", "Pss_Shmem:") if exactly else ("RssAnon:", "RssShmem:")
    total = 0
    for process in sandbox.processes():
        try:
            text = Path(f"/proc/{process}/{'smaps_rollup' if exactly else 'status'}").read_text()
        except PermissionError:  # a process that made itself unreadable is counted with what it shares
            text = _status(process).replace("RssAnon:", "Pss_Anon:").replace("RssShmem:", "Pss_Shmem:")
        except OSError:  # it has just ended
            continue
        for line in text.splitlines():
            if line.startswith(names):
                total += int(line.split()[1]) * 1024
    return total


def _tasks() -> int:
    """Return how many threads the sandbox's processes have."""
    lines = (line for p in sandbox.processes() for line in _status(p).splitlines())
    return sum(int(line.split()[1]) for line in lines if line.startswith("Threads:"))


def _status(process: int) -> str:
    try:
        return Path(f"/proc/{process}/status").read_text()
    except OSError:
        return ""


def _hear(control: socket.socket) -> dict[str, Any] | None:
    """Return the next message of the grader; None when it is gone."""
    try:
        data = control.recv(4096)
        return json.loads(data) if data else None
    except OSError:
        return None
