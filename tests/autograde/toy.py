"""A course of its own for the grader's tests: arithmetic, so that nothing of this repository's topics is known."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

SOURCE = '''
# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Sums

# %% nbgrader={"grade_id": "imports", "locked": true}
import fractions

# %% [markdown]
# ## Double


# %% nbgrader={"grade_id": "double", "solution": true}
def double(x):
    """Return twice x."""
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_double", "grade": true, "points": 2}
assert double(3) == 6, "Twice 3 is 6."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("sums", "double", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## Half


# %% nbgrader={"grade_id": "half", "solution": true}
def half(x):
    """Return half of x."""
    ### BEGIN SOLUTION
    return x / 2
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_half", "grade": true, "points": 4}
assert half(8) == 4, "Half of 8 is 4."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("sums", "half", globals())
### END HIDDEN TESTS

# %% tags=["payoff"]
raise SystemExit("a payoff is not run")
'''

CHECKS = """
from autograde import expect
from autograde.cases import check


@check
def double(student, cases):
    with cases("a number"):
        x = cases.integer(5, 1000)
        expect.equal(student.call("double", x), 2 * x, "Add the number to itself.")
    with cases("a negative number"):
        x = -cases.integer(5, 1000)
        expect.equal(student.call("double", x), 2 * x, "A negative number has a double too.")


@check
def half(student, cases):
    with cases("a number", weight=3):
        x = cases.uniform(5, 1000)
        expect.close(student.call("half", x), x / 2, "Divide by two.")
    with cases("an odd number"):
        x = 2 * cases.integer(5, 1000) + 1
        expect.close(student.call("half", x), x / 2, "An odd number has a half too: do not round.")
"""

VARIANTS = """
from autograde.variants import right, wrong

VARIANTS = {
    "double": [
        right("a sum", "def double(x): return x + x"),
        right("a lambda", "double = lambda x: x * 2"),
        right("a shift", "def double(x): return x << 1"),
        wrong("the same", "print(1)\\ndef double(x): return x", hint="Add the number to itself."),
        wrong("a constant", "def double(x): return 6", hint="Add the number to itself."),
        wrong("no sign", "def double(x): return abs(2 * x)", hint="A negative number has a double"),
        wrong("the square", "def double(x): return x * x", hint="Add the number to itself."),
        wrong("no return", "def double(x): x + x", hint="Add the number to itself."),
        wrong("an error", "def double(x): return x.twice()", hint="`def double(x): return x.twice()`"),
    ],
    "half": [
        right("a product", "def half(x): return 0.5 * x"),
        right("a fraction", "def half(x): return float(fractions.Fraction(x) / 2)"),
        right("a lambda", "half = lambda x: x / 2"),
        wrong("an integer", "def half(x): return x // 2", hint="Divide by two."),
        wrong("rounded", "def half(x): return x / 2 if x % 1 else x // 2", hint="An odd number"),
        wrong("the same", "def half(x): return x", hint="Divide by two."),
        wrong("a string", "def half(x): return str(x / 2)", hint="should be a number or a tensor"),
        wrong("nan", "def half(x): return float('nan')", hint="The result contains nan."),
        wrong("a quarter", "def half(x): return x / 4", hint="Divide by two."),
    ],
}
"""

#: Right answers to the toy assignment.
DOUBLE, HALF = "def double(x):\n    return x + x", "def half(x):\n    return x / 2"


def make(root: Path, *, source: str = SOURCE, checks: str = CHECKS, variants: str = VARIANTS) -> Path:
    """Make a course with one assignment, ``sums``, in ``root``, and return ``root``."""
    folder = root / "solutions" / "sums"
    folder.mkdir(parents=True)
    (root / "_toc.yml").write_text("format: jb-book\n")
    (folder / "sums.py").write_text(dedent(source).lstrip())
    (folder / "checks.py").write_text(checks)
    (folder / "variants.py").write_text(variants)
    return root
