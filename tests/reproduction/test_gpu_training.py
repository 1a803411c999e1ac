"""Training on a GPU: every setting learns what float32 on the CPU learns, stopped and resumed, alone and in two."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import distributed as dist
from torch import multiprocessing, nn

from ravines.reproduction import recipe, sources
from ravines.reproduction.distributed import Group
from ravines.reproduction.trainer import Settings, Trainer, TrainingError, seeded

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
#: Ahead of `ravines`: what a command line needs to find the course and to use one core.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def network(num_classes=10, p=0.0):
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, 2), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(p)),
        *(nn.Conv2d(16, 32, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, num_classes)),
    )


def dropping(num_classes=10):
    return network(num_classes, 0.3)


def alone(device="cuda"):
    return Group(0, 1, torch.device(device))


def splits():
    return tuple(split.limited(400) for split in sources.load("fashion-mnist"))


def trainer(folder, group, make=network, settings=None, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    values = {"epochs": 2, "batch_size": 50, "lr": 0.05, "train_size": 24, "test_size": 24, "test_resize": 24}
    chosen = recipe.load("resnet2015", **{**values, "resize": 24, "resize_to": 28, **changes})
    return Trainer(seeded(make, 0), chosen, splits(), folder, group, settings or Settings(log_every=1))


def losses(folder):
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if line["kind"] == "train"]


@pytest.fixture(scope="module")
def on_cpu(tmp_path_factory):
    """The losses of 16 updates in float32 on the CPU."""
    folder = tmp_path_factory.mktemp("cpu") / "run"
    trainer(folder, alone("cpu")).run(quiet=True)
    found = losses(folder)
    assert len(found) == 16 and sum(found[-4:]) < sum(found[:4])
    return found


#: What each setting may differ by from float32 on the CPU: its rounding, over 16 updates. A loss here is 2.3 to 1.5.
SETTINGS = {
    "float32": ({}, 1e-3),
    "channels last": ({"channels_last": True}, 1e-3),
    "deterministic": ({"deterministic": True}, 1e-3),
    "TF32": ({"tf32": True}, 2e-2),
    "bf16": ({"amp": "bf16", "channels_last": True}, 1e-1),
    "fp16": ({"amp": "fp16", "channels_last": True}, 3e-2),
    "compiled": ({"compile": True}, 1e-3),
    "all at once": ({"compile": True, "amp": "bf16", "channels_last": True, "tf32": True}, 1e-1),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_learns_what_float32_on_the_cpu_learns(name, on_cpu, tmp_path):
    words, tolerance = SETTINGS[name]
    run = trainer(tmp_path, alone(), settings=Settings(log_every=1, **words))
    run.run(quiet=True)
    assert next(run.model.parameters()).device.type == "cuda"
    assert losses(tmp_path) == pytest.approx(on_cpu, abs=tolerance)
    if words.get("amp"):
        assert losses(tmp_path) != pytest.approx(on_cpu, abs=1e-7), "half precision should be seen"


def test_a_deterministic_run_is_the_same_to_the_bit_also_when_it_was_stopped(tmp_path):
    """Dropout on the GPU draws from the GPU's own generator, whose state the checkpoint keeps."""
    settings = Settings(log_every=1, deterministic=True)
    for name in ("one", "two"):
        trainer(tmp_path / name, alone(), dropping, settings).run(quiet=True)
    trainer(tmp_path / "stopped", alone(), dropping, settings, epochs=1).run(quiet=True)
    torch.rand(17, device="cuda")  # the generator has moved on since
    again = trainer(tmp_path / "stopped", alone(), dropping, settings)
    again.resume()
    again.run(quiet=True)
    assert losses(tmp_path / "one") == losses(tmp_path / "two") == losses(tmp_path / "stopped")


def test_what_has_no_deterministic_way_on_a_gpu_is_said(tmp_path):
    """Adaptive pooling to more than one number, which AlexNet and VGG have."""

    def pooled(num_classes=10):
        return nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(36, num_classes), nn.ReLU()
        )

    with pytest.raises(TrainingError, match=r"no deterministic .*: leave out --deterministic"):
        trainer(tmp_path, alone(), pooled, Settings(log_every=1, deterministic=True)).run(quiet=True)


def test_a_gradient_too_large_for_fp16_is_skipped_and_the_scale_halved(tmp_path):
    run = trainer(tmp_path, alone(), settings=Settings(log_every=1, amp="fp16"))
    run.scaler = torch.amp.GradScaler("cuda", init_scale=2.0**40)
    before = [p.detach().clone() for p in run.model.parameters()]
    batch = next(run.train_batches.epoch(0))
    run._update(batch)
    assert run.scaler.get_scale() == 2.0**39
    assert all(torch.equal(a, b) for a, b in zip(before, run.model.parameters(), strict=True))


def test_a_full_gpu_is_said_with_what_to_try(tmp_path):
    torch.cuda.empty_cache()
    _, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction(min(1.0, (torch.cuda.memory_reserved() + 2**28) / total))
    try:
        with pytest.raises(TrainingError, match="The GPU's memory is too small for 50 images at once: try --accum"):
            trainer(tmp_path, alone(), train_size=2000, resize=2000, resize_to=2000).run(quiet=True)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def _one_of_two(rank, folder, port):
    """Train with half of each batch, on the same GPU as the other process (which NCCL refuses and gloo allows)."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=2)
    try:
        group = Group(rank, 2, torch.device("cuda", 0), rank)
        trainer(folder, group, settings=Settings(log_every=1, sync_norm=True)).run(quiet=True)
    finally:
        dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_that_share_statistics_learn_what_one_does(on_cpu, tmp_path):
    """Batch normalization over both halves: without --sync-norm the losses differ from the first update on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(_one_of_two, (tmp_path, port), nprocs=2)
    assert losses(tmp_path) == pytest.approx(on_cpu, abs=1e-3)


def ravines(*words, launch=("-m",)):
    line = [sys.executable, *launch, "ravines", *map(str, words)]
    return subprocess.run(line, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.slow
def test_the_command_line_trains_and_evaluates_on_the_gpu(tmp_path):
    words = ["torchvision:resnet18", "--data", "fashion-mnist", "--limit", "400", "--size", "64"]
    done = ravines("train", *words, "--epochs", "1", "--batch-size", "100", "--quiet", "--out", tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    head = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[0])
    assert head["device"] == torch.cuda.get_device_name()
    chosen = head["settings"]
    assert chosen["amp"] == "bf16" and chosen["channels_last"] and chosen["tf32"]
    weights = ["--weights", tmp_path, "--json", "--quiet"]
    found = [ravines("evaluate", *words, *weights, "--device", where) for where in ("cuda", "cpu")]
    assert all(f.returncode == 0 for f in found), found
    gpu, cpu = (json.loads(f.stdout) for f in found)
    assert gpu["images"] == cpu["images"] == 400
    assert gpu["top1"] == pytest.approx(cpu["top1"], abs=2.5 / 400)  # a rounding may turn a tie


@pytest.mark.slow
def test_more_processes_than_gpus_get_one_sentence(tmp_path):
    count = torch.cuda.device_count() + 1
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count), "-m"]
    words = ["torchvision:resnet18", "--data", "fashion-mnist", "--limit", "40", "--out", tmp_path, "--quiet"]
    done = ravines("train", *words, launch=launch)
    assert done.returncode != 0 and "has no GPU of its own" in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one CUDA device")
def test_two_gpus_learn_what_one_does(tmp_path):
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\n\ndef net(num_classes=10):\n    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), "
        "nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 121, num_classes))\n"
    )
    words = ["train", f"{tmp_path / 'net.py'}:net", "--data", "fashion-mnist", "--limit", "400", "--size", "24"]
    words += ["--amp", "off", "--no-tf32", "--log-every", "1", "--epochs", "1", "--batch-size", "50", "--quiet"]
    two = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    for name, launch, more in (("one", ["-m"], []), ("two", two, ["--sync-norm"])):
        done = ravines(*words, *more, "--out", tmp_path / name, launch=launch)
        assert done.returncode == 0, done.stderr[-3000:]
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-3)
