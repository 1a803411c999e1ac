"""Published weights, on files made in the format of torch.hub's cache; nothing is downloaded."""

import re

import pytest
import torch
from torchvision import models

from ravines import pretrained

NAME = "SqueezeNet1_1_Weights.IMAGENET1K_V1"  # the smallest network with published weights


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A cache of torch.hub's own, and no way out to the network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("https_proxy", "http_proxy", "HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def network():
    torch.manual_seed(0)
    return models.squeezenet1_1().eval()


def test_weights_in_the_cache_come_through_torchvisions_loader(hub, network):
    file = pretrained.cache_file(NAME)
    assert file.parent == hub and re.fullmatch(r"squeezenet1_1-[0-9a-f]{8}\.pth", file.name)
    torch.save(network.state_dict(), file)
    state = pretrained.state_dict(NAME)
    assert list(state) == list(network.state_dict())
    assert all(torch.equal(state[key], value) for key, value in network.state_dict().items())


def test_what_a_network_says_of_images_is_drawn_and_told(hub, network):
    torch.save(network.state_dict(), pretrained.cache_file(NAME))
    image = torch.randint(256, (3, 300, 260), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    weights = models.SqueezeNet1_1_Weights.IMAGENET1K_V1
    with torch.no_grad():
        shares = network(weights.transforms()(image)[None]).softmax(-1)[0]
    wanted = [weights.meta["categories"][i] for i in shares.argsort(descending=True)[:3]]
    fresh = models.squeezenet1_1()
    picture = pretrained.look(fresh.train(), NAME, images=[image], k=3)
    assert ", ".join(f"{n} {shares.sort(descending=True)[0][i]:.0%}" for i, n in enumerate(wanted)) in picture.alt
    assert not fresh.training and picture.screen.startswith(b"\x89PNG") and picture.phone != picture.screen


def test_the_photographs_are_two_colour_images():
    images = pretrained.photographs()
    assert [(tuple(i.shape), i.dtype) for i in images] == [((3, 427, 640), torch.uint8)] * 2
    assert all(i.float().std((1, 2)).min() > 10 for i in images)


def test_weights_that_are_not_here_say_how_to_get_them(hub, network):
    with pytest.raises(pretrained.WeightsError, match=f"python -m ravines.pretrained {NAME}") as caught:
        pretrained.look(network, NAME)
    assert str(hub) in str(caught.value)


def test_unknown_weights_name_their_neighbours():
    with pytest.raises(pretrained.WeightsError, match=r"Did you mean .*ResNet50_Weights\.IMAGENET1K_V1"):
        pretrained.state_dict("resnet50_weights.IMAGENET1K_V1")


def test_damaged_weights_are_told_by_file(hub, capsys):
    file = pretrained.cache_file(NAME)
    file.write_bytes(b"half a download")
    with pytest.raises(pretrained.WeightsError, match=r"is damaged .*delete it"):
        pretrained.state_dict(NAME)
    assert pretrained.main([NAME]) == 1
    said = capsys.readouterr().err
    assert str(file) in said and said.count("\n") == 1


def test_weights_of_another_network_are_told(hub, network):
    torch.save(network.state_dict(), pretrained.cache_file(NAME))
    with pytest.raises(pretrained.WeightsError, match=r"do not fit this network: .*classifier"):
        pretrained.look(models.squeezenet1_1(num_classes=7), NAME, images=[torch.zeros(3, 64, 64, dtype=torch.uint8)])


def test_without_a_network_one_sentence_says_what_to_fetch_and_where_to_put_it(hub, capsys):
    assert pretrained.main([NAME]) == 1
    said = capsys.readouterr().err
    assert "could not be downloaded from https://" in said and str(pretrained.cache_file(NAME)) in said
    assert not any(hub.iterdir())


def test_the_command_line_counts_what_it_has(hub, network, capsys):
    torch.save(network.state_dict(), pretrained.cache_file(NAME))
    assert pretrained.main([NAME]) == 0
    assert "1,235,496 numbers" in capsys.readouterr().out  # torchvision's published count
