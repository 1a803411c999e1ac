"""What a network is shown: crops against torchvision's, chance that depends on nothing else, data sets from files."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from torchvision import transforms

from ravines.data import DataError
from ravines.reproduction import augment, chance, recipe, sources
from ravines.reproduction.batches import Batches

AREA = recipe.load("googlenet2014", train_size=20, test_size=20, test_resize=24)
CORNER = recipe.load("alexnet2012", train_size=20, test_size=20, test_resize=24, resize=24, resize_to=24)
JITTER = recipe.load("vgg2014", train_size=20, test_size=20, test_resize=24, resize=24, resize_to=48)


# Chance ------------------------------------------------------------------------------------------------------------


def test_the_mixing_function_is_splitmix64():
    """The first outputs for seed 0 as in the reference implementation (Vigna): 0xe220a8397b1dcdaf and on."""
    golden = 0x9E3779B97F4A7C15
    states = np.array([k * golden % 2**64 for k in range(3)], dtype=np.uint64)
    assert [hex(int(v)) for v in chance.mix(states)] == [
        "0xe220a8397b1dcdaf",
        "0x6e789e6aa1b965f4",
        "0x6c45d188009454f",
    ]


def test_numbers_are_uniform_and_independent():
    u = chance.uniform(3, 5, np.arange(4000), 3, "a test")
    assert u.min() >= 0 and u.max() < 1
    counts = np.stack([np.histogram(u[:, j], 20, (0, 1))[0] for j in range(3)])
    # Chi-squared with 19 degrees of freedom: above 60 once in 10^6.
    assert ((counts - 200) ** 2 / 200).sum(1).max() < 60
    together = np.corrcoef(np.concatenate([u.T, u[:-1].T[:, np.r_[0:3999, 0]]]))
    assert np.abs(together - np.eye(6))[:3, :3].max() < 0.08


@pytest.mark.parametrize("change", [{"seed": 4}, {"epoch": 6}, {"purpose": "b test"}])
def test_another_seed_epoch_or_purpose_gives_other_numbers(change):
    usual = {"seed": 3, "epoch": 5, "purpose": "a test"}
    a, b = (chance.uniform(indices=np.arange(500), draws=2, **s) for s in (usual, {**usual, **change}))
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.15


def test_a_number_depends_on_its_image_alone():
    whole = chance.uniform(1, 2, np.arange(100), 4)
    assert np.array_equal(chance.uniform(1, 2, np.array([70, 3]), 4), whole[[70, 3]])
    assert np.array_equal(chance.uniform(1, 2, np.arange(100), 2), whole[:, :2])
    order = chance.permutation(0, 0, 1000)
    assert sorted(order) == list(range(1000)) and not np.array_equal(order, chance.permutation(0, 1, 1000))


# Crops -------------------------------------------------------------------------------------------------------------


def plans(chosen, height, width, n=3000):
    return augment.plan(chosen, np.tile([[height, width]], (n, 1)), 0, 0, np.arange(n))


@pytest.mark.parametrize("chosen", [AREA, CORNER, JITTER], ids=["area", "corner", "jitter"])
@pytest.mark.parametrize("size", [(50, 70), (70, 50), (30, 300)])
def test_a_crop_lies_in_the_image(chosen, size):
    boxes = plans(chosen, *size).boxes
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] > 0).all()
    assert (boxes[:, 0] + boxes[:, 2] <= size[0] + 1e-9).all() and (boxes[:, 1] + boxes[:, 3] <= size[1] + 1e-9).all()


def test_crops_of_an_area_are_distributed_as_torchvisions():
    height, width = 60, 80
    boxes = plans(AREA, height, width).boxes
    torch.manual_seed(0)
    image = torch.empty(3, height, width)
    theirs = np.array(
        [transforms.RandomResizedCrop.get_params(image, (0.08, 1.0), (3 / 4, 4 / 3)) for _ in range(3000)], float
    )
    for f in (lambda b: b[:, 2] * b[:, 3], lambda b: b[:, 3] / b[:, 2], lambda b: b[:, 0], lambda b: b[:, 1]):
        ours, wanted = f(boxes), f(theirs)
        for q in (0.1, 0.5, 0.9):
            spread = wanted.std() + (5 if wanted.max() > 2 else 0)  # torchvision's are whole pixels
            assert np.quantile(ours, q) == pytest.approx(np.quantile(wanted, q), abs=0.08 * spread)


def test_a_corner_crop_has_the_papers_size_and_a_jittered_one_its_range():
    boxes = plans(CORNER, 48, 60).boxes  # a shorter side of 24 for crops of 20: 40 of 48 pixels
    assert np.allclose(boxes[:, 2:], 40)
    assert boxes[:, 0].max() > 7.9 and boxes[:, 1].max() > 19.8
    sides = 20 * 48 / plans(JITTER, 48, 60).boxes[:, 2]
    assert 24 <= sides.min() < 24.1 and 47.9 < sides.max() <= 48 and np.median(sides) == pytest.approx(36, abs=0.7)


def test_flips_are_half_and_colours_have_their_spread():
    planned = plans(CORNER, 48, 60)
    assert planned.flips.mean() == pytest.approx(0.5, abs=0.05)
    directions = np.array(augment.COLOUR_DIRECTIONS)
    assert np.allclose(directions.T @ directions, np.eye(3), atol=2e-3)
    along = planned.colours @ directions
    assert along.std(0) == pytest.approx(0.1 * np.array(augment.COLOUR_STD), rel=0.06)
    assert not plans(CORNER.changed(flip=False, colour=0.0), 48, 60).colours.any()
    assert not plans(CORNER.changed(flip=False), 48, 60).flips.any()


def test_crops_in_memory_are_bilinear_interpolations():
    x = torch.rand(2, 1, 9, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    whole = augment.crop_batch(x, np.array([[0, 0, 9, 12]] * 2, float), 7)
    assert torch.allclose(whole, F.interpolate(x, (7, 7), mode="bilinear", align_corners=False))
    part = augment.crop_batch(x, np.array([[2, 3, 5, 5]] * 2, float), 5)
    assert torch.allclose(part, x[:, :, 2:7, 3:8])


def test_a_file_is_cropped_and_resized_as_torchvision_does():
    image = torch.randint(256, (3, 33, 47), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    seen = augment.crop_file(image, np.array([3.2, 4.4, 20.6, 30.5]), 16)
    wanted = transforms.functional.resized_crop(image, 3, 4, 21, 30, [16, 16], antialias=True)
    assert (seen.int() - wanted.int()).abs().max() <= 1  # of 255: its older kernels round otherwise
    at_edge = augment.crop_file(image, np.array([12.6, 0.0, 20.9, 47.0]), 16)
    assert at_edge.shape == (3, 16, 16)


def test_finishing_mirrors_shifts_and_normalizes():
    x = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    planned = augment.Plan(np.zeros((2, 4)), np.array([True, False]), np.array([[0.1, 0.2, 0.3], [0, 0, 0]]))
    seen = augment.finish(x, planned)
    rgb = torch.stack(
        [x[0].flip(-1).expand(3, -1, -1) + torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1), x[1].expand(3, -1, -1)]
    )
    wanted = transforms.functional.normalize(rgb, augment.MEAN, augment.STD)
    assert torch.allclose(seen, wanted, atol=1e-6)


# Batches -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fashion():
    return sources.load("fashion-mnist")[0].limited(103)


def test_processes_share_the_batches_of_one(fashion):
    whole = Batches(fashion, CORNER, training=True, batch_size=25)
    parts = [Batches(fashion, CORNER, training=True, batch_size=25, rank=r, world=3) for r in range(3)]
    assert whole.steps == 4
    for alone, *shared in zip(*(b.epoch(2) for b in (whole, *parts)), strict=True):
        assert alone.whole == 25 == sum(len(s.targets) for s in shared)
        for rank, share in enumerate(shared):
            assert np.array_equal(share.indices, alone.indices[rank::3])
            assert torch.equal(share.images, alone.images[rank::3]) and share.whole == 25
            assert torch.equal(share.targets, torch.from_numpy(fashion.labels[share.indices]))


def test_an_epoch_can_be_taken_up_in_its_middle(fashion):
    batches = Batches(fashion, AREA, training=True, batch_size=20)
    late = list(batches.epoch(1, start=3))
    assert [b.indices.tolist() for b in late] == [b.indices.tolist() for b in batches.epoch(1)][3:]
    assert torch.equal(late[0].images, list(batches.epoch(1))[3].images)


def test_a_test_sees_each_image_once(fashion):
    seen = [
        i
        for rank in range(4)
        for b in Batches(fashion, CORNER, training=False, batch_size=30, rank=rank, world=4).epoch(0)
        for i in b.indices
    ]
    assert sorted(seen) == list(range(103))
    assert Batches(fashion, CORNER, training=True, batch_size=500).steps == 1


# Data sets ---------------------------------------------------------------------------------------------------------


def jpeg(path, value=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((30, 40, 3), value, np.uint8)).save(path, "JPEG")


def test_files_give_the_same_batches_with_and_without_workers(tmp_path):
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            for k in range(4):
                jpeg(tmp_path / split / name / f"{k}.jpg", 40 * k + 20 * (name == "dog"))
    train, test = sources.load(str(tmp_path))
    assert train.classes == ("cat", "dog") and len(train) == len(test) == 8
    runs = [
        torch.cat([b.images for b in Batches(train, AREA, training=True, batch_size=4, workers=w).epoch(0)])
        for w in (0, 2)
    ]
    assert torch.equal(*runs) and runs[0].shape == (8, 3, 20, 20)
    # A crop of one colour is that colour, whatever the crop: the label's images can be told apart.
    shown = Batches(test, AREA, training=False, batch_size=8).epoch(0)
    means = next(iter(shown)).images.mean((2, 3))[:, 0] * augment.STD[0] + augment.MEAN[0]
    assert (means * 255).round().tolist() == pytest.approx([0, 40, 80, 120, 20, 60, 100, 140], abs=2)


def test_cifar10_is_read_from_its_own_files(tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR10

    folder = tmp_path / CIFAR10.base_folder
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, _ in [*CIFAR10.train_list, *CIFAR10.test_list]:
        data = rng.integers(0, 256, (5, 3072), dtype=np.uint8)
        (folder / name).write_bytes(pickle.dumps({"data": data, "labels": rng.integers(0, 10, 5).tolist()}))
    names = {"label_names": [f"class {i}" for i in range(10)]}
    (folder / CIFAR10.meta["filename"]).write_bytes(pickle.dumps(names))
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda path, md5=None: True)
    train, test = sources.load("cifar10", root=tmp_path)
    assert (len(train), len(test), train.classes[3]) == (25, 5, "class 3")
    assert train.pixels.shape == (25, 3, 32, 32)
    last = pickle.loads((folder / CIFAR10.test_list[0][0]).read_bytes())
    assert torch.equal(test.pixels[2].flatten(), torch.from_numpy(last["data"][2]))


def test_imagenette_is_read_from_its_own_folders(tmp_path):
    for split in ("train", "val"):
        for wnid in ("n01440764", "n02102040"):
            jpeg(tmp_path / "imagenette2" / split / wnid / f"{wnid}_1.JPEG")
    train, test = sources.load("imagenette", root=tmp_path)
    assert train.classes == ("n01440764", "n02102040") and len(test) == 2
    assert test.image(1).shape == (3, 30, 40)


def test_imagenets_flat_validation_folder_is_read_by_its_table(tmp_path):
    for wnid in ("n01440764", "n01443537"):
        jpeg(tmp_path / "train" / wnid / "1.JPEG")
    for number in (1, 2, 3):
        jpeg(tmp_path / "val" / f"ILSVRC2012_val_0000000{number}.JPEG")
    rows = ["ImageId,PredictionString"]
    rows += [
        f"ILSVRC2012_val_0000000{n},{w} 1 2 3 4 " for n, w in ((1, "n01443537"), (2, "n01440764"), (3, "n01443537"))
    ]
    (tmp_path / "LOC_val_solution.csv").write_text("\n".join(rows))
    test = sources.load(f"imagenet:{tmp_path}")[1]
    assert {f.stem[-1]: int(i) for f, i in zip(test.files, test.labels, strict=True)} == {"1": 1, "2": 0, "3": 1}
    jpeg(tmp_path / "val" / "ILSVRC2012_val_00000004.JPEG")
    with pytest.raises(DataError, match=r"does not name the class of ILSVRC2012_val_00000004\.JPEG"):
        sources.load(f"imagenet:{tmp_path}")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ([], "There is no folder .*train"),
        (["train/a/1.jpg"], "neither val/ nor test/"),
        (["train/a/1.jpg", "val/1.jpg"], "has no folders"),
        (["train/a/1.jpg", "val/a/1.jpg", "val/b/1.jpg"], "has the class 'b', which"),
        (["train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg"], "has no class 'b'"),
        (["train/a/1.jpg", "val/a/notes.txt"], "class folder .*a has no images"),
    ],
)
def test_a_folder_that_is_not_as_it_should_be_is_told(made, words, tmp_path):
    for name in made:
        jpeg(tmp_path / name) if name.endswith("jpg") else (
            (tmp_path / name).parent.mkdir(parents=True) or (tmp_path / name).write_text("x")
        )
    with pytest.raises(DataError, match=words):
        sources.load(str(tmp_path))


def test_other_files_than_jpeg_are_read(tmp_path):
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    Image.fromarray(grey).save(tmp_path / "grey.png")
    assert torch.equal(sources.decode(tmp_path / "grey.png"), torch.from_numpy(grey).expand(3, -1, -1))
    Image.new("CMYK", (4, 3), (0, 0, 0, 0)).save(tmp_path / "print.jpg")
    assert sources.decode(tmp_path / "print.jpg").float().mean() > 250
    with pytest.raises(DataError, match="there is no such file"):
        sources.decode(tmp_path / "none.png")


def test_a_data_set_out_of_reach_says_what_to_fetch(tmp_path, monkeypatch):
    for name in ("https_proxy", "http_proxy", "HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name, url in (("cifar10", "cifar-10-python.tar.gz"), ("imagenette", "imagenette2.tgz")):
        with pytest.raises(DataError, match=f"could not be downloaded from .*{url}.*put that file there by hand"):
            sources.load(name, root=tmp_path)
    with pytest.raises(DataError, match="Only fashion-mnist has a small and a full set"):
        sources.load("cifar10", full=True)
