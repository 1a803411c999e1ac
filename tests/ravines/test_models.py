"""Networks by name, from torchvision, a file or a notebook."""

import json
from textwrap import dedent

import pytest
import torch

from ravines.models import ModelError, load, make

FILE = """
import torch
from torch import nn

WIDTHS = {"small": 4}
WIDTHS["small"] += 1  # no statement that binds a name: not run
raise_later = False


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        x = WIDTHS["small"]
        self.layer = nn.Linear(x, width)

    def forward(self, x):
        return self.layer(x)


def network(num_classes=3, *, bias=True):
    return nn.Sequential(Block(4), nn.Linear(4, num_classes, bias=bias))


x = 1 / 0  # an experiment
assert False, "another"
print(network())


def unwritten():
    raise NotImplementedError()


def broken(num_classes=2):
    size = num_classes - 2
    return nn.Linear(1 // size, 1)


def wrong():
    return 5


table = network(unknown)
needs_table = lambda: table
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


def notebook(path, *cells):
    made = [{"cell_type": "code", "source": dedent(c).splitlines(keepends=True)} for c in cells]
    path.write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": "text"}, *made]}))
    return path


def test_a_network_of_torchvisions_has_its_classes_and_no_weights():
    with torch.device("meta"):
        network = make("torchvision:resnet18", num_classes=7)
    assert network.fc.out_features == 7
    with torch.device("meta"):
        assert sum(p.numel() for p in make("torchvision:googlenet").parameters()) == 13_004_888


def test_of_a_file_only_what_the_network_needs_is_run(file):
    network = make(f"{file}:network", num_classes=6)
    assert [tuple(p.shape) for p in network.parameters()] == [(4, 4), (4,), (6, 4), (6,)]
    assert load(f"{file}:network").__name__ == "network"


def test_settings_that_are_none_are_left_out_and_unknown_ones_are_told(file):
    assert make(f"{file}:network", num_classes=None)[1].out_features == 3
    with pytest.raises(ModelError, match=r"takes no dropout\. It takes: num_classes, bias"):
        make(f"{file}:network", dropout=0.5)


def test_the_usual_number_of_classes_need_not_be_taken(file):
    with pytest.raises(ModelError, match="not written yet"):
        make(f"{file}:unwritten", num_classes=1000)
    with pytest.raises(ModelError, match="takes no num_classes"):
        make(f"{file}:unwritten", num_classes=10)


def test_what_a_file_raises_is_told_with_its_line(file):
    with pytest.raises(ModelError, match=r"ZeroDivisionError.*at the line `return nn.Linear\(1 // size, 1\)`"):
        make(f"{file}:broken")
    with pytest.raises(ModelError, match=r"needs the line `table = network\(unknown\)`, which raises NameError"):
        load(f"{file}:needs_table")
    with pytest.raises(ModelError, match="gives int, which is no network"):
        make(f"{file}:wrong")
    with pytest.raises(ModelError, match="WIDTHS is dict, not a class or function"):
        load(f"{file}:WIDTHS")


def test_a_notebook_is_read_without_running_its_experiments(tmp_path):
    path = notebook(
        tmp_path / "mine.ipynb",
        "%matplotlib inline\nfrom torch import nn\n!pip list",
        "WIDTH = 3",
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.a = nn.Linear(WIDTH, 1)
        """,
        "%%bash\nWIDTH=7",
        "WIDTH = 5\nimages = missing_data()",
        "def unfinished(:",
    )
    assert make(f"{path}:Net").a.in_features == 5
    with pytest.raises(ModelError, match=r"defines no Nets\. Did you mean Net\?"):
        load(f"{path}:Nets")


def test_the_line_of_a_notebooks_error_is_the_students(tmp_path):
    path = notebook(tmp_path / "mine.ipynb", "def net():\n    y = 1\n    return y.layers")
    with pytest.raises(ModelError, match=r"AttributeError.*at the line `return y\.layers`"):
        make(f"{path}:net")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("resnet50", "names no network: write torchvision:resnet50"),
        ("torchvision:", "names no network"),
        ("torchvision:resnet500", "Did you mean resnet50"),
        ("nowhere.py:net", "nowhere.py cannot be read: No such file"),
    ],
)
def test_a_wrong_name_says_what_to_write(spec, words):
    with pytest.raises(ModelError, match=words):
        load(spec)


def test_files_that_are_no_python_or_no_notebook_are_told(tmp_path):
    (tmp_path / "a.py").write_text("def f(:\n")
    (tmp_path / "b.ipynb").write_text("{}")
    (tmp_path / "c.py").write_bytes(b"\xff\xfe")
    for name, words in (("a.py", "is no Python"), ("b.ipynb", "is no Jupyter notebook"), ("c.py", "not text in UTF-8")):
        with pytest.raises(ModelError, match=words):
            load(f"{tmp_path / name}:f")
