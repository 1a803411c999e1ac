"""Training runs: killed and resumed, in one process and two, with everything that can go wrong."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from ravines.reproduction import checkpoint, recipe, sources
from ravines.reproduction.distributed import Group
from ravines.reproduction.trainer import Settings, Trainer, TrainingError, seeded

ROOT = Path(__file__).resolve().parents[2]
NETWORK = """
from torch import nn


def plain(num_classes=10, p=0.0):
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, 2), nn.ReLU(), nn.Dropout(p), nn.Conv2d(6, 12, 3, 2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(48, num_classes),
    )


def dropping(num_classes=10):
    return plain(num_classes, 0.3)


def normalized(num_classes=10):
    return nn.Sequential(nn.BatchNorm2d(3), plain(num_classes))
"""
QUICK = ["--data", "fashion-mnist", "--limit", "520", "--size", "20", "--batch-size", "40", "--device", "cpu"]
QUICK += ["--log-every", "1", "--quiet", "--lr", "0.05"]


@pytest.fixture
def network(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(NETWORK)
    return path


def command(*words, processes=1):
    start = [sys.executable, "-m", "ravines"]
    if processes > 1:
        start = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes), "-m", "ravines"]
        start[5:5] = ["--standalone"]
    return [*start, "train", *map(str, words)]


def run(*words, processes=1, timeout=240):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command(*words, processes=processes), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout
    )


def lines(folder, kind="train"):
    found = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line for line in found if line["kind"] == kind]


def losses(folder):
    return [line["loss"] for line in lines(folder)]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """An uninterrupted run of two epochs with everything that has state: dropout, momentum, an average, mixup."""
    folder = tmp_path_factory.mktemp("straight")
    (folder / "net.py").write_text(NETWORK)
    words = [f"{folder / 'net.py'}:dropping", *QUICK, "--epochs", "2", "--ema", "0.9", "--mixup", "0.2"]
    done = run(*words, "--out", folder / "run")
    assert done.returncode == 0, done.stderr
    return words, folder / "run"


@pytest.mark.slow
def test_a_run_learns_and_tells_it(straight):
    _, folder = straight
    found = losses(folder)
    assert len(found) == 2 * 13 and found[0] == pytest.approx(2.3, abs=0.1)
    assert sum(found[-5:]) < sum(found[:5])
    first, last = lines(folder, "test")
    assert (first["epoch"], last["epoch"]) == (1, 2) and last["images"] == 520
    assert 0 <= last["top1"] <= last["topk"] <= 1 and last["k"] == 5 and "ema_top1" in last
    (head,) = lines(folder, "run")
    assert head["recipe"]["source"].startswith("He, Zhang") and head["torch"] == torch.__version__
    assert head["command"].startswith("train ") and head["limit"] == 520


@pytest.mark.slow
@pytest.mark.parametrize("when", [3, 17])
def test_a_killed_run_goes_on_to_the_same_losses(when, straight, tmp_path):
    """kill -9 in the first and in the second epoch; a checkpoint after every update."""
    words, reference = straight
    out = tmp_path / "run"
    words = [*words, "--out", out, "--save-every", "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command(*words), cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    log = out / "log.jsonl"
    deadline = time.monotonic() + 120
    while not log.exists() or log.read_text().count('"train"') < when:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done_before = len(losses(out))
    assert when <= done_before < 26

    done = run(*words, "--resume")
    assert done.returncode == 0, done.stderr
    assert losses(out) == losses(reference)
    for name in ("loss", "top1", "ema_loss"):
        assert [line[name] for line in lines(out, "test")] == [line[name] for line in lines(reference, "test")]


@pytest.mark.slow
def test_two_processes_learn_what_one_does(network, tmp_path):
    """The same batches, shared: the same losses to 1e-5, and the same counts on 521 test images, an odd number."""
    words = [f"{network}:plain", *QUICK, "--epochs", "2"]
    words[words.index("520")] = "521"
    for processes in (1, 2):
        done = run(*words, "--out", tmp_path / str(processes), processes=processes)
        assert done.returncode == 0, done.stderr[-3000:]
    one, two = losses(tmp_path / "1"), losses(tmp_path / "2")
    assert len(one) == 26 and max(abs(a - b) for a, b in zip(one, two, strict=True)) < 1e-5
    for a, b in zip(lines(tmp_path / "1", "test"), lines(tmp_path / "2", "test"), strict=True):
        assert a["images"] == b["images"] == 521
        assert b["loss"] == pytest.approx(a["loss"], abs=1e-5)
        assert b["top1"] == pytest.approx(a["top1"], abs=2.5 / 521)  # a rounding may turn a tie


def on_two_machines(port, *words, outs):
    """Start what would be started on each of two machines, with one process each."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    launch = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    launch += ["--master-addr", "127.0.0.1", "--master-port", str(port)]
    both = []
    for node, out in enumerate(outs):
        line = [*launch, "--node-rank", str(node), "-m", "ravines", "train", *words, "--out", out]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        both.append(subprocess.Popen([str(w) for w in line], cwd=ROOT, env=environment, **pipes))
    return [(process.communicate(timeout=240)[0], process.returncode) for process in both]


@pytest.mark.slow
def test_two_machines_learn_what_one_does_and_need_one_folder(network, tmp_path):
    words = [f"{network}:plain", *QUICK, "--epochs", "1"]
    assert run(*words, "--out", tmp_path / "one").returncode == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for text, code in on_two_machines(port, *words, outs=[tmp_path / "two"] * 2):
        assert code == 0, text[-3000:]
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == 13 and max(abs(a - b) for a, b in zip(one, two, strict=True)) < 1e-5
    # The other machine's folder of that name is empty: a checkpoint that only one of them has is none.
    words[words.index("--epochs") + 1] = "2"
    ended = on_two_machines(port, *words, "--resume", outs=[tmp_path / "two", tmp_path / "elsewhere"])
    for text, code in ended:  # one sentence of ours, then what torchrun says of a process that ended so
        assert code != 0 and text.startswith("ravines: "), text[-3000:]
        assert "--out must be a folder that all of them see" in text.splitlines()[0]
    assert losses(tmp_path / "two") == two, "the run that stopped has lost lines"


# In this process ---------------------------------------------------------------------------------------------------


CPU = Group(0, 1, torch.device("cpu"))


def small(num_classes=10):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, num_classes))


@pytest.fixture(scope="module")
def splits():
    return tuple(split.limited(200) for split in sources.load("fashion-mnist"))


def trainer(folder, splits, make=small, settings=None, **changes):
    values = {"epochs": 1, "batch_size": 50, "lr": 0.01, "train_size": 16, "test_size": 16, "test_resize": 16}
    chosen = recipe.load("resnet2015", **{**values, "resize": 16, "resize_to": 18, **changes})
    return Trainer(seeded(make, 0), chosen, splits, folder, CPU, settings or Settings(log_every=1))


def test_accumulated_parts_give_the_same_losses(splits, tmp_path):
    found = []
    for parts in (1, 4):
        folder = tmp_path / str(parts)
        folder.mkdir()
        trainer(folder, splits, settings=Settings(log_every=1, accumulate=parts)).run(quiet=True)
        found.append(losses(folder))
    assert found[0] == pytest.approx(found[1], abs=1e-5)


def test_statistics_are_shared_among_gpus_only(splits, tmp_path):
    """One process has nothing to share; two on a CPU cannot."""
    settings = Settings(sync_norm=True)
    trainer(tmp_path, splits, settings=settings)
    with pytest.raises(TrainingError, match="leave out --sync-norm, or use one process"):
        Trainer(small(), recipe.load("resnet2015"), splits, tmp_path, Group(0, 2, torch.device("cpu")), settings)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_state(splits, tmp_path):
    run = trainer(tmp_path, splits)
    run.run(quiet=True)
    good, _ = checkpoint.load(tmp_path)
    again = trainer(tmp_path, splits, epochs=3)
    again.resume()
    with torch.no_grad():
        again.model[1].weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"no number at update 5 \(epoch 2\).*lower --lr"):
        again.run(quiet=True)
    kept, _ = checkpoint.load(tmp_path)
    assert torch.equal(kept["model"]["1.weight"], good["model"]["1.weight"])


def test_a_full_disk_is_said_and_the_checkpoint_before_is_kept(splits, tmp_path, monkeypatch):
    run = trainer(tmp_path, splits)
    run.save()
    before = (tmp_path / checkpoint.FILE).read_bytes()
    write = Path.open

    class Full:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def write(self, data):
            self.file.write(bytes(data[:100]))
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(
        Path,
        "open",
        lambda self, mode="r", *a, **k: Full(write(self, mode)) if "w" in mode else write(self, mode, *a, **k),
    )
    with pytest.raises(checkpoint.CheckpointError, match=r"the disk is full\. The last whole one is still there"):
        run.save()
    monkeypatch.undo()
    assert (tmp_path / checkpoint.FILE).read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [checkpoint.FILE]


def test_a_corrupt_checkpoint_gives_way_to_the_one_before(splits, tmp_path):
    run = trainer(tmp_path, splits, epochs=2)
    run.run(quiet=True)
    (tmp_path / checkpoint.FILE).write_bytes(b"half a file")
    again = trainer(tmp_path, splits, epochs=2)
    assert "going on from the one before it" in again.resume()
    assert again.progress.epoch == 1
    again.run(quiet=True)
    assert len(losses(tmp_path)) == 8 and len(lines(tmp_path, "test")) == 2
    for name in (checkpoint.FILE, checkpoint.PREVIOUS):
        (tmp_path / name).write_bytes(b"half a file")
    with pytest.raises(checkpoint.CheckpointError, match=r"No checkpoint in .* can be read"):
        again.resume()
    with pytest.raises(checkpoint.CheckpointError, match="start without --resume"):
        trainer(tmp_path, splits)
        checkpoint.load(tmp_path / "nowhere")


def test_another_network_or_recipe_is_refused(splits, tmp_path):
    trainer(tmp_path, splits).save()
    with pytest.raises(TrainingError, match=r"has lr = 0\.01, and now it is 0\.02"):
        trainer(tmp_path, splits, lr=0.02).resume()
    with pytest.raises(TrainingError, match="is of another network"):
        trainer(
            tmp_path, splits, make=lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 10, bias=False))
        ).resume()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "50 images at once: try --accumulate 2"),
        (
            RuntimeError("pool_backward_cuda does not have a deterministic implementation, but you set"),
            "no deterministic pool_backward_cuda: leave out --deterministic",
        ),
    ],
)
def test_what_pytorch_cannot_do_is_said_with_what_to_try(error, said, splits, tmp_path):
    class Failing(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, x):
            raise error

    with pytest.raises(TrainingError, match=said):
        trainer(tmp_path, splits, make=Failing).run(quiet=True)


def test_a_long_run_on_a_gpu_is_compiled_where_there_is_a_compiler(monkeypatch, tmp_path):
    from ravines.reproduction import session

    gpu = torch.device("cuda")
    monkeypatch.setattr(session.importlib.util, "find_spec", lambda name: name == "triton")
    (tmp_path / "gcc").write_text("#!/bin/sh\n")
    (tmp_path / "gcc").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert session.worth_compiling(session.LONG_RUN, gpu)
    assert not session.worth_compiling(session.LONG_RUN - 1, gpu)
    assert not session.worth_compiling(session.LONG_RUN, torch.device("cpu"))
    monkeypatch.setenv("CC", "another-cc")
    assert not session.worth_compiling(session.LONG_RUN, gpu)
    monkeypatch.delenv("CC")
    monkeypatch.setattr(session.importlib.util, "find_spec", lambda name: None)
    assert not session.worth_compiling(session.LONG_RUN, gpu)


def test_the_help_says_which_runs_are_long():
    from click.testing import CliRunner

    from ravines.cli import main
    from ravines.reproduction.session import LONG_RUN

    assert f"{LONG_RUN:,} updates" in " ".join(CliRunner().invoke(main, ["train", "--help"]).output.split())


# The command line --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["torchvision:resnet500", "--data", "fashion-mnist"], "Did you mean"),
        (["torchvision:resnet18", "--data", "nowhere"], "neither a data set nor a folder"),
        (["torchvision:resnet18", "--data", "fashion-mnist", "--recipe", "resnet"], "There is no recipe 'resnet'"),
        (["torchvision:resnet18", "--data", "fashion-mnist", "--lr", "-1"], "lr should be above 0"),
    ],
)
def test_bad_words_get_one_sentence(words, said, tmp_path):
    from click.testing import CliRunner

    from ravines.cli import main

    done = CliRunner().invoke(main, ["train", *words, "--out", str(tmp_path / "run"), "--device", "cpu"])
    assert done.exit_code == 1 and said in done.output and done.output.count("\n") == 1
    assert not (tmp_path / "run" / "log.jsonl").exists()


def test_a_folder_with_a_run_is_not_written_over(splits, tmp_path):
    from click.testing import CliRunner

    from ravines.cli import main

    (tmp_path / "log.jsonl").write_text("kept\n")
    words = ["train", "torchvision:resnet18", "--data", "fashion-mnist", "--out", str(tmp_path), "--device", "cpu"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1 and "has a run already: go on with --resume" in done.output
    assert (tmp_path / "log.jsonl").read_text() == "kept\n"
