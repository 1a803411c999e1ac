"""The tests of the tests of the tests: verify must notice each way in which a file's answer misbehaves."""

from __future__ import annotations

from pathlib import Path

import pytest
import toy

from autograde import rehearse
from autograde.course import Course, CourseError
from autograde.verify import Row, verify


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """Everything on file for the toy course, and answers that misbehave, in one run."""
    odd = """
VARIANTS["double"] += [
    wrong("right after all", "def double(x): return 2 * x", hint="Add the number to itself."),
    wrong("another hint", "def double(x): return x", hint="A negative number has a double"),
    right("wrong after all", "def double(x): return abs(2 * x)"),
    wrong("spoils another", "def double(x): return x\\nimport sys; half = 3", hint="Add the number to itself."),
    wrong("breaks the check", "def double(x): return {}", hint="has a form that the check could not read"),
    wrong("hangs", "while True: pass", hint="Add the number to itself."),
    wrong("dies", "import os; os._exit(3)", hint="Add the number to itself."),
    wrong("only sometimes", "def double(x): return 6 if x == 3 else 2 * x + (x % 5 == 0)", hint="Add the number"),
]
VARIANTS["half"] = VARIANTS["half"][:-1] + [right("a product", "def half(x): return 0.5 * x")]
VARIANTS["third"] = []
"""
    # A check that trusts what comes back, so that a dict breaks it; and an exercise that needs another's name.
    checks = toy.CHECKS.replace(
        'expect.equal(student.call("double", x), 2 * x, "Add',
        'y = student.call("double", x)\n        expect.that(y - 2 * x == 0, "Add',
    )
    course = Course(toy.make(tmp_path_factory.mktemp("course"), checks=checks, variants=toy.VARIANTS + odd))
    return verify(course, ["sums"], jobs=2, timeout=6, seeds=4)


def problem(rows: list[Row], variant: str, exercise: str = "double") -> str:
    (row,) = [r for r in rows if r.variant == variant and r.exercise == exercise and r.kind != "file"][:1]
    return row.problem


def test_what_behaves_is_as_expected(rows: list[Row]) -> None:
    for exercise, top in (("double", 2), ("half", 4)):
        found = {r.kind: r for r in rows if r.exercise == exercise and r.kind in ("reference", "blank")}
        assert found["reference"].good and found["reference"].got == f"{top}/{top}"
        assert found["blank"].good and found["blank"].got == f"0/{top}"
        assert found["blank"].hint.startswith("Nothing is written here yet")
    assert problem(rows, "a lambda") == problem(rows, "no sign") == problem(rows, "an error") == ""
    (row,) = [r for r in rows if r.variant == "no sign"]
    assert (row.kind, row.expected, row.got) == ("wrong", "< 2", "1/2")
    assert row.hint == "A negative number has a double too."
    assert row.plain()["as_expected"] is True


def test_more_seeds_for_right_answers_find_a_check_that_fails_some(tmp_path: Path) -> None:
    checks = toy.CHECKS.replace("2 * x, ", "2 * x + (x % 20 == 0), ", 1)  # wrong for one student in twenty
    course = Course(toy.make(tmp_path, checks=checks))
    few = verify(course, jobs=2, seeds=1)
    assert {r.problem for r in few} == {""}, "with this one seed the check is right"
    many = {r.variant: r for r in verify(course, jobs=2, seeds=1, right_seeds=80) if r.exercise == "double"}
    for variant in ("the reference notebook", "a sum", "a lambda", "a shift"):
        assert many[variant].problem.startswith("a right answer gets 1 (seed ") and many[variant].got == "1 to 2/2"
    assert many["the blank notebook"].good and many["no sign"].got == "1/2"


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        ("right after all", "a wrong answer loses nothing"),
        ("another hint", "its student should read 'A negative number has a double', but reads"),
        ("wrong after all", "a right answer gets 1"),
        ("breaks the check", "the check of double broke"),
        ("hangs", "it took more than 6 s"),
        ("dies", "its process died (exit code 3)"),
    ],
)
def test_what_misbehaves_is_a_row_with_its_reason(rows: list[Row], variant: str, words: str) -> None:
    assert words in problem(rows, variant)


def test_a_variant_must_behave_with_every_seed(rows: list[Row]) -> None:
    (row,) = [r for r in rows if r.variant == "only sometimes"]
    assert not row.good


def test_the_file_itself_is_looked_at(rows: list[Row]) -> None:
    problems = {(r.exercise, r.problem) for r in rows if r.kind == "file"}
    assert problems == {
        ("half", "there are 5 wrong variants, 6 are needed"),
        ("half", "two variants are called 'a product'"),
        ("third", "'third' is no exercise of this assignment"),
    }


def test_rows_are_in_the_order_of_the_notebook(rows: list[Row]) -> None:
    exercises = [r.exercise for r in rows]
    assert exercises == sorted(exercises, key=["double", "half", "third"].index)


def test_an_answer_that_spoils_another_exercise_is_noticed(tmp_path: Path) -> None:
    """The second exercise's test calls the first one's answer."""
    source = toy.SOURCE.replace(
        'assert half(8) == 4, "Half of 8 is 4."', 'assert half(double(2)) == 2, "Half of 4 is 2."'
    )
    course = Course(toy.make(tmp_path, source=source))
    rows = verify(course, jobs=2, seeds=1)
    assert "it loses points on half too" in problem(rows, "the same")
    assert problem(rows, "no sign") == ""


def test_a_reference_that_is_wrong_and_a_blank_that_earns_are_noticed(tmp_path: Path) -> None:
    source = toy.SOURCE.replace("    return 2 * x\n", "    return abs(2 * x)\n").replace(
        "    ### BEGIN SOLUTION\n    return x / 2", "    return x / 2\n    ### BEGIN SOLUTION\n    pass"
    )
    # An ungraded cell that raises, though all of the notebook's answers are there.
    source = source.replace("# ## Half", "# ## Half\n\n# %%\nnothing_of_this_name")
    course = Course(toy.make(tmp_path, source=source))
    rows = {(r.exercise, r.kind): r for r in verify(course, jobs=2, seeds=1) if r.kind in ("reference", "blank")}
    assert "a right answer gets 1" in rows["double", "reference"].problem
    assert "raised NameError" in rows["half", "reference"].problem
    assert "nothing is written, but it gets 4" in rows["half", "blank"].problem
    assert rows["double", "blank"].good


@pytest.mark.parametrize("variants", ["", "VARIANTS = []", "VARIANTS = {'double': 3}", "VARIANTS = {'double': ['x']}"])
def test_a_file_without_variants_is_misuse(tmp_path: Path, variants: str) -> None:
    with pytest.raises(CourseError, match="should hold VARIANTS"):
        verify(Course(toy.make(tmp_path, variants=variants)))


def test_a_hint_on_file_that_says_nothing_is_misuse(tmp_path: Path) -> None:
    variants = toy.VARIANTS.replace('hint="Divide by two."', 'hint="two"')
    with pytest.raises(CourseError, match="too short"):
        verify(Course(toy.make(tmp_path, variants=variants)))


def test_what_the_reference_leaves_behind_helps_no_other_answer(tmp_path: Path) -> None:
    """It is run first where the answers are tried, for what checks keep: its names and random numbers go."""
    state = "import torch\n\nstart = torch.random.get_rng_state()\n"
    source = toy.SOURCE.replace("import fractions\n", f"import fractions\n{state}")
    source = source.replace("    return 2 * x\n", "    return twice * x\n", 1)
    source = source.replace("    ### END SOLUTION\n", "    ### END SOLUTION\n\n\ntwice = 2\ntorch.rand(5)\n", 1)
    odd = """
VARIANTS["double"] += [
    right("first to draw", "assert torch.equal(start, torch.random.get_rng_state())\\ndef double(x): return 2 * x"),
    wrong("with the reference's name", "def double(x): return twice * x", hint="NameError: name 'twice'"),
    wrong("is not __main__", "import __main__\\ndef double(x): return __main__.twice * x", hint="AttributeError"),
]
"""
    course = Course(toy.make(tmp_path, source=source, variants=toy.VARIANTS + odd))
    rows = verify(course, ["sums"], jobs=1, seeds=2)
    assert [f"{r.variant}: {r.problem}" for r in rows if r.problem] == []


@pytest.mark.parametrize(
    ("test", "checked"),
    [
        ('assert half(8) == 4, "Half of double(2) is 2."', False),  # a word, which is all that reading the source sees
        ("assert half(double(2)) == 2", True),
        # Something else is at hand where it raises, so that a trial with what raises alone would see no use of it.
        ("try:\n    four = double(2)\nexcept Exception:\n    four = 4\nassert half(four) == 2", True),
    ],
)
def test_a_later_exercise_that_only_names_an_answer_is_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, test: str, checked: bool
) -> None:
    source = toy.SOURCE.replace('assert half(8) == 4, "Half of 8 is 4."', test)
    course = Course(toy.make(tmp_path, source=source))
    found: list[rehearse.Rehearsal] = []
    parse = rehearse.parse
    monkeypatch.setattr(rehearse, "parse", lambda data: found.append(parse(data)) or found[-1])
    rows = verify(course, jobs=1, seeds=1)
    # Not of "the same", which prints, and so may do anything.
    tried = [r for r in found if r.findings[0].exercise == "double" and r.errors == () and len(r.findings) < 3]
    assert {r.unreached for r in tried} == {(), () if checked else ("half",)}
    assert {len(r.findings) for r in tried if r.unreached} <= {1}
    assert ("it loses points on half too" in problem(rows, "a constant")) is checked
