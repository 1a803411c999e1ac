"""The script behind the ResNet page: its probe, its activations by depth, its branches, and a small run."""

import json

import pytest
import torch
from torch import nn

from experiments import resnet_features as script
from experiments.loss_surface import Block, network


def test_a_probe_is_ridge_regression_on_standardised_features():
    """Compared with least squares on the stacked system, whose solution minimises |xw - y|^2 + penalty |w|^2."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(80, 3, 2, generator=g)
    x[:, 2, 1] = 7.0  # tells nothing, and has no deviation to divide by
    labels = torch.randint(0, 10, (80,), generator=g)
    new, new_labels = torch.randn(50, 3, 2, generator=g), torch.randint(0, 10, (50,), generator=g)
    flat, flat_new = x.flatten(1).double()[:, :5], new.flatten(1).double()[:, :5]
    mean, std = flat.mean(0), flat.std(0)
    z, z_new = (flat - mean) / std, (flat_new - mean) / std
    y = nn.functional.one_hot(labels, 10).double()
    penalty = (script.RIDGE * 80) ** 0.5 * torch.eye(5, dtype=torch.float64)
    stacked = torch.cat([z, penalty]), torch.cat([y - y.mean(0), torch.zeros(5, 10, dtype=torch.float64)])
    guessed = (z_new @ torch.linalg.lstsq(*stacked).solution + y.mean(0)).argmax(1)
    expected = (guessed == new_labels).double().mean().item()
    assert script.probe(x, labels, new, new_labels) == pytest.approx(expected)
    assert 0 < expected < 1


def test_a_probe_reads_what_is_linear_and_nothing_else():
    g = torch.Generator().manual_seed(0)
    labels, new_labels = torch.randint(0, 10, (400,), generator=g), torch.randint(0, 10, (300,), generator=g)
    shift = torch.randn(10, 12, generator=g)
    x, new = (3 * shift[c] + 0.1 * torch.randn(len(c), 12, generator=g) for c in (labels, new_labels))
    noise, new_noise = torch.randn(400, 12, generator=g), torch.randn(300, 12, generator=g)
    assert script.probe(x, labels, new, new_labels) > 0.95
    assert script.probe(noise, labels, new_noise, new_labels) < 0.2


def test_activations_by_depth_are_the_stems_and_every_blocks():
    torch.manual_seed(0)
    model = network(8, True)
    x = torch.randn(5, 1, 14, 14)
    seen = script.by_depth(model, x)
    assert [tuple(h.shape[1:]) for h in seen] == [(8, 14, 14), (8, 14, 14), (16, 7, 7), (32, 4, 4)]
    with torch.no_grad():
        model.eval()
        stem, (*blocks,) = model[:3], [m for m in model if isinstance(m, Block)]
        h = stem(x)
        for found, block in zip(seen, [*blocks, None], strict=True):
            assert torch.equal(found, h)
            h = block(h) if block is not None else h
        assert torch.allclose(model[-1](seen[-1].mean((2, 3))), model(x), atol=1e-6)


def test_branches_compare_what_is_added_with_what_is_there():
    """A branch that is set to three times its shortcut has the ratio 3 and the cosine 1; minus one half, 1/2 and -1."""
    torch.manual_seed(0)
    model = network(8, True)
    x = torch.randn(6, 1, 14, 14)
    blocks = [m for m in model if isinstance(m, Block)]
    for factor, block in zip((3.0, -0.5, 2.0), blocks, strict=True):
        given = []
        block.register_forward_pre_hook(lambda m, args, given=given: given.append(args[0]))

        def scaled(m, args, output, given=given, block=block, factor=factor):
            h, s = given.pop(), block.stride
            return factor * nn.functional.pad(h[:, :, ::s, ::s], (0, 0, 0, 0, 0, block.grows))

        block.second_norm.register_forward_hook(scaled)
    # The second block leaves relu(x / 2), the third reads it: nothing is zero everywhere.
    ratios, cosines = script.branches(model, x)
    assert ratios == pytest.approx([3.0, 0.5, 2.0], rel=1e-5)
    assert cosines == pytest.approx([1.0, -1.0, 1.0], rel=1e-5)


def test_settling_gives_an_untrained_network_the_statistics_of_the_images():
    torch.manual_seed(0)
    model = network(8, True)
    x = 3 + 2 * torch.randn(1500, 1, 14, 14)
    script.settle(model, x)
    norm = model[1]
    with torch.no_grad():
        first = model[0](x).transpose(0, 1).flatten(1)
    assert torch.allclose(norm.running_mean, first.mean(1), atol=0.05)
    assert torch.allclose(norm.running_var, first.var(1), rtol=0.05)
    assert norm.momentum == 0.1
    assert all(p.grad is None for p in model.parameters())


def test_a_small_run_writes_what_it_did_and_goes_on_where_it_stopped(tmp_path, capsys):
    out = tmp_path / "try.json"
    options = ["--depth", "8", "--seeds", "1", "--epochs", "1", "--examples", "64", "--classes", "3", "9"]
    assert script.main([*options, "--out", str(out)]) == 0
    record = json.loads(out.read_text(encoding="utf-8"))
    assert set(record["networks"]) == {"plain-8-0", "residual-8-0"}
    assert record["settings"]["depth"] == 8 and "--depth 8" in record["command"] and record["versions"]["torch"]
    assert record["date"] and record["device"] and 0 < record["pixels"] < 1
    assert script.data(64)[1][1][record["shown"]].tolist() == [3, 9]
    residual, plain = record["networks"]["residual-8-0"], record["networks"]["plain-8-0"]
    for when in ("untrained", "trained"):
        assert [len(residual[when][what]) for what in ("probe", "branch", "cosine")] == [4, 3, 3]
        assert set(plain[when]) == {"probe"} and len(plain[when]["probe"]) == 4
    assert residual["trained"] != residual["untrained"]
    # The stems of both are the same convolution before training.
    assert plain["untrained"]["probe"][0] == residual["untrained"]["probe"][0]
    assert {d: torch.tensor(m).shape for d, m in residual["maps"].items()} == {
        "0": (2, 14, 14),
        "1": (2, 14, 14),
        "2": (2, 7, 7),
        "3": (2, 4, 4),
    }
    record["networks"] = {"plain-8-0": plain | {"seconds": 12345}}
    out.with_suffix(".part").write_text(json.dumps(record), encoding="utf-8")
    assert script.main([*options, "--out", str(out)]) == 0
    assert "going on" in capsys.readouterr().err
    assert json.loads(out.read_text(encoding="utf-8"))["networks"]["plain-8-0"]["seconds"] == 12345


@pytest.mark.parametrize(
    ("options", "words"), [(["--depth", "9"], "6 n"), (["--epochs", "0"], "1"), (["--classes", "10"], "0 to 9")]
)
def test_bad_settings_are_said_in_a_sentence(options, words, capsys):
    with pytest.raises(SystemExit) as stop:
        script.main(options)
    assert stop.value.code == 2 and words in capsys.readouterr().err
