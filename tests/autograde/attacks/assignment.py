"""A small PyTorch course, with one assignment to attack: three exercises, secrets around them, and right answers."""

from __future__ import annotations

import functools
import hashlib
import tempfile
from pathlib import Path

from autograde.assemble import Template
from autograde.course import Course

NAME = "target"


def _marker(name: str) -> str:
    return hashlib.sha256(f"a secret: {name}".encode()).hexdigest()[:24]


#: What no student may see, by where the test plants it. Each is a word that is nowhere else on the machine.
SECRETS = {
    name: _marker(name)
    for name in ("solution", "checks", "tests", "environment", "home", "classmate", "gradebook", "previous")
}
#: The grader's environment variable that holds a secret. An attacker knows the name.
VARIABLE = "GRADEBOOK_PASSWORD"

SOURCE = '''
# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Target

# %% nbgrader={"grade_id": "imports", "locked": true}
import torch

# %% [markdown]
# ## Double


# %% nbgrader={"grade_id": "double", "solution": true}
def double(x):
    """Return twice the number x."""
    ### BEGIN SOLUTION
    # SECRET
    return 2 * x
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_double", "grade": true, "points": 2}
assert double(3) == 6, "Twice 3 is 6."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("target", "double", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## Scale


# %% nbgrader={"grade_id": "scale", "solution": true}
def scale(values, factor):
    """Return the float32 tensor of values times factor; values stay as they are."""
    ### BEGIN SOLUTION
    return (values * factor).to(torch.float32)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_scale", "grade": true, "points": 3}
assert scale(torch.ones(3), 2.0).tolist() == [2, 2, 2], "Twice a one is a two."
### BEGIN HIDDEN TESTS
import autograde.stock

torch.testing.assert_close(scale(torch.ones(2), 3.0), torch.full((2,), 3.0))
autograde.stock.score("target", "scale", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## Noise


# %% nbgrader={"grade_id": "noise", "solution": true}
def noise(size, seed):
    """Return `size` normal numbers drawn after `torch.manual_seed(seed)`, and the slope of the sum of their squares."""
    ### BEGIN SOLUTION
    torch.manual_seed(seed)
    drawn = torch.randn(size, requires_grad=True)
    drawn.square().sum().backward()
    return drawn.detach(), drawn.grad
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_noise", "grade": true, "points": 5}
assert callable(noise), "Write a function."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("target", "noise", globals())
### END HIDDEN TESTS
'''

CHECKS = '''
"""SECRET"""

import torch

from autograde import expect
from autograde.cases import check


@check
def double(student, cases):
    for name in ("a number", "another number"):
        with cases(name):
            x = cases.integer(10**11, 10**12)
            expect.equal(student.call("double", x), 2 * x, "Add the number to itself.")


@check
def scale(student, cases):
    values, factor = cases.randn(6), cases.uniform(2, 9)
    with cases("the values"):
        code = "result = scale(values, factor)"
        result, after = student.run(code, returns=["result", "values"], values=values, factor=factor)
        expect.dtype(result, torch.float32)
        expect.close(result, (values * factor).to(torch.float32), "Multiply each value by the factor.")
        expect.close(after, values, "Leave the input as it is.")


@check
def noise(student, cases):
    size, seed = cases.integer(3, 9), cases.integer(0, 10**6)
    wanted = torch.randn(size, generator=torch.Generator().manual_seed(seed))
    with cases("the numbers", weight=3):
        result = student.call("noise", size, seed)
        expect.sequence(result, 2)
        expect.dtype(result[0], torch.float32)
        expect.close(result[0], wanted, "Seed the generator, then draw.")
    with cases("the slope", weight=2):
        result = student.call("noise", size, seed)
        expect.sequence(result, 2)
        expect.close(result[1], 2 * wanted, "The slope of a square is twice its root.")
'''

#: Right answers, and answers that are wrong everywhere.
RIGHT = {
    "double": "def double(x):\n    return x + x\n",
    "scale": "def scale(values, factor):\n    return values.mul(factor).float()\n",
    "noise": (
        "def noise(size, seed):\n"
        "    torch.manual_seed(seed)\n"
        "    drawn = torch.randn(size, requires_grad=True)\n"
        "    drawn.square().sum().backward()\n"
        "    return drawn.detach(), drawn.grad\n"
    ),
}
WRONG = {
    "double": "def double(x):\n    return x\n",
    "scale": "def scale(values, factor):\n    return values.float()\n",
    "noise": "def noise(size, seed):\n    return torch.zeros(size), torch.zeros(size)\n",
}
POINTS = {"double": 2.0, "scale": 3.0, "noise": 5.0}


def make(root: Path) -> Path:
    """Make a course with the one assignment ``target`` in ``root``, secrets included, and return ``root``."""
    folder = root / "solutions" / NAME
    folder.mkdir(parents=True)
    (root / "_toc.yml").write_text("format: jb-book\n")
    # A package beside the solutions, as a course's own tests are, which no student's code imports.
    (root / "tests").mkdir()
    (root / "tests" / "__init__.py").touch()
    (root / "tests" / "test_target.py").write_text(f"# {SECRETS['tests']}\n")
    (folder / f"{NAME}.py").write_text(SOURCE.lstrip().replace("SECRET", SECRETS["solution"]))
    (folder / "checks.py").write_text(CHECKS.lstrip().replace("SECRET", SECRETS["checks"]))
    return root


@functools.cache
def template() -> Template:
    """Return the assignment as students receive it."""
    with tempfile.TemporaryDirectory() as folder:
        return Template(Course(make(Path(folder))).assignment(NAME))
