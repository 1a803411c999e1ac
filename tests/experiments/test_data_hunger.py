"""The script behind the ImageNet page: its Vision Transformer, its recipe, its shares of the data, and a small run."""

import json
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from experiments import data_hunger as script


def test_an_encoder_block_is_pytorchs_own_with_the_same_weights():
    torch.manual_seed(0)
    block = script.EncoderBlock(12, 3).double()
    theirs = nn.TransformerEncoderLayer(
        12, 3, dim_feedforward=24, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    ).double()
    pairs = {
        theirs.norm1: block.first_norm,
        theirs.norm2: block.second_norm,
        theirs.linear1: block.mlp[0],
        theirs.linear2: block.mlp[2],
        theirs.self_attn.out_proj: block.out,
    }
    with torch.no_grad():
        for p in block.parameters():
            p.add_(0.3 * torch.randn_like(p))
        for mine, ours in pairs.items():
            mine.load_state_dict(ours.state_dict())
        theirs.self_attn.in_proj_weight.copy_(block.query_key_value.weight)
        theirs.self_attn.in_proj_bias.copy_(block.query_key_value.bias)
    x = torch.randn(4, 7, 12, dtype=torch.float64)
    assert torch.allclose(block(x), theirs(x), atol=1e-12)


def test_a_vision_transformer_reads_patches_and_knows_where_they_are():
    torch.manual_seed(0)
    model = script.VisionTransformer().eval()
    x = torch.randn(3, 1, 14, 14)
    logits = model(x)
    assert logits.shape == (3, 10) and model.positions.shape == (1, 49, 32)
    # The same patches in another order: only the positions can tell.
    patches = F.unfold(x, 2, stride=2)
    moved = F.fold(patches[:, :, torch.randperm(49)], (14, 14), 2, stride=2)
    assert not torch.allclose(model(moved), logits, atol=1e-3)
    with torch.no_grad():
        model.positions.zero_()
    assert torch.allclose(model(moved), model(x), atol=1e-5)
    with pytest.raises(ValueError, match="divide"):
        script.VisionTransformer(side=14, patch=4)


def test_both_networks_have_about_as_many_parameters():
    counts = [sum(p.numel() for p in script.make(name).parameters()) for name in ("vit", "resnet")]
    assert max(counts) < 1.02 * min(counts)


def test_shares_are_parts_of_larger_ones_and_never_images_that_choose_or_test():
    sets = script.data()
    pool = sets["pool"]
    small, large = script.share(pool, 100, seed=3), script.share(pool, 300, seed=3)
    assert torch.equal(large[0][:100], small[0]) and torch.equal(large[1][:100], small[1])
    assert not torch.equal(script.share(pool, 100, seed=4)[1], small[1])
    assert len(pool[1]) == script.POOL and len(sets["validation"][1]) == 2000 and len(sets["test"][1]) == 2000
    both = torch.cat([pool[0], sets["validation"][0]]).flatten(1)
    assert torch.equal(both.sum(0).round(), F.avg_pool2d(script.fashion_mnist()[0], 2).flatten(1).sum(0).round())


def test_variations_are_the_image_shifted_by_up_to_a_pixel_or_its_mirror_image():
    x = torch.rand(200, 1, 5, 5) + 0.5
    found = script.varied(x, torch.Generator().manual_seed(0))
    padded = F.pad(x, (1, 1, 1, 1))
    candidates = [padded[:, :, i : i + 5, j : j + 5] for i in range(3) for j in range(3)]
    candidates += [c.flip(3) for c in candidates]
    same = torch.stack([(c == found).flatten(1).all(1) for c in candidates])
    assert (same.sum(0) == 1).all()
    assert (same.sum(1) > 0).all()


def test_the_learning_rate_rises_over_a_tenth_and_falls_to_nothing():
    rates = [script.rate_at(update, 200) for update in range(200)]
    assert rates[:20] == pytest.approx([(k + 1) / 20 for k in range(20)])
    assert max(rates) == 1 and all(b < a for a, b in pairwise(rates[20:]))
    assert 0 < rates[-1] < 1e-3
    assert script.updates_for(100, 3, 50) == 50 and script.updates_for(6401, 3, 50) == 303


def test_the_best_rate_is_that_of_the_network_and_the_size():
    tuning = {f"vit-1000-{lr:g}": 0.5 for lr in script.RATES} | {f"vit-4000-{lr:g}": 0.5 for lr in script.RATES}
    tuning |= {"vit-1000-0.003": 0.6, "vit-4000-0.01": 0.6}
    assert [script.tuned("vit", n, tuning) for n in (500, 2000, 2001, 8000)] == [0.003, 0.003, 0.01, 0.01]


def test_training_is_the_same_for_a_seed_and_learns():
    sets = script.data()
    training = script.share(sets["pool"], 200, 0)
    models = [script.fit("resnet", training, 0.01, 40, seed) for seed in (0, 0, 1)]
    first, again, other = (torch.cat([p.detach().flatten() for p in m.parameters()]) for m, _ in models)
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert script.accuracy(models[0][0], training) > 0.6
    varied, _ = script.fit("resnet", training, 0.01, 40, 0, augmented=True)
    assert not torch.equal(first, torch.cat([p.detach().flatten() for p in varied.parameters()]))


def test_a_small_run_writes_what_it_did_and_goes_on_where_it_stopped(tmp_path, capsys):
    out = tmp_path / "try.json"
    options = [
        "--sizes",
        "64",
        "--augmented",
        "64",
        "--seeds",
        "1",
        "--updates",
        "2",
        "--passes",
        "1",
        "--tuned-with",
        "50",
        "60",
    ]
    assert script.main([*options, "--out", str(out)]) == 0
    record = json.loads(out.read_text(encoding="utf-8"))
    assert set(record["runs"]) == {f"{n}-{r}-64-0" for n in ("vit", "resnet") for r in ("plain", "augmented")}
    assert len(record["tuning"]) == 2 * 2 * len(script.RATES)
    assert record["settings"]["updates"] == 2 and "--seeds 1" in record["command"] and record["versions"]["torch"]
    run = record["runs"]["vit-plain-64-0"]
    assert run["updates"] == 2 and run["lr"] in script.RATES and 0 <= run["test_accuracy"] <= 1
    record["runs"] = {"vit-plain-64-0": run | {"cpu_seconds": 12345}}
    out.with_suffix(".part").write_text(json.dumps(record), encoding="utf-8")
    assert script.main([*options, "--out", str(out)]) == 0
    assert "going on" in capsys.readouterr().err
    assert json.loads(out.read_text(encoding="utf-8"))["runs"]["vit-plain-64-0"]["cpu_seconds"] == 12345


@pytest.mark.parametrize(
    ("options", "words"), [(["--sizes", "9000"], "8000"), (["--seeds", "0"], "1"), (["--augmented", "0"], "share")]
)
def test_bad_settings_are_said_in_a_sentence(options, words, capsys):
    with pytest.raises(SystemExit) as stop:
        script.main(options)
    assert stop.value.code == 2 and words in capsys.readouterr().err
