"""The state of a run on disk: whole or not there, whatever happens while it is written."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import Any

import torch

FILE, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"
FORMAT = 1


class CheckpointError(RuntimeError):
    """A checkpoint cannot be written or read; the message says where and what to do."""


def save(folder: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint; the one before stays until the new one is whole, and after that as the previous one.

    Raises:
        CheckpointError: when it cannot be written; what was there is still there.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    target, fresh = folder / FILE, folder / f"{FILE}.new"
    try:
        with fresh.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            target.replace(folder / PREVIOUS)
        fresh.replace(target)
        _sync(folder)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "the disk is full" if full else error.strerror or str(error)
        size = buffer.getbuffer().nbytes / 2**20
        raise CheckpointError(
            f"The checkpoint of {size:,.0f} MiB could not be written to {folder}: {reason}. The last whole one is "
            "still there: make room, then go on with --resume."
        ) from error


def load(folder: Path) -> tuple[dict[str, Any], str]:
    """Return the newest whole checkpoint, and what is to be said about it (empty: nothing).

    Raises:
        CheckpointError: when there is none, or none that can be read.
    """
    found = [folder / name for name in (FILE, PREVIOUS) if (folder / name).exists()]
    if not found:
        raise CheckpointError(f"There is no checkpoint in {folder}: start without --resume.")
    for path in found:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            if not isinstance(state, dict) or state.get("format") != FORMAT:
                raise ValueError("it is no checkpoint of this program's")
        except Exception as error:  # pickle's, zip's and torch's errors have no common class
            reason = " ".join(str(error).split())[:120] or type(error).__name__
            continue
        said = "" if path.name == FILE else f"{folder / FILE} is damaged or missing: going on from the one before it."
        return state, said
    raise CheckpointError(f"No checkpoint in {folder} can be read ({reason}): delete them and start without --resume.")


def _sync(folder: Path) -> None:
    """Make the renaming itself last, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
