"""The call in a hidden region, as stock nbgrader would run it."""

from __future__ import annotations

from pathlib import Path

import pytest
import toy

from autograde import stock


@pytest.fixture
def in_course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    toy.make(tmp_path)
    inside = tmp_path / "autograded" / "ada" / "sums"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    return tmp_path


@pytest.mark.parametrize(
    ("answer", "points", "printed"),
    [
        (lambda x: x / 2, 4.0, ""),
        (lambda x: x / 2 if x % 1 else x // 2, 3.0, "half, an odd number: An odd number has a half too"),
        (lambda x: x, 0.0, "half, a number: Divide by two."),
    ],
    ids=["right", "rounds", "wrong"],
)
def test_score_is_the_points_earned(in_course, capsys, answer, points, printed) -> None:
    assert stock.score("sums", "half", {"half": answer}) == points
    text = capsys.readouterr().out
    assert text == "" if points == 4 else printed in text


def test_the_seed_is_secret_unless_the_environment_gives_it(in_course: Path, monkeypatch) -> None:
    asked = []

    def half(x):
        asked.append(x)
        return x / 2

    def numbers() -> list:
        asked.clear()
        stock.score("sums", "half", {"half": half})
        return list(asked)

    monkeypatch.delenv(stock.SEED, raising=False)
    assert numbers() != numbers()
    monkeypatch.setenv(stock.SEED, "5")
    first = numbers()
    assert first == numbers()
    monkeypatch.setenv(stock.SEED, "6")
    assert first != numbers()


def test_a_check_that_breaks_is_an_error(in_course: Path) -> None:
    checks = in_course / "solutions" / "sums" / "checks.py"
    checks.write_text(checks.read_text().replace("x = cases.uniform(5, 1000)", "x = cases.nothing"))
    with pytest.raises(RuntimeError, match="nothing"):
        stock.score("sums", "half", {"half": lambda x: x / 2})


def test_an_unknown_exercise_is_an_error(in_course: Path) -> None:
    with pytest.raises(KeyError, match="third"):
        stock.score("sums", "third", {})
