"""The student's process: a Jupyter kernel in a folder of its own, and the student that a check asks through it.

Nothing that this process says is trusted. Of its messages only a few fields are read, each with a bound: a cell's
outputs (text and pictures, up to a number of bytes), whether a cell raised, and the values of a reply. It holds no
check, no solution and no gradebook. How such a process is made is :mod:`autograde.host`'s business.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import json
import queue
import re
import shutil
import signal
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import nbformat
import zmq
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete, DeadKernelError
from nbformat import NotebookNode

from autograde.harness import REPLY_MIME
from autograde.host import Host, Limits, silent
from autograde.student import Student, StudentError, StudentStopped
from autograde.turns import Turn
from autograde.values import MAX_BYTES, encode

#: Outputs of any other type could run in the page of whoever looks at them.
SHOWN = ("text/plain", "image/png", "image/jpeg")
#: What a message costs at least, so that a million empty ones pass no limit.
_LEAST = 200
#: Messages of a kernel that wait for the grader; beyond these the kernel must.
_WAITING = 32
#: A cell's file name in a SyntaxError's message: a number that says nothing.
_CELL_FILE = re.compile(r"\((?:\S*/)?\d+\.py, ")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


@dataclass(frozen=True)
class CellEnd:
    """How a cell ended: what it raised, if it did, and whether it was interrupted for taking too long."""

    error: StudentError | None = None
    interrupted: bool = False


class _Cells(NotebookClient):
    """Runs cells and keeps a bounded amount of what they put out."""

    room = 0
    dropped = False
    execute_reply: dict[str, Any] | None = None

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> None:
        """Take an output out of a message, if it is one, has a form that is known, and there is room."""
        try:
            kind, content = msg["msg_type"], msg["content"]
            if kind == "status" and content["execution_state"] == "idle":
                raise CellExecutionComplete
            if kind == "clear_output":
                cell.outputs.clear()
                return
            output = _output(kind, content)
        except (KeyError, TypeError, AttributeError):
            return  # no message of a kernel that behaves
        if output is None:
            return
        self.room -= _LEAST + (len(output.text.encode()) if output.output_type == "stream" else _size(output))
        if self.room < 0:
            over, self.room, self.dropped = -self.room, 0, True
            if output.output_type != "stream" or over >= len(output.text):
                return
            output.text = output.text[: len(output.text) - over]
        last = cell.outputs[-1] if cell.outputs else None
        if output.output_type == "stream" and last and last.get("name") == output.name:
            last.text += output.text
        else:
            cell.outputs.append(output)


class _Question(NotebookClient):
    """Runs one request of a check and takes its reply, and nothing else, out of the messages."""

    replies: list[str]

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> None:
        """Keep the reply; forget every other output."""
        try:
            kind, content = msg["msg_type"], msg["content"]
            if kind == "status" and content["execution_state"] == "idle":
                raise CellExecutionComplete
            reply = content["data"].get(REPLY_MIME) if kind == "display_data" else None
        except (KeyError, TypeError, AttributeError):
            return
        if isinstance(reply, str) and len(self.replies) < 2:
            self.replies.append(reply)


@dataclass
class Kernel:
    """One student's process, from start to end. Use it as an asynchronous context manager.

    Args:
        host: where it is started, and what it may use.
        files: the files of the work folder, by name.
        preload: modules to import before the clock of the first cell runs.
    """

    host: Host
    files: Mapping[str, str] = field(default_factory=dict)
    preload: tuple[str, ...] = ()

    _stopped: StudentStopped | None = field(default=None, init=False)

    async def __aenter__(self) -> Kernel:
        """Make the folders and start the kernel."""
        self._client: Any = None
        self._place, self._manager = await self.host.start(self.files)
        try:
            self._client = self._manager.client()
            # What a student sends waits in the grader's memory: bound it there too.
            self._client.context.setsockopt(zmq.MAXMSGSIZE, 2 * MAX_BYTES)
            self._client.context.setsockopt(zmq.RCVHWM, _WAITING)
            # The provisioner knows whether the kernel lives, and nobody types into it.
            self._client.start_channels(stdin=False, hb=False)
            await asyncio.wait_for(self._answer(), self.limits.start)
            self._client.allow_stdin = False
            self._cells = _Cells(_empty(), km=self._manager, **_CLIENT)
            self._cells.kc, self._cells.room = self._client, self.limits.output
            self._cells.on_cell_executed = self._note_reply
            self._questions = _Question(_empty(), km=self._manager, **_CLIENT)
            self._questions.kc = self._client
            if not self.host.forks:  # what was forked has imported everything
                await self._warm_up()
        except BaseException:
            await self.close()
            raise
        self._deadline = time.monotonic() + self.limits.total
        return self

    async def __aexit__(self, *_: object) -> None:
        """Kill the kernel with its process group and remove its folders."""
        await self.close()

    @property
    def limits(self) -> Limits:
        """What it may use."""
        return self.host.limits

    @property
    def stopped(self) -> StudentStopped | None:
        """Why no further cell can run, or None while one can."""
        return self._stopped

    @property
    def dropped(self) -> bool:
        """Whether outputs were left out because they passed the limit."""
        return self._cells.dropped

    async def run(self, cell: NotebookNode) -> CellEnd:
        """Run a code cell; its outputs are put into it.

        Raises:
            StudentStopped: when the kernel ended, or had to be killed for taking too long.
        """
        cell.outputs, self._cells.execute_reply = [], None
        self._cells.nb.cells = [cell]
        try:
            interrupted = await self._bounded(self._cells.async_execute_cell(cell, 0), self.limits.cell)
        finally:
            self._tidy(cell)
        content = (self._cells.execute_reply or {}).get("content", {})
        if interrupted:
            return CellEnd(StudentError("TimeoutError", f"stopped after {self.limits.cell:g} s"), True)
        if not isinstance(content, dict) or content.get("status") != "error":
            return CellEnd()
        name, message = (content.get(k) if isinstance(content.get(k), str) else "" for k in ("ename", "evalue"))
        lines = _CELL_FILE.sub("(", _ANSI.sub("", message)).strip().splitlines()
        return CellEnd(StudentError(name[:80] or "Error", lines[0][:300] if lines else ""))

    async def exchange(self, request: bytes) -> bytes:
        """Send a request of :func:`autograde.harness.execute` and return its reply.

        Raises:
            StudentError: when what came back is no reply.
            StudentStopped: when none came in time, or the kernel ended.
        """
        replies, interrupted = await self._ask(_serve(request), self.limits.cell)
        if interrupted:
            raise StudentStopped("timeout", _too_long(self.limits.cell))
        if len(replies) != 1:
            raise StudentError("ValueFormatError", "your code gave no answer, or more than one")
        reply = replies[0]
        if len(reply) > 3 * MAX_BYTES:
            raise StudentError("ValueFormatError", f"it is larger than {MAX_BYTES >> 20} MiB")
        try:
            return base64.b64decode(reply, validate=True)
        except (binascii.Error, ValueError):
            raise StudentError("ValueFormatError", "the bytes are not a value") from None

    def excuse(self, seconds: float) -> None:
        """Give the notebook these seconds more: it has lost them where others had their turn."""
        self._deadline += seconds

    async def close(self) -> None:
        """End the process group, whatever state it is in, and remove the folders."""
        try:
            await self._kill()
            with contextlib.suppress(Exception):
                # Not the manager's shutdown, which asks ten times a second whether the kernel still lives.
                await asyncio.wait_for(self._manager.provisioner.wait(), 10.0)
            with contextlib.suppress(Exception):
                await self._manager.cleanup_resources()
            if self._client is not None:
                self._client.stop_channels()
        finally:
            shutil.rmtree(self._place.root, ignore_errors=True)

    async def _answer(self) -> None:
        """Wait until the kernel answers and its messages arrive.

        Not the client's own ``wait_for_ready``, which then listens in vain for a fifth of a second.
        """
        while await self._manager.is_alive():
            asked, heard = self._client.kernel_info(), set()
            with contextlib.suppress(queue.Empty):
                while heard < {"kernel_info_reply", "status"}:
                    reply = "kernel_info_reply" not in heard
                    channel = self._client.shell_channel if reply else self._client.iopub_channel
                    message = await channel.get_msg(timeout=1.0)
                    if message["parent_header"].get("msg_id") == asked:
                        heard.add(message["msg_type"])
                return
        raise RuntimeError(f"The kernel does not start: {self._last_words()}")

    async def _warm_up(self) -> None:
        """Import what questions need, on the grader's time and not on the first cell's."""
        self._deadline = time.monotonic() + self.limits.start
        code = "".join(f"import {name}\n" for name in self.preload)
        request = encode({"code": code, "returns": [], "inputs": {}})
        replies, _ = await self._ask(_serve(request), self.limits.start)
        if not replies:
            raise RuntimeError("the kernel cannot import autograde.harness")

    async def _ask(self, code: str, seconds: float) -> tuple[list[str], bool]:
        """Run the grader's own code; return the replies it sent, and whether it had to be interrupted."""
        cell = nbformat.v4.new_code_cell(code)
        question = self._questions
        question.replies, question.nb.cells = [], [cell]
        interrupted = await self._bounded(question.async_execute_cell(cell, 0, store_history=False), seconds)
        return question.replies, interrupted

    def _note_reply(self, execute_reply: dict[str, Any], **_: object) -> None:
        self._cells.execute_reply = execute_reply

    async def _bounded(self, work: Coroutine[Any, Any, Any], seconds: float) -> bool:
        """Run one execution within the limits; return whether it had to be interrupted, and obeyed."""
        if self._stopped is not None:
            work.close()
            raise StudentStopped(self._stopped.status, str(self._stopped))
        left = min(seconds, self._deadline - time.monotonic())
        task = asyncio.ensure_future(work)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # seen, also when nobody waits
        interrupted = False
        try:
            done, _ = await asyncio.wait({task}, timeout=max(0.0, left))
            if not done:
                interrupted = True
                await self._signal(signal.SIGINT)
                done, _ = await asyncio.wait({task}, timeout=self.limits.grace)
            if not done:
                await self._stop("timeout", f"{_too_long(seconds)} It did not stop when asked to.")
            # A reply may come late without a cell ever passing its own limit.
            if time.monotonic() > self._deadline:
                await self._stop("timeout", f"The whole notebook took longer than {self.limits.total:g} s.")
            task.result()
        except StudentStopped:
            raise
        except DeadKernelError:
            await self._stop("killed", self._last_words())
        except Exception as error:
            # The kernel sent something that no Jupyter client understands.
            await self._stop(
                "killed", f"Your Python process sent messages that cannot be read ({type(error).__name__})."
            )
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=2.0)
        return interrupted

    async def _stop(self, status: str, sentence: str) -> None:
        """Kill the kernel and raise why."""
        self._stopped = StudentStopped(status, sentence)
        await self._kill()
        raise self._stopped

    async def _signal(self, number: int) -> None:
        if self._manager.has_kernel:
            with contextlib.suppress(OSError):
                await self._manager.provisioner.send_signal(number)

    async def _kill(self) -> None:
        # A stopped process takes no other signal.
        await self._signal(signal.SIGKILL)

    def _last_words(self) -> str:
        """Say how the process ended."""
        provisioner = self._manager.provisioner
        reason = getattr(provisioner, "reason", None)
        if reason:
            return f"Your code was stopped. {reason}"
        process = getattr(provisioner, "process", None)
        code = process.poll() if process is not None else getattr(provisioner, "exit_code", None)
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                name = signal.Signals(-code).name
                more = ", often because it needs too much memory" if -code == signal.SIGKILL else ""
                return f"Your code ended the Python process (signal {name}{more})."
        return "Your code ended the Python process, as os._exit() and exit() do."

    def _tidy(self, cell: NotebookNode) -> None:
        """Take out of the outputs what differs from run to run: the work folder and the cells' file names."""
        temporary = re.escape(str(self._place.temporary))
        cell_file = re.compile(rf"(?:\.|{temporary})/ipykernel_\d+/\d+\.py")
        folders = re.compile("|".join(re.escape(str(p)) for p in (self._place.work.resolve(), self._place.work)))
        for output in cell.outputs:
            for holder, key in _texts(output):
                text = holder[key]
                if isinstance(text, str) and "/" in text:
                    holder[key] = cell_file.sub("<cell>", folders.sub(".", text))


class KernelStudent(Student):
    """A student whose names are in a kernel, for a check that runs in a thread.

    Args:
        kernel: the student's process.
        sources: the source of each answer cell, by exercise.
        loop: the loop that the kernel belongs to.
        turn: the check's turn in the grader's process, which others have while the kernel answers.
    """

    def __init__(
        self, kernel: Kernel, sources: Mapping[str, str], loop: asyncio.AbstractEventLoop, turn: Turn | None = None
    ) -> None:
        self._kernel, self._sources, self._loop, self._turn = kernel, sources, loop, turn

    def exchange(self, request: bytes) -> bytes:
        """Send the request to the kernel and wait, in this thread, for its reply."""
        with self._turn.passed_on() if self._turn else contextlib.nullcontext():
            return asyncio.run_coroutine_threadsafe(self._kernel.exchange(request), self._loop).result()

    def source(self, name: str) -> str:
        """Return the source of an answer cell."""
        try:
            return self._sources[name]
        except KeyError:
            raise StudentError("NameError", f"`{name}` is not defined") from None


#: No timeouts of nbclient's own, which would ask again and again; errors are results; no widgets, no times.
_CLIENT: dict[str, Any] = {
    "timeout": None,
    "allow_errors": True,
    "record_timing": False,
    "store_widget_state": False,
    "skip_cells_with_tag": "",
    "log": silent(),
}


def _empty() -> NotebookNode:
    return nbformat.v4.new_notebook()


def _serve(request: bytes) -> str:
    """Return the code that runs a request: one expression, which leaves no name behind among the student's."""
    return f'__import__("autograde.harness").harness.serve("{base64.b64encode(request).decode()}")'


def _too_long(seconds: float) -> str:
    return f"Your code took longer than {seconds:g} s: look for a loop that does not end."


def _output(kind: str, content: dict[str, Any]) -> NotebookNode | None:
    """Return the output that a message holds, if it may be shown."""
    if kind == "stream" and isinstance(content["text"], str):
        name = "stderr" if content["name"] == "stderr" else "stdout"
        return nbformat.v4.new_output("stream", name=name, text=_clean(content["text"]))
    if kind in ("display_data", "execute_result"):
        shown = {k: _clean(v) for k, v in content["data"].items() if k in SHOWN and isinstance(v, str)}
        if not shown and content["data"]:
            shown = {"text/plain": "(an output of a type that is not kept)"}
        if kind == "execute_result":
            return nbformat.v4.new_output(kind, data=shown, execution_count=None)
        return nbformat.v4.new_output(kind, data=shown) if shown else None
    if kind == "error":
        trace = [_clean(line) for line in content["traceback"] if isinstance(line, str)]
        names = (_clean(content[k]) if isinstance(content[k], str) else "" for k in ("ename", "evalue"))
        return nbformat.v4.new_output(kind, **dict(zip(("ename", "evalue"), names, strict=True)), traceback=trace)
    return None


def _clean(text: str) -> str:
    """Return text that every file can hold, without terminal colours."""
    return _ANSI.sub("", text.encode("utf-8", "replace").decode())


def _size(output: NotebookNode) -> int:
    return len(json.dumps(output))


def _texts(output: NotebookNode) -> list[tuple[Any, Any]]:
    """Return where the texts of an output are."""
    if output.output_type == "stream":
        return [(output, "text")]
    if output.output_type == "error":
        return [(output, "evalue"), *((output.traceback, i) for i in range(len(output.traceback)))]
    return [(output.data, "text/plain")] if "text/plain" in output.data else []
