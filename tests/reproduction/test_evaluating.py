"""`ravines evaluate`: protocols, ReaL labels, published weights, on files made in the formats of the real ones."""

import json
import math

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import nn
from torchvision import models
from torchvision.transforms import v2

from ravines import pretrained
from ravines.cli import main
from ravines.data import DataError
from ravines.reproduction import measure, protocols, sources
from ravines.reproduction.distributed import Group
from ravines.reproduction.evaluation import ranks

CPU = Group(0, 1, torch.device("cpu"))


def picture(path, seed, height=40, width=50):
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 5, 6, generator=generator) * 255
    image = nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0].to(torch.uint8)
    Image.fromarray(image.movedim(0, -1).numpy()).save(path, "JPEG", quality=95)


@pytest.fixture
def imagenet(tmp_path):
    """Four classes of ImageNet, with its names of folders and files."""
    number = 0
    for i, wnid in enumerate(("n01440764", "n01443537", "n01484850", "n01491361")):
        for j in range(3):
            picture(tmp_path / "train" / wnid / f"{wnid}_{j}.JPEG", 10 * i + j)
        for _ in range(2 + i % 2):
            number += 1
            picture(tmp_path / "val" / wnid / f"ILSVRC2012_val_{number:08d}.JPEG", 100 + number, 40 + number, 50)
    return tmp_path


class Means(nn.Module):
    """Logits from an image's colours: depends on the crop, takes any size."""

    def __init__(self, classes=4):
        super().__init__()
        self.head = nn.Linear(3, classes)
        with torch.no_grad():
            self.head.weight.copy_(torch.linspace(-3, 3, 3 * classes).view(classes, 3))

    def forward(self, x):
        return self.head(x.mean((2, 3)))


def by_hand(split, model, views):
    """Mean probabilities of torchvision's own transforms, one image at a time."""
    rows = []
    for file in split.files:
        image = torch.from_numpy(np.array(Image.open(file))).movedim(-1, 0)
        shown = torch.stack([v2.functional.to_dtype(v, torch.float32, scale=True) for v in views(image)])
        shown = v2.functional.normalize(shown, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
        rows.append(model(shown).softmax(1).mean(0))
    return torch.stack(rows)


VIEWS = {
    "center": lambda x: [v2.CenterCrop(24)(v2.Resize(30, antialias=True)(x))],
    "ten-crop": lambda x: list(v2.TenCrop(24)(v2.Resize(30, antialias=True)(x))),
    "dense": lambda x: [v2.Resize(30, antialias=True)(x)],
}


@pytest.mark.parametrize("name", VIEWS)
@torch.no_grad()
def test_each_protocol_shows_what_torchvision_would(name, imagenet):
    split = sources.load(f"imagenet:{imagenet}")[1]
    model = Means()
    found = measure.measure(model, split, protocols.Protocol(name, 24, (30,)), CPU, batch_size=3, quiet=True)
    wanted = by_hand(split, model, VIEWS[name])
    targets = torch.from_numpy(split.labels)
    assert found["images"] == len(split) == 10
    assert found["loss"] == pytest.approx(nn.functional.nll_loss(wanted.log(), targets).item(), rel=1e-5)
    assert found["top1"] == (wanted.argmax(1) == targets).double().mean().item()
    in_two = (wanted.topk(2).indices == targets[:, None]).any(1)
    assert found["top2"] == in_two.double().mean().item()


@torch.no_grad()
def test_scales_are_averaged(imagenet):
    split = sources.load(f"imagenet:{imagenet}")[1]
    model = Means()
    several = protocols.Protocol("center", 24, (26, 30, 36))
    views = protocols.Views(split, several, batch_size=10)
    ((_, scales),) = list(views)
    mean = torch.stack([protocols.probabilities(model, v) for v in scales]).mean(0)
    loss = nn.functional.nll_loss(mean.log(), torch.from_numpy(split.labels)).item()
    assert measure.measure(model, split, several, CPU, quiet=True)["loss"] == pytest.approx(loss, rel=1e-6)
    alone = measure.measure(model, split, protocols.at(several, 36), CPU, quiet=True)["loss"]
    assert alone != pytest.approx(loss, rel=1e-4)


@torch.no_grad()
def test_dense_makes_convolutions_of_fully_connected_layers():
    """AlexNet of torchvision: equal where the map is one place, the mean over places where it is more."""
    torch.manual_seed(0)
    model = models.alexnet(num_classes=7).eval()
    asked = protocols.whole_image(model)
    x = torch.randn(2, 1, 3, 224, 224)
    wanted = model(x[:, 0]).softmax(1)
    assert torch.allclose(protocols.probabilities(asked, x), wanted, atol=1e-6)
    big = torch.randn(1, 1, 3, 256, 320)
    features = model.features(big[0])
    assert features.shape[2:] == (7, 9)
    places = [model.classifier(features[:, :, i : i + 6, j : j + 6].flatten(1)) for i in range(2) for j in range(4)]
    mean = torch.stack([p.softmax(1) for p in places]).mean(0)
    assert torch.allclose(protocols.probabilities(asked, big), mean, atol=1e-6)


def test_real_labels_count_images_that_have_some(imagenet, tmp_path):
    split = sources.load(f"imagenet:{imagenet}")[1]
    model = Means()
    protocol = protocols.Protocol("center", 24, (30,))
    with torch.no_grad():
        guesses = by_hand(split, model, VIEWS["center"]).argmax(1).tolist()
    # Image 1 has no label; image 2's guess is among two; all others have none of their guesses.
    labels = [[] if i == 0 else [guesses[1], 999] if i == 1 else [998] for i in range(10)]
    path = tmp_path / "real.json"
    path.write_text(json.dumps(labels))
    found = measure.measure(model, split, protocol, CPU, real=measure.read_real(path, split), quiet=True)
    assert (found["real"], found["real_images"]) == (1 / 9, 9)


def test_real_labels_of_other_images_are_refused(imagenet, tmp_path):
    split = sources.load("fashion-mnist")[1]
    path = tmp_path / "real.json"
    path.write_text("[[1]]")
    with pytest.raises(DataError, match="use --data imagenet:PATH"):
        measure.read_real(path, split)
    with pytest.raises(DataError, match=r"ILSVRC2012_val_00000002.JPEG is no image"):
        measure.read_real(path, sources.load(f"imagenet:{imagenet}")[1])
    path.write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        measure.read_real(path, split)


def test_ranks_count_ties_and_nan_against_the_network():
    logits = torch.tensor([[3.0, 2, 1], [1, 1, 1], [0, 5, 5], [math.nan, 1, 2], [1, math.nan, 2]])
    assert ranks(logits, torch.tensor([1, 0, 1, 0, 2])).tolist() == [1, 2, 1, 3, 1]


def invoke(*words):
    return CliRunner().invoke(main, ["evaluate", *map(str, words), "--device", "cpu", "--workers", "0", "--quiet"])


def test_published_weights_and_how_far_off_they_are(imagenet, tmp_path, monkeypatch):
    """All of ImageNet is pretended to be these ten images."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    torch.manual_seed(0)
    file = pretrained.cache_file("SqueezeNet1_1_Weights.IMAGENET1K_V1")
    file.parent.mkdir(parents=True)
    torch.save(models.squeezenet1_1().state_dict(), file)
    words = ["torchvision:squeezenet1_1", "--data", f"imagenet:{imagenet}", "--weights", "torchvision:IMAGENET1K_V1"]
    found = json.loads(invoke(*words, "--json").output)
    assert (found["size"], found["scales"], found["images"]) == (224, [256], 10) and "published" not in found
    monkeypatch.setattr(measure, "VALIDATION_IMAGES", 10)
    monkeypatch.setattr(measure, "VALIDATION_CLASSES", 4)
    found = json.loads(invoke(*words, "--json").output)
    assert found["published"] == {"top1": 0.58178, "top5": 0.80624}  # torchvision's table of weights
    assert found["top1_off"] == pytest.approx(found["top1"] - 0.58178)
    said = invoke(*words).output
    assert "torchvision says 58.178%" in said and "off" in said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--weights", "torchvision:IMAGENET1K_V9"], "Did you mean"),
        (["--weights", "nowhere"], "neither a run's folder nor a checkpoint"),
        (["--scales", "20"], "Crops of 224 pixels do not fit into images of 20"),
        (["--scales", "big"], "should be whole numbers with commas between"),
        (["--real", "none.json"], "The ReaL labels none.json cannot be read"),
    ],
)
def test_bad_words_get_one_sentence(more, said, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    done = invoke("torchvision:resnet18", "--data", "fashion-mnist", "--limit", "3", *more)
    assert done.exit_code == 1 and said in done.output and done.output.count("\n") == 1


def test_random_weights_are_told(imagenet):
    """Who forgets --weights reads why the accuracy is that of guessing."""
    done = invoke("torchvision:resnet18", "--data", f"imagenet:{imagenet}", "--size", "32", "--workers", "0")
    assert done.exit_code == 0, done.output
    assert "has random ones" in done.stderr and "top-1" in done.stdout


def test_an_image_that_cannot_be_read_is_named(imagenet):
    broken = imagenet / "val" / "n01443537" / "ILSVRC2012_val_00000003.JPEG"
    broken.write_bytes(b"\xff\xd8 no picture")
    split = sources.load(f"imagenet:{imagenet}")[1]
    with pytest.raises(DataError, match=r"ILSVRC2012_val_00000003.JPEG cannot be read .*: replace it, or take it away"):
        measure.measure(Means(), split, protocols.Protocol("center", 24, (30,)), CPU, quiet=True)


def test_too_few_classes_are_told():
    split = sources.load("fashion-mnist")[1].limited(4)
    with pytest.raises(DataError, match="has 4 classes and the data 10"):
        measure.measure(Means(), split, protocols.Protocol("center", 28, (28,)), CPU, quiet=True)
