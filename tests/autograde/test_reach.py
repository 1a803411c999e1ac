"""What an answer can reach: names, words that checks ask for, and everything where it does more than bind names."""

from __future__ import annotations

import pytest

from autograde.reach import bound, reached
from autograde.rehearse import Step

CHECKS = '''
"""The checks."""

LIMIT, OTHER = "scale", 3
TABLE = {}
TABLE["key"] = "bound"


def _helper(student):
    return student.call(LIMIT, 1)


@check
def first(student, cases):
    student.call("first", 1)


@check
def second(student, cases):
    student.call("second", 1)


@check
def third(student, cases):
    _helper(student)
'''
ANSWER = "def first(x):\n    return x"
PI = "def second(x):\n    return math.pi"
SECOND = "def second(x):\n    return 2 * x"


def cells(answer=ANSWER, second=SECOND, between="", second_test="assert second(1) == 2"):
    return [
        Step("first", answer),
        Step("test_first", "assert first(1) == 1", "first"),
        Step("between", between),
        Step("second", second),
        Step("test_second", second_test, "second"),
        Step("third", "def third(x):\n    return 3"),
        Step("test_third", "assert third(1) == 3", "third"),
    ]


ABOVE = [Step("imports", "%matplotlib inline\nimport torch"), Step("more", "import math\nfrom torch import nn")]


@pytest.mark.parametrize(
    ("name", "changed", "reach", "surely"),
    [
        ("alone", {}, {"first"}, set()),
        ("a later answer uses it", {"second": "def second(x):\n    return 2 * first(x)"}, {"first", "second"}, set()),
        ("a later test uses it", {"second_test": "assert second(first(1)) == 2"}, {"first", "second"}, set()),
        ("in a string", {"second_test": "assert eval('first(1)')"}, {"first", "second"}, set()),
        ("not in a comment", {"second_test": "assert second(1)  # as first does"}, {"first"}, set()),
        (
            "through a cell between",
            {"between": "twice = first", "second": "second = twice"},
            {"first", "second"},
            set(),
        ),
        ("a check asks for a helper of that name", {"answer": ANSWER + "\nscale = 3"}, {"first", "third"}, {"third"}),
        ("what the checks' module does applies to all", {"answer": ANSWER + "\nbound = 3"}, "all", "all"),
        ("a value may come from a call", {"answer": ANSWER + "\n_ = torch.manual_seed(0)"}, "all", "all"),
        ("a value without one", {"answer": ANSWER + "\neps, pair = 1e-5, [2, 3]"}, {"first"}, set()),
        ("it takes a later answer's name", {"answer": ANSWER + "\nthird = 3"}, {"first", "third"}, {"third"}),
        ("an import that is there already", {"answer": "import math\n" + ANSWER, "second": PI}, {"first"}, set()),
        (
            "another thing by that name",
            {"answer": "import cmath as math\n" + ANSWER, "second": PI},
            {"first", "second"},
            {"second"},
        ),
        ("it changes a library", {"answer": ANSWER + "\ntorch.relu = None"}, "all", "all"),
        ("it runs something", {"answer": ANSWER + "\ntorch.set_default_dtype(torch.float64)"}, "all", "all"),
        ("it cannot be read", {"answer": "def first(x)"}, "all", "all"),
        ("a cell between runs something with it", {"between": "torch.register(first)"}, "all", "all"),
        (
            "a docstring, a class, an annotation",
            {"answer": '"""Why."""\nclass first: pass\ny: int = 3'},
            {"first"},
            set(),
        ),
    ],
)
def test_reach(name, changed, reach, surely):
    found = reached(ABOVE, cells(**changed), ANSWER, CHECKS)
    assert found == tuple({"first", "second", "third"} if w == "all" else w for w in (reach, surely))


def test_what_the_reference_binds_counts_where_the_answer_does_not_bind_it():
    changed = cells(answer="other = 3", second="def second(x):\n    return first(x)")
    assert reached(ABOVE, changed, ANSWER, CHECKS) == ({"first", "second"}, set())


def test_what_an_answer_binds():
    assert bound(ABOVE, "import math, os\ndef f(): pass") == {"math", "os", "f"}
    assert bound(ABOVE, "import math\ndef f(): pass") == {"f"}
    assert bound(ABOVE, "torch.relu = None") is None
