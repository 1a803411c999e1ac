"""The script behind the times of the comparison page: what it counts, what it times, and a small run."""

import json
import time

import pytest
import torch
from torch import nn

from experiments import inference_time as script


def test_the_bytes_of_a_layer_are_its_weights_its_input_and_its_output():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 25, 7))
    found = script.bytes_by_layer(model, torch.zeros(2, 3, 5, 5))
    conv = (4 * 3 * 9 + 4) + 2 * 3 * 25 + 2 * 4 * 25
    full = (100 * 7 + 7) + 2 * 100 + 2 * 7
    assert found == {"0": 4 * conv, "3": 4 * full}
    assert not any(m._forward_hooks for m in model.modules())


def test_the_least_of_several_calls_is_taken_and_sleep_does_not_count():
    calls = []

    def call():
        calls.append(None)
        time.sleep(0.05)  # no CPU time
        until = time.process_time() + (0.01 if len(calls) == 3 else 0.03)
        while time.process_time() < until:
            pass

    took = script.least(call, repeats=4)
    assert len(calls) == 5  # one to warm up
    assert 0.009 < took < 0.03


def test_every_layer_with_weights_is_timed_and_no_hook_stays():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 512), nn.Linear(512, 2))
    took = script.time_by_layer(model, torch.randn(1, 3, 8, 8), repeats=3)
    assert set(took) == {"0", "3", "4"}
    assert all(v > 0 for v in took.values())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_small_run_writes_what_it_did(tmp_path):
    out = tmp_path / "try.json"
    options = ["--networks", "alexnet", "resnet18", "--size", "64", "--batch", "2", "--repeats", "1"]
    threads = torch.get_num_threads()
    try:
        assert script.main([*options, "--out", str(out)]) == 0
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(False)
    record = json.loads(out.read_text(encoding="utf-8"))
    assert set(record["networks"]) == {"alexnet", "resnet18"}
    assert record["settings"]["size"] == 64 and "--size 64" in record["command"] and "1 thread" in record["device"]
    assert record["date"] and record["versions"]["torch"] == torch.__version__
    alexnet, resnet = record["networks"]["alexnet"], record["networks"]["resnet18"]
    assert (alexnet["parameters"], resnet["parameters"]) == (61_100_840, 11_689_512)
    assert alexnet["finite"] and alexnet["ms_in_batch"] > 0 and alexnet["ms"] > 0
    assert [v["kind"] for v in alexnet["layers"]] == ["Conv2d"] * 5 + ["Linear"] * 3
    assert sum(v["macs"] for v in alexnet["layers"]) == alexnet["macs"]
    assert sum(v["bytes"] for v in alexnet["layers"]) == alexnet["bytes"] > 4 * alexnet["parameters"]
    assert "layers" not in resnet


@pytest.mark.parametrize(
    ("options", "words"), [(["--repeats", "0"], "at least 1"), (["--networks", "alexnet2"], "'alexnet2'")]
)
def test_bad_settings_are_said_in_a_sentence(options, words, capsys):
    with pytest.raises(SystemExit) as stop:
        script.main(options)
    assert stop.value.code == 2 and words in capsys.readouterr().err
