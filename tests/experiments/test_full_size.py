"""The script that trains the four networks at full size: its networks, the curves of a log, and a small run."""

import json

import pytest
import torch

from experiments import full_size as script
from ravines import counting
from ravines.reproduction import checkpoint

#: As their papers' and torchvision's, GoogLeNet with its heads.
PARAMETERS = {"alexnet": 61_100_840, "vgg": 138_357_544, "googlenet": 13_004_888, "resnet": 25_557_032}


@pytest.mark.parametrize("name", script.NETWORKS)
def test_the_networks_have_their_full_size(name):
    with torch.device("meta"):
        assert counting.parameters(script.make(name, 1000)) == PARAMETERS[name]


def test_the_committed_results_are_of_these_networks():
    found = json.loads(script.RESULTS.read_text())
    with torch.device("meta"):
        assert found["parameters"] == {name: counting.parameters(script.make(name, 10)) for name in script.NETWORKS}
    assert found["recipe"] == script.RECIPE.changed(epochs=found["recipe"]["epochs"]).to_dict() | {
        key: found["recipe"][key] for key in ("train_size", "test_size", "test_resize", "resize", "resize_to")
    }
    for run in found["runs"].values():
        assert len(run["top1"]) == len(run["train_loss"]) == found["recipe"]["epochs"]


def test_curves_have_an_entry_for_each_epoch(tmp_path):
    train = [(1, 3.0, 10.0), (2, 2.0, 30.0), (3, 1.5, 20.0), (4, 0.5, 20.0)]
    lines = [{"kind": "run"}]
    lines += [{"kind": "train", "update": u, "loss": v, "images_per_s": s} for u, v, s in train]
    for u in (2, 4):
        line = {"kind": "test", "update": u, "loss": 2.0 / u, "top1": u / 10, "topk": u / 5, "seconds": 7.0 * u}
        lines.append(line)
    (tmp_path / script.LOG).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert script.curves(tmp_path) == {
        "train_loss": [2.5, 1.0],
        "test_loss": [1.0, 0.5],
        "top1": [0.2, 0.4],
        "top5": [0.4, 0.8],
        "images_per_second": 20.0,
        "seconds": 28.0,
    }


@pytest.mark.slow
def test_a_small_run_and_the_same_again(tmp_path, capsys):
    """The second time there is nothing left to train; what is written is the same."""
    out = tmp_path / "found.json"
    words = ["--networks", "googlenet", "--seeds", "1", "--epochs", "1", "--limit", "16", "--size", "64"]
    words += ["--folder", str(tmp_path / "runs"), "--out", str(out)]
    assert script.main(words) == 0
    first = json.loads(out.read_text())
    (found,) = first["runs"].values()
    assert len(found["top1"]) == len(found["train_loss"]) == 1 and 0 <= found["top1"][0] <= found["top5"][0] <= 1
    assert found["images_per_second"] > 0 and first["images"] == [16, 16]
    assert first["recipe"]["train_size"] == 64 and first["command"].startswith(
        "python experiments/full_size.py --networks"
    )
    assert script.main(words) == 0
    assert json.loads(out.read_text())["runs"] == first["runs"]
    # Killed between two renamings: the checkpoint before the last is there, and goes on.
    folder = tmp_path / "runs" / "googlenet-0"
    (folder / checkpoint.FILE).replace(folder / checkpoint.PREVIOUS)
    assert script.main(words) == 0
    assert json.loads(out.read_text())["runs"] == first["runs"]


def test_bad_words_get_one_sentence(capsys):
    with pytest.raises(SystemExit):
        script.main(["--epochs", "0"])
    assert "--epochs must be at least 1." in capsys.readouterr().err
