"""A run's log as a page with its curves, and, where it is installed, for TensorBoard."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ravines import plots

FILE = "report.html"


def read(log: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the lines of a log by kind; a last line that was cut off is left out."""
    found: dict[str, list[dict[str, Any]]] = {"run": [], "train": [], "test": []}
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        found.setdefault(row.get("kind", "other"), []).append(row)
    return found


def write(folder: Path) -> Path:
    """Write ``report.html`` from ``log.jsonl`` in a run's folder, whole by itself, and return its path."""
    lines = read(folder / "log.jsonl")
    run, train, test = lines["run"][0], lines["train"], lines["test"]
    parts = [f"<h1>{html.escape(run['model'])} on {html.escape(run['data'])}</h1>"]
    recipe = run["recipe"]
    parts.append(f"<p>Recipe <b>{html.escape(recipe['name'])}</b>: {html.escape(recipe['source'])}.</p>")
    if test:
        k = test[-1]["k"]
        best = max(test, key=lambda row: row["top1"])
        parts.append(
            f"<p>After epoch {test[-1]['epoch']}: top-1 {test[-1]['top1']:.2%}, top-{k} {test[-1]['topk']:.2%}, loss "
            f"{test[-1]['loss']:.4f} on {test[-1]['images']:,} images. Best: {best['top1']:.2%}, epoch "
            f"{best['epoch']}.</p>"
        )
        parts.append(_curves(train, test)._repr_mimebundle_()["text/html"])
        rows = [_row(t) for t in test]
        parts.append(_table(["epoch", "test loss", "top-1", f"top-{k}", "averaged weights, top-1"], rows))
    facts = {
        "command": "ravines " + run.get("command", ""),
        "device": run.get("device"),
        "processes": run.get("processes"),
        "torch": run.get("torch"),
        "date": run.get("date"),
        **{f"recipe: {key}": value for key, value in recipe.items() if key not in ("name", "source")},
        **{f"setting: {key}": value for key, value in run.get("settings", {}).items()},
    }
    parts.append("<h2>How it was made</h2>" + _table(["what", "value"], [[k, str(v)] for k, v in facts.items()]))
    page = (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>"
        f"{html.escape(run['model'])}</title><meta name='viewport' content='width=device-width'><style>"
        "body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem}"
        "img{max-width:100%}table{border-collapse:collapse;margin:1rem 0}"
        "th,td{padding:.25rem .7rem;border-bottom:1px solid #ddd;text-align:left;vertical-align:top;"
        "overflow-wrap:anywhere}figure{margin:1rem 0}</style></head><body>" + "".join(parts) + "</body></html>\n"
    )
    path = folder / FILE
    path.write_text(page, encoding="utf-8")
    return path


def _curves(train: list[dict[str, Any]], test: list[dict[str, Any]]) -> plots.Picture:
    k = test[-1]["k"]

    def draw(*axes: Any) -> None:
        axes[0].plot([t["epoch"] for t in train], [t["loss"] for t in train], label="training", linewidth=1)
        axes[0].plot([t["epoch"] for t in test], [t["loss"] for t in test], "o-", label="test", markersize=3)
        axes[0].set(xlabel="epoch", ylabel="loss")
        axes[0].legend()
        for key, label in (("top1", "top-1"), ("topk", f"top-{k}"), ("ema_top1", "top-1, averaged weights")):
            if key in test[-1]:
                axes[1].plot([t["epoch"] for t in test], [100 * t[key] for t in test], "o-", label=label, markersize=3)
        axes[1].set(xlabel="epoch", ylabel="test accuracy (%)")
        axes[1].legend()
        axes[2].plot([t["epoch"] for t in train], [t["lr"] for t in train])
        axes[2].set(xlabel="epoch", ylabel="learning rate")
        axes[3].plot([t["epoch"] for t in train], [t["images_per_s"] for t in train], linewidth=1)
        axes[3].set(xlabel="epoch", ylabel="images per second", ylim=(0, None))

    speed = float(np.median([t["images_per_s"] for t in train])) if train else 0.0
    return plots.figure(
        draw,
        panels=4,
        columns=2,
        alt=f"Training loss, test accuracy, learning rate and speed over {test[-1]['epoch']} epochs. The test accuracy "
        f"ends at {test[-1]['top1']:.1%}; the median speed was {speed:,.0f} images per second.",
    )


def _row(line: dict[str, Any]) -> list[str]:
    averaged = f"{line['ema_top1']:.2%}" if "ema_top1" in line else ""
    return [str(line["epoch"]), f"{line['loss']:.4f}", f"{line['top1']:.2%}", f"{line['topk']:.2%}", averaged]


def _table(header: list[str], rows: Iterable[list[str]]) -> str:
    head = "".join(f"<th>{html.escape(h)}</th>" for h in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


class Board:
    """Scalars for TensorBoard, where it is installed; nothing where it is not."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self._writer = None
        else:
            self._writer = SummaryWriter(str(folder / "tensorboard"))

    def add(self, line: dict[str, Any]) -> None:
        """Add the numbers of one line of the log."""
        if self._writer is None or line["kind"] not in ("train", "test"):
            return
        for key, value in line.items():
            if isinstance(value, (int, float)) and key not in ("update", "k", "images", "epoch"):
                self._writer.add_scalar(f"{line['kind']}/{key}", value, line["update"])
        self._writer.flush()
