"""The script that counts ImageNet's reassessed labels: its sums on files small enough to count by hand."""

import json

import pytest

from experiments import real_labels as script

#: Five images: no label, the original one, the original and another, another, two others.
REAL = [[], [1], [2, 0], [0], [0, 1]]
ORIGINAL = [2, 1, 2, 1, 2]


def files(folder, real=REAL, original=ORIGINAL):
    """The two files; the lines of the second in reverse, since the number counts and not the line."""
    folder.mkdir(exist_ok=True)
    (folder / "real.json").write_text(json.dumps(real), encoding="utf-8")
    lines = [f"ILSVRC2012_val_{n:08d}.JPEG {c}" for n, c in enumerate(original, 1)]
    (folder / "val.txt").write_text("\n".join(reversed(lines)) + "\n", encoding="utf-8")
    return [str(folder / "real.json"), str(folder / "val.txt"), "--classes", "3", "--out", str(folder / "out.json")]


def test_sums_are_those_that_one_counts_by_hand():
    found = script.summary(REAL, ORIGINAL, classes=3)
    assert found == {
        "images": 5,
        "images_by_labels": [1, 2, 2],
        "labels": 6,
        "kept": 4,
        "hits": 2,
        "accuracy": 0.5,
        "hits_by_labels": [0, 1, 1],
        "kept_by_class": [0, 2, 2],
        "hits_by_class": [0, 1, 1],
        # image 4 is a 1 that is called 0; image 5 a 2 that is called 0 and 1
        "disagreements": [[1, 0, 1], [2, 0, 1], [2, 1, 1]],
    }
    assert script.summary(REAL, ORIGINAL, classes=3, pairs=1)["disagreements"] == [[1, 0, 1]]


def test_a_run_writes_sums_where_they_came_from_and_no_label_of_an_image(tmp_path, capsys):
    assert script.main(files(tmp_path)) == 0
    assert "2 of 4 images, 50.00%" in capsys.readouterr().out
    record = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert record["hits"] == 2 and record["date"] and set(record["sources"]) == {"real", "original"}
    assert str(tmp_path) not in json.dumps(record)
    assert "PATH" in record["command"] and len(record["sha256"]["real"]) == 64
    # With a thousand classes and fifty thousand images nothing is as long as the images.
    assert all(len(v) <= 26 for v in record.values() if isinstance(v, list))


def test_files_that_are_not_labels_are_said_in_a_sentence(tmp_path, capsys):
    cases = {
        "three": ({"real": [[0], [3], [], [], []]}, "Image 2"),
        "twice": ({"real": [[0, 0], [], [], [], []]}, "Image 1"),
        "flat": ({"real": [0, 1, 2, 1, 0]}, "a list of labels for each image"),
        "short": ({"real": [[0], [1]]}, "2 images"),
        "empty": ({"real": [[], [], [], [], []]}, "No image"),
        "classes": ({"original": [0, 1, 2, 3, 0]}, "JPEG 3"),
    }
    for name, (changed, words) in cases.items():
        assert script.main(files(tmp_path / name, **changed)) == 1, name
        assert words in capsys.readouterr().err, name
    options = files(tmp_path / "numbers")
    (tmp_path / "numbers" / "val.txt").write_text("ILSVRC2012_val_00000002.JPEG 1\n", encoding="utf-8")
    assert script.main(options) == 1
    assert "from 1 upwards" in capsys.readouterr().err
    assert script.main([str(tmp_path / "none.json"), *options[1:]]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_the_committed_sums_agree_with_one_another():
    record = json.loads(script.RESULTS.read_text(encoding="utf-8"))
    images = record["images_by_labels"]
    assert sum(images) == record["images"] == 50_000
    assert sum(n * count for n, count in enumerate(images)) == record["labels"]
    assert record["images"] - images[0] == record["kept"] == sum(record["kept_by_class"])
    assert record["hits"] == sum(record["hits_by_class"]) == sum(record["hits_by_labels"])
    assert record["accuracy"] == pytest.approx(record["hits"] / record["kept"], abs=1e-6)
    assert len(record["kept_by_class"]) == len(record["hits_by_class"]) == 1000
    assert all(h <= k <= 50 for h, k in zip(record["hits_by_class"], record["kept_by_class"], strict=True))
