"""The script behind the residual connections page: its networks, its directions, and a small run."""

import json

import pytest
import torch

from experiments import loss_surface as script


def test_a_network_has_its_layers_and_the_same_weights_with_and_without_shortcuts():
    for depth in (8, 20, 56):
        plain, residual = (script.network(depth, shortcut) for shortcut in (False, True))
        layers = [m for m in plain.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
        assert len(layers) == depth
        shapes = [[tuple(p.shape) for p in net.parameters()] for net in (plain, residual)]
        assert shapes[0] == shapes[1]
    with pytest.raises(ValueError, match="6 n \\+ 2"):
        script.network(10, True)


def test_a_shortcut_adds_the_input():
    torch.manual_seed(0)
    x = torch.randn(4, 8, 7, 7)
    for n_out, stride in ((8, 1), (16, 2)):
        block = script.Block(8, n_out, stride, shortcut=True)
        torch.nn.init.zeros_(block.second_norm.weight)
        expected = torch.zeros(4, n_out, *x[0, 0, ::stride, ::stride].shape)
        expected[:, :8] = x[:, :, ::stride, ::stride].relu()
        assert torch.equal(block(x), expected)


def test_filters_of_a_direction_have_the_norms_of_the_weights():
    model = script.network(8, True)
    found = script.direction(model, torch.Generator().manual_seed(0))
    for p, d in zip(model.parameters(), found, strict=True):
        if p.ndim > 1:
            assert torch.allclose(d.flatten(1).norm(dim=1), p.flatten(1).norm(dim=1), rtol=1e-5)
            assert not torch.allclose(d, p)
        else:
            assert not d.any()


def test_a_surface_has_the_trained_loss_in_its_middle_and_leaves_the_model_as_it_was():
    torch.manual_seed(0)
    model = script.network(8, True)
    sample = torch.randn(20, 1, 14, 14), torch.arange(20) % 10
    before = {k: v.clone() for k, v in model.state_dict().items()}
    rows = script.surface(model, sample, 0, torch.linspace(-1, 1, 3))
    middle = script.evaluate(model, sample, loss_fn=torch.nn.functional.cross_entropy)[0]
    assert rows[1][1] == pytest.approx(middle, rel=1e-3)
    assert len({v for row in rows for v in row}) == 9
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_a_small_run_writes_what_it_did_and_goes_on_where_it_stopped(tmp_path, capsys):
    out = tmp_path / "try.json"
    options = [
        "--depths",
        "8",
        "--surfaces",
        "8",
        "--seeds",
        "1",
        "--epochs",
        "1",
        "--examples",
        "64",
        "--sample",
        "16",
        "--grid",
        "3",
    ]
    assert script.main([*options, "--out", str(out)]) == 0
    record = json.loads(out.read_text(encoding="utf-8"))
    assert set(record["networks"]) == {"plain-8-0", "residual-8-0"}
    assert record["settings"]["grid"] == 3 and "--depths 8" in record["command"] and record["versions"]["torch"]
    kept = record["networks"]["plain-8-0"] | {"seconds": 12345}
    record["networks"] = {"plain-8-0": kept}
    out.with_suffix(".part").write_text(json.dumps(record), encoding="utf-8")
    assert script.main([*options, "--out", str(out)]) == 0
    assert "going on" in capsys.readouterr().err
    assert json.loads(out.read_text(encoding="utf-8"))["networks"]["plain-8-0"]["seconds"] == 12345


@pytest.mark.parametrize(
    ("options", "words"), [(["--grid", "4"], "odd"), (["--depths", "9"], "6 n"), (["--epochs", "0"], "1")]
)
def test_bad_settings_are_said_in_a_sentence(options, words, capsys):
    with pytest.raises(SystemExit) as stop:
        script.main(options)
    assert stop.value.code == 2 and words in capsys.readouterr().err
