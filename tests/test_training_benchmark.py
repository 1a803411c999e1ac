"""The benchmark of training: its ratio is ours by theirs, and it writes what it measured."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def bench():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import training

        yield training
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


def test_the_ratio_is_theirs_by_ours_and_turns_alternate(bench, monkeypatch):
    """With a clock of our own: ours takes 2 s a call, theirs 3 s, and the third turn is slower for both."""
    order = []

    def clock(work, device, inner):
        who = work.__self__.model.who
        order.append(who)
        work()
        return {"ours": 2.0, "torchvision": 3.0}[who] * (5 if len(order) in (5, 6) else 1)

    class Network(nn.Module):
        def __init__(self, who):
            super().__init__()
            self.who, self.head = who, nn.Linear(3, 1000)

        def forward(self, x):
            return self.head(x.mean((2, 3)))

    monkeypatch.setattr(bench, "seconds", clock)
    makers = {who: lambda who=who: Network(who) for who in ("ours", "torchvision")}
    found = bench.pair(makers, bench.SETTINGS["plain"], torch.device("cpu"), 6, 32, repeats=3, inner=1)
    assert found["forward"]["ratio"] == 1.5 and found["forward"]["ratio_range"] == [1.5, 1.5]
    assert found["forward"]["images_per_s"] == {"ours": 3.0, "torchvision": 2.0}
    assert found["step"]["peak_mib"] == {"ours": None, "torchvision": None}
    assert order[:6] == ["ours", "torchvision", "torchvision", "ours", "ours", "torchvision"]


@pytest.mark.slow
def test_the_smallest_run_writes_what_it_measured(tmp_path):
    words = ["--device", "cpu", "--networks", "resnet", "--settings", "plain", "--size", "32", "--repeats", "1"]
    command = [sys.executable, str(ROOT / "benchmarks/training.py"), *words, "--out", str(tmp_path / "r.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    record = json.loads((tmp_path / "r.json").read_text())
    assert record["versions"]["torch"] == torch.__version__ and record["size"] == 32
    assert set(record["results"]["resnet"]["plain"]) == {"forward", "step"}
    assert "--networks resnet" in record["command"]
    said = done.stdout.splitlines()
    assert said[0].startswith("resnet     plain   forward  ours")


def test_an_unknown_network_is_told():
    command = [sys.executable, str(ROOT / "benchmarks/training.py"), "--networks", "lenet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2 and "There is no 'lenet'; use alexnet, vgg, googlenet, resnet." in done.stderr


def test_the_readme_has_the_committed_figures(bench):
    resnet = json.loads(bench.RESULTS.read_text())["results"]["resnet"]
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    found = re.search(r"ResNet-50 at ([\d,]+) images per second, ([\d.]+) times torchvision.s plain use", readme)
    speed, gain = resnet["best"]["step"]["images_per_s"]["ours"], resnet["best_of_ours_by_plain_torchvision"]
    assert found.groups() == (f"{speed:,.0f}", f"{gain:.1f}")
    # "as fast as torchvision.s in the same use": within a hundredth and a half
    ratios = [resnet[use][what]["ratio"] for use in ("plain", "default", "best") for what in ("forward", "step")]
    assert all(abs(ratio - 1) < 0.015 for ratio in ratios)
