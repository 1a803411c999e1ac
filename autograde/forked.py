"""What a process that was forked from the zygote does to become a kernel.

The zygote forks it, and it joins the sandbox that its keeper has made, gives up every privilege, and runs ipykernel.
Root's zygote can put its child straight into the sandbox's pid namespace. An ordinary user's cannot: there, and where
there is no sandbox, the forked process stays as a *waiter* outside, and its own child is the kernel.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from autograde import sandbox
from autograde.sandbox import Door

#: Threads and processes that a kernel and its sandbox have by themselves; the limit is on what the student adds.
OWN_TASKS = 24
_CHANNELS = ("shell_port", "iopub_port", "stdin_port", "control_port")


def wait_for_kernel(
    request: Mapping[str, Any], listening: Sequence[int], door: Door | None, answer: socket.socket
) -> NoReturn:
    """Be the waiter: join, fork the kernel, say its number, and report its end. It does not return."""
    try:
        os.setsid()
        if door is not None:
            door.join()
        else:
            sandbox.adopt_orphans()
        kernel = os.fork()
    except OSError as error:
        tell(answer, {"failed": str(error)})
        os._exit(1)
    if kernel == 0:
        become_kernel(request, listening, door)
    for descriptor in listening:
        os.close(descriptor)
    tell(answer, {"pid": kernel})
    handle = os.pidfd_open(kernel)
    poll = select.poll()
    poll.register(answer, select.POLLIN)
    poll.register(handle, select.POLLIN)
    poll.poll()
    # Its end, or that of who wanted it.
    with contextlib.suppress(OSError):
        os.kill(kernel, signal.SIGKILL)
    code = end_of(kernel)
    if door is None:
        _end_orphans(kernel)
    tell(answer, {"exit": code})
    os._exit(0)


def become_kernel(request: Mapping[str, Any], listening: Sequence[int], door: Door | None) -> NoReturn:
    """Turn this process, which has joined the sandbox's namespaces, into the kernel. It does not return."""
    try:
        os.setsid()
        _only(listening)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        os.environ.clear()
        os.environ.update(request["env"])
        tempfile.tempdir = None
        os.umask(0o022)
        connection = None
        _last_in_line()
        if door is not None:
            sandbox.set_limits(
                memory=None if request["sandbox"]["gpu"] else request["memory"],
                processes=request["processes"] + OWN_TASKS,
                disk=request["sandbox"]["disk"],
            )
            sandbox.give_up_privileges(door.rooted)
            connection = _furnish(request)
        sandbox.end_with_parent()
        os.chdir(request["cwd"])
        _run_kernel(request, listening, connection)
    except BaseException:
        # Nobody reads this but who starts a kernel by hand: stderr is /dev/null.
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def tell(answer: socket.socket, message: Mapping[str, Any]) -> None:
    """Send a message to whoever asked for the kernel, if they are still there."""
    with contextlib.suppress(OSError):
        answer.send(json.dumps(message).encode())


def end_of(process: int) -> int:
    """Wait for a child and return its exit code, negative for a signal."""
    try:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    except ChildProcessError:
        return -signal.SIGKILL


def _last_in_line() -> None:
    """Let the grader go first when the machine is short of time or memory."""
    with contextlib.suppress(OSError):
        os.nice(5)
        Path("/proc/self/oom_score_adj").write_text("1000")


def _end_orphans(kernel: int) -> None:
    """Kill what a kernel without a sandbox has left: its group, and children that came to this process."""
    with contextlib.suppress(OSError):
        os.killpg(kernel, signal.SIGKILL)
    for _ in range(1000):
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        for child in children:
            with contextlib.suppress(OSError):
                os.kill(int(child), signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _only(kept: Sequence[int]) -> None:
    """Close every descriptor but these, and read from and write to nothing."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    bounds = sorted({0, 1, 2, *kept})
    for low, high in zip(bounds, [*bounds[1:], 65536], strict=True):
        os.closerange(low + 1, high)


def _furnish(request: Mapping[str, Any]) -> str:
    """Put the submission's files into the empty home, and return where the connection file is."""
    home = Path(sandbox.HOME)
    for name, text in request["files"].items():
        (home / name).write_text(text, encoding="utf-8")
    path = Path(sandbox.WRITABLE) / "kernel.json"
    path.write_text(json.dumps(request["connection"]))
    return str(path)


def _run_kernel(request: Mapping[str, Any], listening: Sequence[int], connection: str | None) -> None:
    """Start ipykernel in this process, as ``python -m ipykernel_launcher`` does, and run it to its end."""
    import numpy as np
    import torch
    import zmq
    from ipykernel import ipkernel
    from ipykernel.kernelapp import IPKernelApp
    from traitlets.config import Config

    np.random.seed()  # the fork has copied the parent's
    threads = request["env"].get("OMP_NUM_THREADS", "")
    if threads.isdigit() and int(threads) != torch.get_num_threads():
        torch.set_num_threads(int(threads))
    bound = {request["connection"][n]: d for n, d in zip(_CHANNELS, listening, strict=False)}

    class Application(IPKernelApp):
        """Listens on sockets that exist already: a sandbox shares no folder with anybody, and ports stay its own."""

        def _try_bind_socket(self, s: Any, port: int) -> int:
            if port in bound:
                s.setsockopt(zmq.USE_FD, bound[port])
            # When the other side is slow, wait rather than drop what says that a cell has ended.
            s.setsockopt(zmq.SNDHWM, 0)
            return super()._try_bind_socket(s, port)

        def parse_command_line(self, argv: Sequence[str] | None = None) -> None:
            if connection is None:
                super().parse_command_line(argv)
                return
            # What the command line says too, without the tenth of the start that making its parser takes.
            self.connection_file = connection
            self.update_config(Config(HistoryManager={"enabled": False}, InteractiveShell={"colors": "nocolor"}))

        def init_heartbeat(self) -> None:
            if connection is None:  # where it is in a sandbox, the keeper knows whether the kernel lives
                super().init_heartbeat()

        def init_kernel(self) -> None:
            with _no_modules(ipkernel):
                super().init_kernel()

    argv = [connection if connection and w == request["connection_file"] else w for w in request["argv"]]
    sys.argv = argv
    # What the launcher does too: the work folder comes first on the path.
    sys.path.insert(0, "")
    application = Application.instance()
    application.initialize(argv[1:])
    application.start()
    atexit._run_exitfuncs()


@contextlib.contextmanager
def _no_modules(module: Any) -> Iterator[None]:
    """Let a module see no imported modules meanwhile.

    ipykernel notes the file of each one for its debugger. Looking at thousands of objects of the zygote's would copy
    a page of memory for nearly each of them: a fifth of what a kernel's start costs, for nothing.
    """
    real = module.sys

    class Sys:
        modules: ClassVar[dict[str, Any]] = {}

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

    module.sys = Sys()
    try:
        yield
    finally:
        module.sys = real
