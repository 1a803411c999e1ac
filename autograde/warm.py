"""The warm parent: it has imported everything, and forks a kernel whenever it is asked to.

``python -m autograde.warm DESCRIPTOR FOLDER`` is started by :class:`autograde.parent.WarmParent` and talks over the
socket DESCRIPTOR. It is two processes. The *zygote* imports torch and the rest, does no work with tensors, touches no
GPU and starts no thread, because only a process with one thread can be forked safely and can enter a sandbox; its
children become kernels (:mod:`autograde.forked`). The other one stays small, since each fork of a large process takes
time: it forks a keeper for each kernel (:mod:`autograde.keeper`). Neither runs a student's code or
holds anything that students must not see.

When the other end closes, for whatever reason, the parent removes FOLDER and ends; so do its kernels.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autograde import forked, keeper, sandbox
from autograde.sandbox import Door

#: What kernels import early or late. Not matplotlib_inline: it hooks itself into the shell of the
#: process that imports it first.
MODULES = (
    "torch",
    "torch.func",
    "torch._dynamo",
    "torchvision",
    "numpy.random",
    "matplotlib.pyplot",
    "matplotlib.backends.backend_agg",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.oinspect",
    "IPython.core.pylabtools",
    "IPython.extensions.storemagic",
    "faulthandler",
    "tornado.platform.asyncio",
    "ipykernel.debugger",
    "ipykernel.kernelapp",
    "ipykernel.zmqshell",
    "ipykernel.ipkernel",
    "autograde.harness",
)
#: The most descriptors that come with one message.
_DESCRIPTORS = 16
_MESSAGE = 65536


def load(modules: Sequence[str]) -> list[str]:
    """Import modules; return those that cannot be, whose names say so again when a student imports them."""
    missing = []
    debugger, sys.modules["debugpy"] = sys.modules.get("debugpy"), None  # nobody steps through these kernels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in modules:
            try:
                importlib.import_module(name)
            except Exception:  # an optional package, or one that is broken here
                missing.append(name)
    del sys.modules["debugpy"]
    if debugger is not None:
        sys.modules["debugpy"] = debugger
    return missing


def threads() -> int:
    """Return the number of threads of this process."""
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208


class Zygote:
    """The process that kernels are forked from.

    Args:
        channel: where keepers ask for kernels, and where the small process tells it what to import.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        #: By the descriptor of a child's handle: the child, and where its end is to be told.
        self._children: dict[int, tuple[int, socket.socket]] = {}

    def run(self) -> None:
        """Import, and serve until the other end closes."""
        self._load(MODULES)
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == self._channel.fileno():
                    if not self._serve(poll):
                        return
                elif descriptor in self._children:
                    poll.unregister(descriptor)
                    self._bury(descriptor)

    def _load(self, modules: Sequence[str]) -> list[str]:
        gc.disable()  # what is imported is no garbage: looking for some takes a fifth of the time
        missing = load(modules)
        gc.enable()
        # Whatever is here now stays for good: looking at it again in each child would copy its pages.
        gc.collect()
        gc.freeze()
        return missing

    def _serve(self, poll: Any) -> bool:
        """Take one message; return whether there was one."""
        data, descriptors, _, _ = socket.recv_fds(self._channel, _MESSAGE, _DESCRIPTORS)
        if not data:
            return False
        message = json.loads(data)
        answer = socket.socket(fileno=descriptors[0])
        if "modules" in message:
            sys.path[:0] = message["path"]
            missing = self._load(message["modules"])
            forked.tell(answer, {"ready": os.getpid(), "threads": threads(), "missing": missing})
            answer.close()
            return True
        rest = descriptors[1:]
        door = None
        if message["door"] is not None:
            door = Door(message["door"]["rooted"], tuple(rest[: Door.WIDTH]))
            rest = rest[Door.WIDTH :]
        try:
            self._fork(answer, door, rest, poll)
        except OSError as error:
            forked.tell(answer, {"failed": str(error)})
            answer.close()
        for descriptor in (*rest, *(door.descriptors if door else ())):
            os.close(descriptor)
        return True

    def _fork(self, answer: socket.socket, door: Door | None, rest: Sequence[int], poll: Any) -> None:
        """Fork a kernel, or a waiter that does."""
        straight = sandbox.forks_into(door)
        child = sandbox.fork_into(door) if straight else os.fork()
        if child == 0:
            try:
                self._be_forked(answer, door, rest, straight)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        handle = os.pidfd_open(child)
        self._children[handle] = (child, answer)
        poll.register(handle, select.POLLIN)
        if straight:
            forked.tell(answer, {"pid": child})

    def _be_forked(self, answer: socket.socket, door: Door | None, rest: Sequence[int], straight: bool) -> None:
        """In the child: become the kernel or its waiter. It does not return."""
        self._channel.close()
        request_file, *listening = rest
        with os.fdopen(request_file, "rb") as file:
            file.seek(0)
            request = json.load(file)
        if straight:
            door.join(born_inside=True)
            forked.become_kernel(request, listening, door)
        forked.wait_for_kernel(request, listening, door, answer)

    def _bury(self, handle: int) -> None:
        """Take a child's end, and tell it."""
        os.close(handle)
        child, answer = self._children.pop(handle)
        code = forked.end_of(child)
        # A waiter has told the kernel's own end before; what comes second is not read.
        forked.tell(answer, {"exit": code})
        answer.close()


def serve(channel: socket.socket, zygote: socket.socket) -> None:
    """Fork a keeper for each kernel that is asked for, until the other end closes."""
    while True:
        data, descriptors, _, _ = socket.recv_fds(channel, _MESSAGE, _DESCRIPTORS)
        if not data:
            return
        if json.loads(data).get("modules") is not None:
            socket.send_fds(zygote, [data], descriptors)
        elif os.fork() == 0:
            # Never back into this loop, whatever happens.
            try:
                channel.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                keeper.main(descriptors, zygote)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)


def main(arguments: Sequence[str]) -> None:
    """Be the small process; its first child is the zygote."""
    channel = socket.socket(fileno=int(arguments[0]))
    folder = arguments[1]
    # Ctrl-C in a terminal reaches the whole group; the other end decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        try:
            channel.close()
            ours.close()
            sandbox.end_with_parent()
            Zygote(theirs).run()
        finally:
            os._exit(0)  # without the seconds that torch takes to say goodbye
    theirs.close()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        serve(channel, ours)
    finally:
        if folder and Path(folder).name.startswith("autograde-"):
            with contextlib.suppress(OSError):
                shutil.rmtree(folder)
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
