"""What runs inside the student's process: one snippet, beside the student's names, values in and values out.

Nothing here is trusted or secret. The request holds a snippet and its inputs; the reply holds the values the
snippet left behind, or what the student's code raised. The verdict is reached elsewhere.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import io
import linecache
import random
import traceback
import types
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from autograde.values import ValueFormatError, decode, encode

#: The MIME type under which a kernel sends a reply back.
REPLY_MIME = "application/vnd.autograde.reply"
#: The name that a snippet's file has in a traceback; every other file there is the student's or a library's.
SNIPPET = "<autograde>"


def execute(namespace: Mapping[str, Any], request: bytes) -> bytes:
    """Run a request beside ``namespace`` and return the reply, both as :mod:`autograde.values` bytes.

    The request is a dict with ``code``, ``returns`` (names to bring back) and ``inputs``. The reply is a dict
    with ``values``, or with ``error``: the exception's type, message, and the student's line that raised it.
    """
    try:
        task = decode(request)
        scope = dict(namespace)
        scope.update(task["inputs"])
        with _neutral_state():
            exec(_compiled(task["code"]), scope)
            reply = encode({"values": [scope[name] for name in task["returns"]]})
    except ValueFormatError as error:
        reply = encode({"error": {"type": "ValueFormatError", "message": str(error), "line": None}})
    except BaseException as error:  # SystemExit and KeyboardInterrupt are the student's failure too
        reply = encode({"error": describe(error)})
    return reply


@functools.lru_cache(maxsize=256)
def _compiled(code: str) -> types.CodeType:
    """Compile a snippet; a check runs most of its own many times."""
    return compile(code, SNIPPET, "exec")


def serve(request: str) -> None:
    """Run a base64 request in this kernel and publish the reply as a display message."""
    from IPython import get_ipython

    shell = get_ipython()
    reply = execute(shell.user_ns, base64.b64decode(request))
    shell.display_pub.publish({REPLY_MIME: base64.b64encode(reply).decode()})


def describe(error: BaseException) -> dict[str, Any]:
    """Name an exception and the student's own line it came from, as plain values."""
    line = None
    for frame in traceback.extract_tb(error.__traceback__):
        notebook_cell = frame.filename.startswith("<ipython-input") or "ipykernel_" in frame.filename
        if notebook_cell or frame.filename.startswith("<cell "):
            source = linecache.getline(frame.filename, frame.lineno or 0) or (frame.line or "")
            line = source.strip()[:200] or line
    try:
        message = str(error).strip()
    except Exception:  # the student's own exception class may fail at this too
        message = ""
    return {
        "type": type(error).__name__[:80],
        "message": message.splitlines()[0][:300] if message else "",
        "line": line,
    }


@contextlib.contextmanager
def _neutral_state() -> Iterator[None]:
    """Run with PyTorch's own defaults, and put the student's settings back after.

    A default dtype, a disabled gradient or a seed that a cell left behind must not decide another exercise.
    """
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    deterministic = torch.are_deterministic_algorithms_enabled()
    states = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    torch.set_default_dtype(torch.float32)
    moved = device.type != "cpu"
    if moved:  # setting it, even to what it is, would send each later call through a function of Python's
        torch.set_default_device(None)
    if deterministic:  # asking for what is so already would import PyTorch's compiler, which takes seconds
        torch.use_deterministic_algorithms(False)
    random.seed(0)
    np.random.seed(0)
    # Not torch.manual_seed: without a CUDA context that queues one more call, traceback and all, each time.
    torch.default_generator.manual_seed(0)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(0)
    silence = io.StringIO()
    try:
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            warnings.catch_warnings(),
            contextlib.redirect_stdout(silence),
            contextlib.redirect_stderr(silence),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_default_dtype(dtype)
        if moved:
            torch.set_default_device(device)
        if torch.are_deterministic_algorithms_enabled() != deterministic:
            torch.use_deterministic_algorithms(deterministic)
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.random.set_rng_state(states[2])
