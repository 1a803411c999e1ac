"""The script behind the comparison page's training: its four networks, its recipe, its data, and a small run."""

import json

import pytest
import torch
from torch import nn

from experiments import four_networks as script
from ravines import counting


def weighted(model):
    return [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]


def test_every_network_has_the_layers_of_its_namesake_and_ten_logits():
    depths = {"AlexNet": 8, "VGG-16": 16, "GoogLeNet": 58, "ResNet-34": 34 + 3}  # three projections
    for name, make in script.NETWORKS.items():
        for norm in (False, True):
            torch.manual_seed(0)
            model = make(norm=norm).eval()
            assert len(weighted(model)) == depths[name]
            assert model(torch.randn(2, *script.IMAGE)).shape == (2, 10)


def test_with_all_channels_the_convolutions_have_torchvisions_shapes():
    """All but the first, which sees one colour here."""
    from torchvision import models

    with torch.device("meta"):
        for make, theirs in ((script.vgg, models.vgg16()), (script.resnet, models.resnet34())):
            mine = [m.weight.shape for m in make(divide=1).modules() if isinstance(m, nn.Conv2d)][1:]
            found = [m.weight.shape for m in theirs.modules() if isinstance(m, nn.Conv2d)][1:]
            assert sorted(mine) == sorted(found)


def test_normalization_is_where_it_is_said_to_be():
    for name, make in script.NETWORKS.items():
        for norm in (False, True):
            model = make(norm=norm)
            convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
            norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
            responses = [m for m in model.modules() if isinstance(m, nn.LocalResponseNorm)]
            normalized = norm or name == "ResNet-34"
            assert len(norms) == (len(convs) if normalized else 0)
            assert all((m.bias is None) == normalized for m in convs)
            assert bool(responses) == (not normalized and name in ("AlexNet", "GoogLeNet"))


def test_a_start_is_hes_and_the_same_for_a_seed():
    first, again = (script.started(script.alexnet, False, seed) for seed in (3, 3))
    other = script.started(script.alexnet, False, 4)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first[0][0].weight, other[0][0].weight)
    wide = next(m for m in weighted(first) if isinstance(m, nn.Linear) and m.in_features == 512)
    assert wide.weight.var().item() == pytest.approx(2 / 512, rel=0.05)
    assert not any(m.bias.any() for m in weighted(first))


def test_held_out_images_are_not_trained_on():
    sets = script.data(200, held_out=300)
    assert [len(sets[k][0]) for k in ("train", "held_out")] == [200, 300] and len(sets["test"][0]) == 2000
    assert sets["train"][0].mean().item() == pytest.approx(0, abs=1e-5)
    assert sets["train"][0].std().item() == pytest.approx(1, abs=1e-4)
    known = {tuple(v) for v in sets["train"][0].flatten(1)[:, 300:400].tolist()}
    assert not any(tuple(v) in known for v in sets["held_out"][0].flatten(1)[:, 300:400].tolist())
    longer = script.data(400, held_out=300)  # the same images first
    assert torch.equal(longer["train"][1][:200], sets["train"][1])


def test_a_small_run_writes_what_it_did_and_goes_on_where_it_stopped(tmp_path, capsys):
    out = tmp_path / "try.json"
    options = ["--rates", "0.01", "--norm-rates", "0.02", "--seeds", "1", "--epochs", "1", "--examples", "64"]
    threads = torch.get_num_threads()
    try:
        assert script.main([*options, "--out", str(out)]) == 0
        record = json.loads(out.read_text(encoding="utf-8"))
        assert set(record["runs"]) == {
            *(f"{name}, plain, 0.01, 0" for name in ("AlexNet", "VGG-16", "GoogLeNet")),
            *(f"{name}, BN, 0.02, 0" for name in ("AlexNet", "VGG-16", "GoogLeNet")),
            "ResNet-34, BN, 0.01, 0",
        }
        assert record["settings"]["examples"] == 64 and "--examples 64" in record["command"]
        assert record["date"] and "1 thread" in record["device"] and record["versions"]["torch"] == torch.__version__
        with torch.device("meta"):
            rows = counting.layers(script.googlenet().eval(), script.IMAGE)
        assert record["sizes"]["GoogLeNet"]["macs"] == sum(row.macs for row in rows)
        for run in record["runs"].values():
            assert len(run["epoch_loss"]) == 1
            assert all(0 <= run[f"{part}_accuracy"] <= 1 for part in ("train", "held_out", "test"))
        record["runs"] = {k: v | {"cpu_seconds": 12345} for k, v in record["runs"].items()}
        out.with_suffix(".part").write_text(json.dumps(record), encoding="utf-8")
        assert script.main([*options, "--out", str(out)]) == 0
    finally:
        torch.set_num_threads(threads)
    assert "going on" in capsys.readouterr().err
    again = json.loads(out.read_text(encoding="utf-8"))["runs"]
    assert {run["cpu_seconds"] for run in again.values()} == {12345}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--epochs", "0"], "at least 1"),
        (["--rates", "-1"], "positive"),
        (["--norm-rates", "inf"], "positive"),
        (["--examples", "10000"], "9000 at most"),
    ],
)
def test_bad_settings_are_said_in_a_sentence(options, words, capsys):
    with pytest.raises(SystemExit) as stop:
        script.main(options)
    assert stop.value.code == 2 and words in capsys.readouterr().err
