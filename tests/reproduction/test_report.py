"""A run's page: what it says is what the log says."""

import json
import sys
import types

from ravines.reproduction import report

RUN = {"kind": "run", "model": "a<b:net", "data": "fashion-mnist", "command": "train x", "device": "cpu"}
RUN["recipe"] = {"name": "mine", "source": "a paper", "lr": 0.1}


def log(folder, *, average=False, cut=""):
    lines = [RUN]
    for epoch in (1, 2):
        lines += [
            {"kind": "train", "epoch": epoch - 0.5 + j / 2, "update": 2 * epoch + j, "loss": 2.0 / epoch, "lr": 0.1}
            for j in (0, 1)
        ]
        test = {"kind": "test", "epoch": epoch, "update": 2 * epoch + 1, "loss": 1.5 / epoch, "top1": 0.5 - epoch / 10}
        lines.append({**test, "topk": 0.9, "k": 5, "images": 1234, **({"ema_top1": 0.61} if average else {})})
    for line in lines:
        if line["kind"] == "train":
            line["images_per_s"] = 100.0
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + cut)


def test_the_page_says_what_the_log_says(tmp_path):
    log(tmp_path, average=True, cut='{"kind": "tr')
    page = report.write(tmp_path).read_text()
    assert "<h1>a&lt;b:net on fashion-mnist</h1>" in page and "a paper" in page and "ravines train x" in page
    assert "After epoch 2: top-1 30.00%, top-5 90.00%, loss 0.7500 on 1,234 images. Best: 40.00%, epoch 1" in page
    assert "<td>2</td><td>0.7500</td><td>30.00%</td><td>90.00%</td><td>61.00%</td>" in page
    assert page.count("data:image/png") == 2 and "ends at 30.0%" in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_run_without_a_test_yet_has_a_page_too(tmp_path):
    (tmp_path / "log.jsonl").write_text(json.dumps(RUN) + "\n")
    page = report.write(tmp_path).read_text()
    assert "How it was made" in page and "data:image" not in page


def test_tensorboard_gets_the_numbers_where_it_is_installed(tmp_path, monkeypatch):
    added = []

    class Writer:
        def __init__(self, folder):
            added.append(folder)

        def add_scalar(self, *arguments):
            added.append(arguments)

        def flush(self):
            pass

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=Writer))
    board = report.Board(tmp_path)
    board.add(RUN)
    board.add({"kind": "test", "epoch": 1, "update": 7, "top1": 0.5, "images": 3, "k": 5})
    assert added == [str(tmp_path / "tensorboard"), ("test/top1", 0.5, 7)]


def test_without_tensorboard_nothing_happens(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    report.Board(tmp_path).add({"kind": "test", "update": 7, "top1": 0.5})
    assert not any(tmp_path.iterdir())
