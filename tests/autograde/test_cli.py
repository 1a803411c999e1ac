"""The command line: exit codes, one sentence for each misuse, JSON, and help that is there at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import toy
from click.testing import CliRunner, Result

from autograde import cli

COMMANDS = ["check", "doctor", "grade", "release", "verify"]


def run(*arguments: object) -> Result:
    """Run a command in this process; an exception that is no exit is raised."""
    return CliRunner().invoke(cli.main, [str(a) for a in arguments], catch_exceptions=False, prog_name="autograde")


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return toy.make(tmp_path)


def test_help_teaches_and_imports_no_torch() -> None:
    code = (
        "import sys; from autograde.cli import main; main(['--help'], standalone_mode=False); "
        "sys.exit(any(m in sys.modules for m in ('torch', 'nbgrader', 'jupytext', 'rich', 'numpy')))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for command in COMMANDS:
        assert f"\n  {command} " in result.stdout


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != "grade"])
def test_each_command_explains_itself_with_an_example(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"Example:  autograde {command}" in result.output
    assert "--course DIR" in result.output


def test_the_grade_command_is_there() -> None:
    pytest.importorskip("autograde.grade")
    result = run("grade", "--help")
    assert result.exit_code == 0 and "--out" in result.output
    assert cli.main.get_command(None, "grade").name == "grade"


def test_as_a_module_and_as_a_program() -> None:
    version = subprocess.run(
        [sys.executable, "-m", "autograde", "--version"], capture_output=True, text=True, check=True
    )
    assert version.stdout.startswith("autograde, version ")
    program = Path(sys.executable).parent / "autograde"
    misuse = subprocess.run([program, "publish"], capture_output=True, text=True, check=False)
    assert misuse.returncode == 2 and "No such command 'publish'" in misuse.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["release", "products"],
        ["verify", "products"],
        ["release", "--course", "nowhere"],
        ["verify", "--course", "nowhere"],
        ["check", "nowhere.ipynb", "--course", "nowhere"],
        ["check", "nowhere.ipynb"],
        ["check", "_toc.yml"],
        ["check", "notebooks"],
        ["doctor", "--course", "nowhere"],
    ],
    ids=" ".join,
)
def test_misuse_is_one_sentence_and_2(course: Path, arguments: list[str]) -> None:
    (course / "notebooks").mkdir()
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.output.startswith("Error: ") and result.output.count("\n") == 1
    assert result.output.rstrip().endswith(".")


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["verify", "--seeds", "0"],
        ["verify", "--timeout", "0"],
        ["verify", "--jobs", "x"],
        ["release", "--x"],
    ],
    ids=" ".join,
)
def test_wrong_options_are_2(course: Path, arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2 and "Usage:" in result.output


def test_outside_a_course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for command in ("release", "verify"):
        result = run(command)
        assert result.exit_code == 2 and "--course DIR" in result.output


def test_a_fault_of_ours_is_not_hidden(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from autograde import release

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(release, "release", broken)
    with pytest.raises(ZeroDivisionError):
        run("release")


def test_release(course: Path) -> None:
    stale = run("release", "--check")
    assert stale.exit_code == 1
    assert stale.output == "notebooks/sums/sums.ipynb: missing; mend it with: autograde release sums\n"
    assert run("release").exit_code == 0
    assert run("release", "--check").output == "notebooks/sums/sums.ipynb: current\n"
    assert run("release", "--check", "--course", course).exit_code == 0
    (course / "notebooks" / "sums" / "sums.ipynb").write_text("{}")
    assert run("release", "--check", "sums").exit_code == 1


def test_verify(course: Path, capfd: pytest.CaptureFixture[str]) -> None:
    good = run("verify", "--seeds", 1, "--json")
    assert good.exit_code == 0
    told = json.loads(good.stdout)
    assert (told["as_expected"], told["not"]) == (22, 0) and len(told["rows"]) == 22
    assert good.stderr == "" and capfd.readouterr() == ("", ""), "no bar in a pipe, and no variant's own printing"

    variants = course / "solutions" / "sums" / "variants.py"
    variants.write_text(variants.read_text().replace("return x // 2", "return x / 2"))
    bad = run("verify", "sums", "--seeds", 1, "--kernel")
    assert bad.exit_code == 1
    assert "✗ sums, half, an integer: a wrong answer loses nothing" in bad.output
    assert bad.output.rstrip().endswith("25 rows as expected, 1 not")
    assert bad.output.count("in a kernel") == 4


def test_check(course: Path) -> None:
    run("release")
    path = course / "notebooks" / "sums" / "sums.ipynb"
    junit, summary = course / "reports" / "junit.xml", course / "summary.md"
    summary.write_text("# Before\n")
    result = run("check", path, "--junit", junit, "--summary", summary, "--json")
    assert result.exit_code == 1
    (notebook,) = json.loads(result.stdout)["notebooks"]
    assert [e["state"] for e in notebook["exercises"]] == ["failed", "failed"]
    assert 'failures="2"' in junit.read_text()
    assert summary.read_text().startswith("# Before\n### sums: 0 of 2 visible tests pass")

    text = path.read_text()
    for answer in ("return 2 * x", "return x / 2"):
        text = text.replace("raise NotImplementedError()", answer, 1)
    path.write_text(text)
    result = run("check", path)
    assert result.exit_code == 0
    assert "2 of 2 visible tests pass. Hidden tests" in result.output
    unwritable = run("check", path, "--junit", course / "_toc.yml" / "x.xml")
    assert unwritable.exit_code == 2 and "cannot be written" in unwritable.output


def test_doctor(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from autograde import doctor

    for slow in ("kernel", "gpu"):
        monkeypatch.setattr(doctor, slow, lambda: doctor.Finding("slow", "ok", "not looked for"))
    assert run("doctor").exit_code == 0
    monkeypatch.setattr(doctor, "python", lambda: doctor.Finding("Python", "missing", "none", "get one"))
    result = run("doctor", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["missing"] == 1 and told["findings"][0]["mend"] == "get one"
    assert "1 thing missing" in run("doctor").output
