"""Data, device and seeds. The full set is tested on files made here, in the official format."""

import gzip
import hashlib
import importlib.util
import random
import shutil
import struct
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from torchvision.datasets import FashionMNIST
from torchvision.transforms.functional import to_tensor

from ravines import data
from ravines.data import CLASS_NAMES, DataError, device, fashion_mnist, parse_idx, seed_everything

REPOSITORY = Path(__file__).resolve().parents[2]
OFFICIAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "fashion-mnist"
FILES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]

spec = importlib.util.spec_from_file_location("embed", REPOSITORY / "tools" / "embed_fashion_mnist.py")
embed = importlib.util.module_from_spec(spec)
spec.loader.exec_module(embed)


def idx(array):
    return struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def arrays(train, test, seed=0):
    """Pixels and labels that repeat a short random pattern: quick to make and to compress."""
    rng = np.random.default_rng(seed)
    result = []
    for n in (train, test):
        pattern = rng.integers(0, 256, (100, 28, 28), dtype=np.uint8)
        result += [np.resize(pattern, (n, 28, 28)), np.resize(rng.permutation(10).astype(np.uint8), n)]
    return dict(zip(FILES, result, strict=True))


# The embedded set


@pytest.mark.parametrize(("train", "n"), [(True, 10_000), (False, 2_000)])
def test_the_embedded_set_is_balanced_and_scaled(train, n):
    images, labels = fashion_mnist(train)
    assert images.shape == (n, 1, 28, 28)
    assert images.dtype == torch.float32
    assert (images.min(), images.max()) == (0, 1)
    assert labels.shape == (n,)
    assert labels.dtype == torch.int64
    assert torch.bincount(labels).tolist() == [n // 10] * 10
    levels = images[:100] * 255
    torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-4)
    assert len(images[:500].flatten(1).unique(dim=0)) == 500
    assert not torch.equal(labels, labels.sort().values)


def test_it_returns_fresh_writable_tensors():
    images, labels = fashion_mnist(False)
    images.zero_()
    labels.zero_()
    again, labels_again = fashion_mnist(False)
    assert again.max() == 1
    assert labels_again.max() == 9


def test_the_classes_are_torchvision_s():
    assert list(CLASS_NAMES) == FashionMNIST.classes


def official(name, header):
    return np.frombuffer(gzip.decompress((OFFICIAL / name).read_bytes()), np.uint8, offset=header)


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="the official files are not beside the repository")
def test_the_embedded_set_is_the_first_of_each_class_of_the_official_files():
    for train, prefix, per_class in ((True, "train", 1000), (False, "t10k", 200)):
        pixels = official(f"{prefix}-images-idx3-ubyte.gz", header=16)
        labels = official(f"{prefix}-labels-idx1-ubyte.gz", header=8)
        taken, keep = [0] * 10, []
        for i, label in enumerate(labels):
            if taken[label] < per_class:
                taken[label] += 1
                keep.append(i)
        images, found = fashion_mnist(train)
        expected = pixels.reshape(-1, 28, 28)[keep]
        assert np.array_equal((images[:, 0] * 255).round().to(torch.uint8).numpy(), expected)
        assert np.array_equal(found.numpy(), labels[keep])
        assert torch.equal(images[0], to_tensor(expected[0]))  # the scaling that torchvision's ToTensor does


@pytest.fixture
def copy_of_the_data(tmp_path, monkeypatch):
    folder = tmp_path / "fashion-mnist"
    shutil.copytree(data.EMBEDDED, folder)
    monkeypatch.setattr(data, "EMBEDDED", folder)
    return folder


@pytest.mark.parametrize("name", ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"])
def test_one_changed_byte_is_noticed(copy_of_the_data, name):
    fashion_mnist(False)
    content = bytearray((copy_of_the_data / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy_of_the_data / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name} is damaged .*`git checkout -- data`"):
        fashion_mnist(False)


@pytest.mark.parametrize("name", ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", "SHA256SUMS"])
def test_a_missing_file_is_named(copy_of_the_data, name):
    (copy_of_the_data / name).unlink()
    with pytest.raises(DataError, match=rf"{name} is missing: restore it with `git checkout"):
        fashion_mnist(False)


def test_the_checksums_are_those_sha256sum_expects():
    lines = (data.EMBEDDED / "SHA256SUMS").read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == [name + ".gz" for name in FILES]
    for line in lines:
        digest, name = line.split("  ")
        assert hashlib.sha256((data.EMBEDDED / name).read_bytes()).hexdigest() == digest


# The idx format


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4)])
def test_idx_files_are_read(shape):
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    assert np.array_equal(parse_idx(idx(array)), array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0, 0, 8"),
        (b"PK\x03\x04 zip", "0, 0, 8"),
        (b"\x00\x00\x0d\x01\x00\x00\x00\x00", "0, 0, 8"),  # floats
        (idx(np.zeros((3, 4), np.uint8))[:-1], r"shape \(3, 4\) has 24 bytes, not 23"),
    ],
)
def test_other_files_are_refused(content, message):
    with pytest.raises(ValueError, match=message):
        parse_idx(content)


# The tool that makes the embedded set


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "official"
    folder.mkdir()
    for name, array in arrays(train=60, test=40).items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
    return folder


def run(source, out, *more):
    options = ["--train-per-class", "3", "--test-per-class", "2", *more]
    return embed.main(["--source", str(source), "--out", str(out), *options])


def test_the_tool_takes_the_first_of_each_class_the_same_way_every_time(source, tmp_path, monkeypatch, capsys):
    assert run(source, tmp_path / "a") == run(source, tmp_path / "b") == 0
    printed = capsys.readouterr().out
    made = sorted((tmp_path / "a" / "fashion-mnist").iterdir())
    assert [path.name for path in made] == sorted(["SHA256SUMS", *(name + ".gz" for name in FILES)])
    for path in made:
        assert path.read_bytes() == (tmp_path / "b" / "fashion-mnist" / path.name).read_bytes()
        assert hashlib.sha256(path.read_bytes()).hexdigest() in printed
    monkeypatch.setattr(data, "EMBEDDED", tmp_path / "a" / "fashion-mnist")
    official = arrays(train=60, test=40)
    for train, (images_file, labels_file), n in ((True, FILES[:2], 30), (False, FILES[2:], 20)):
        images, labels = fashion_mnist(train)
        # The labels repeat one permutation of the classes, so the first of each class are the first of all.
        assert np.array_equal(labels.numpy(), official[labels_file][:n])
        assert np.array_equal((images[:, 0] * 255).round().numpy(), official[images_file][:n])


def test_the_first_of_each_class_in_the_original_order():
    labels = np.array([1, 1, 0, 1, 0, 0, 1])
    assert embed.first_of_each_class(labels, 2).tolist() == [0, 1, 2, 4]


def test_the_tool_says_what_is_missing_or_wrong(source, tmp_path, capsys):
    assert run(tmp_path / "nowhere", tmp_path / "out") == 2
    assert "nowhere/train-images-idx3-ubyte.gz does not exist: give --source" in capsys.readouterr().err
    assert run(source, tmp_path / "out", "--train-per-class", "7") == 2
    assert "has 6 images, fewer than 7" in capsys.readouterr().err
    (source / "t10k-labels-idx1-ubyte.gz").write_bytes(b"not gzip")
    assert run(source, tmp_path / "out") == 2
    assert "is not a complete gzip file" in capsys.readouterr().err
    for bad in (["--source", str(source), "--test-per-class", "0"], []):
        with pytest.raises(SystemExit) as stop:
            embed.main(bad)
        assert stop.value.code == 2


def test_the_tool_explains_itself(capsys):
    with pytest.raises(SystemExit) as stop:
        embed.main(["--help"])
    assert stop.value.code == 0
    assert "Example: python tools/embed_fashion_mnist.py --source" in capsys.readouterr().out


# The full set


def official_files(folder, monkeypatch, files):
    """Write these as gzipped idx files, and have torchvision take them for the official ones."""
    folder.mkdir()
    sums = []
    for name, array in files.items():
        content = gzip.compress(idx(array), 1)
        (folder / f"{name}.gz").write_bytes(content)
        sums.append((f"{name}.gz", hashlib.md5(content, usedforsecurity=False).hexdigest()))
    monkeypatch.setattr(FashionMNIST, "resources", sums)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def serving(folder):
    """The folder's URL on a web server of this computer, which stops at the end."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def no_network(monkeypatch):
    monkeypatch.setattr(FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("RAVINES_DATA", raising=False)


def test_the_full_set_is_downloaded_once_and_then_read(tmp_path, monkeypatch, no_network):
    files = arrays(60_000, 10_000)
    official_files(tmp_path / "server", monkeypatch, files)
    monkeypatch.setenv("RAVINES_DATA", str(tmp_path / "cache"))
    with serving(tmp_path / "server") as url:
        monkeypatch.setattr(FashionMNIST, "mirrors", [url])
        images, labels = fashion_mnist(False, full=True)
    assert images.shape == (10_000, 1, 28, 28)
    assert images.dtype == torch.float32
    assert np.array_equal((images[:, 0] * 255).round().to(torch.uint8).numpy(), files[FILES[2]])
    assert np.array_equal(labels.numpy(), files[FILES[3]])
    images, labels = fashion_mnist(full=True, root=tmp_path / "cache")
    assert images.shape == (60_000, 1, 28, 28)
    assert np.array_equal((images[:100, 0] * 255).round().to(torch.uint8).numpy(), files[FILES[0]][:100])
    assert np.array_equal(labels.numpy(), files[FILES[1]])
    assert labels.dtype == torch.int64


def test_files_put_there_by_hand_are_used_without_a_network(tmp_path, monkeypatch, no_network):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.parent.mkdir()
    official_files(raw, monkeypatch, arrays(60_000, 10_000))
    assert len(fashion_mnist(False, full=True, root=tmp_path)[0]) == 10_000


def test_offline_the_error_says_what_was_tried_and_what_to_do(tmp_path, monkeypatch, no_network):
    monkeypatch.setenv("RAVINES_DATA", str(tmp_path))
    with pytest.raises(DataError) as caught:
        fashion_mnist(full=True)
    message = str(caught.value)
    assert "could not be downloaded from http://127.0.0.1:9/" in message
    assert str(tmp_path / "FashionMNIST" / "raw") in message
    assert "train-images-idx3-ubyte.gz" in message
    assert "leave out full=True" in message
    assert "\n" not in message


def test_without_a_place_named_the_cache_is_in_the_home_folder(tmp_path, monkeypatch, no_network):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(DataError, match=str(tmp_path / ".cache" / "ravines" / "FashionMNIST")):
        fashion_mnist(full=True)


@pytest.mark.parametrize("fault", ["truncated", "garbage", "too few"])
def test_damaged_files_of_the_full_set_are_recognised(tmp_path, no_network, fault):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name, array in arrays(100, 100).items():
        content = idx(array)
        content = {"truncated": content[: len(content) // 2], "garbage": b"garbage" * 9, "too few": content}[fault]
        (raw / name).write_bytes(content)
    with pytest.raises(DataError, match=r"is damaged .* delete that folder"):
        fashion_mnist(False, full=True, root=tmp_path)


# Device and seeds


def test_the_device_is_a_gpu_when_there_is_one_and_float32_stays_exact(monkeypatch):
    monkeypatch.delenv("RAVINES_DEVICE", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    for available, expected in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda available=available: available)
        assert device() == torch.device(expected)
        assert torch.backends.cudnn.allow_tf32 is False


def test_the_environment_overrides_the_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("RAVINES_DEVICE", "cpu")
    assert device() == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta", "3.5"])
def test_a_device_that_does_not_work_is_named(monkeypatch, name):
    monkeypatch.setenv("RAVINES_DEVICE", name)
    with pytest.raises(RuntimeError, match=rf"RAVINES_DEVICE='{name}' .* unset it, or set it to one of cpu"):
        device()


def draws(generator):
    return [random.random(), float(np.random.rand()), float(torch.rand(())), float(torch.rand((), generator=generator))]


def test_seeds_reproduce_every_generator():
    first, again, other = (draws(seed_everything(seed)) for seed in (7, 7, 8))
    assert first == again
    assert all(a != b for a, b in zip(first, other, strict=True))
    assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.benchmark


def test_the_returned_generator_is_a_separate_one():
    generator = seed_everything(3)
    expected = torch.rand(4, generator=torch.Generator().manual_seed(3))
    torch.rand(100)
    assert torch.equal(torch.rand(4, generator=generator), expected)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(ValueError, match=r"0 to 2\*\*32 - 1"):
        seed_everything(seed)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_seeds_reproduce_the_gpu_s_generator(monkeypatch):
    monkeypatch.delenv("RAVINES_DEVICE", raising=False)
    assert device().type == "cuda"
    seed_everything(1)
    first = torch.rand(5, device="cuda")
    seed_everything(1)
    assert torch.equal(first, torch.rand(5, device="cuda"))
