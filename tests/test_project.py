"""The repository itself: its lock, licences, workflows, Makefile and file names."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import tomllib
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = ["help", "setup", "course", "release", "book", "test", "lab", "serve"]
TARGETS += ["lint", "lock", "bench", "clean", "distclean"]


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command with no input and these additions to the environment, and return what it said."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


# The lock ---------------------------------------------------------------------------------------------


def read_lock() -> list[Requirement]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.lstrip().startswith("#")]


def active(requirement: Requirement, environment: dict[str, str], extra: str = "") -> bool:
    return requirement.marker is None or requirement.marker.evaluate({**environment, "extra": extra})


def pins(environment: dict[str, str]) -> dict[str, Version]:
    """Return {name: version} of the lock's lines that hold in this environment."""
    result: dict[str, Version] = {}
    for line in read_lock():
        if active(line, environment):
            (specifier,) = line.specifier
            name = canonicalize_name(line.name)
            assert name not in result, f"requirements.txt pins {name} twice in one environment"
            result[name] = Version(specifier.version)
    return result


def wanted() -> list[Requirement]:
    """Return what pyproject.toml asks for, extras included."""
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    return [Requirement(text) for group in groups for text in group]


ENVIRONMENTS = {
    f"{platform}-{python}": {
        **default_environment(),
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": platform,
        "platform_system": {"linux": "Linux", "darwin": "Darwin"}[platform],
        "platform_machine": {"linux": "x86_64", "darwin": "arm64"}[platform],
        "os_name": "posix",
    }
    for platform in ("linux", "darwin")
    for python in ("3.11", "3.12", "3.13")
}


def test_every_line_of_the_lock_is_one_exact_version():
    for line in read_lock():
        assert [specifier.operator for specifier in line.specifier] == ["=="], str(line)
        assert line.url is None, f"{line.name} is locked to an address, not to a version"


@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_the_lock_satisfies_pyproject(environment):
    locked = pins(environment)
    for requirement in wanted():
        if active(requirement, environment):
            name = canonicalize_name(requirement.name)
            assert name in locked, f"{requirement} is not in requirements.txt: run `make lock`"
            assert requirement.specifier.contains(locked[name], prereleases=True), (
                f"requirements.txt has {name} {locked[name]}, pyproject.toml wants {requirement}: run `make lock`"
            )


def test_the_lock_is_complete_and_holds_nothing_else():
    """Follow what each installed distribution says it needs, from pyproject.toml on."""
    environment = default_environment()
    locked = pins(environment)
    try:
        differing = {name for name, version in locked.items() if Version(metadata.version(name)) != version}
    except metadata.PackageNotFoundError as error:
        pytest.skip(f"this Python was not set up from requirements.txt: it has no {error.name}")
    if differing:
        pytest.skip(f"this Python was not set up from requirements.txt: {', '.join(sorted(differing))} differ")

    seen: set[tuple[str, str]] = set()
    todo = [("pyproject.toml", requirement, "") for requirement in wanted()]
    while todo:
        parent, requirement, extra = todo.pop()
        if not active(requirement, environment, extra):
            continue
        name = canonicalize_name(requirement.name)
        assert name in locked, f"{parent} needs {requirement}, which is not in requirements.txt: run `make lock`"
        assert requirement.specifier.contains(locked[name], prereleases=True), (
            f"{parent} needs {requirement}, requirements.txt has {locked[name]}: run `make lock`"
        )
        for key in ("", *requirement.extras):
            if (name, key) not in seen:
                seen.add((name, key))
                needs = metadata.requires(name) or []
                todo += [(name, Requirement(text), key) for text in needs]
    superfluous = set(locked) - {name for name, _ in seen}
    assert not superfluous, f"nothing needs {', '.join(sorted(superfluous))}: run `make lock`"


def test_the_course_is_measured_with_these_versions():
    locked = pins(default_environment())
    assert str(locked["torch"]) == "2.15.0"
    assert str(locked["torchvision"]) == "0.29.2"


@pytest.mark.skipif(not shutil.which("uv"), reason="uv is not on PATH; `make test` puts it there")
def test_a_stale_lock_is_reported(tmp_path):
    """A requirement that no pin meets must fail, and an index out of reach must be said, not failed."""
    for name in ("requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    nowhere = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}
    done = run("sh", ROOT / "tools" / "lock.sh", "--check", cwd=tmp_path, UV_CACHE_DIR=str(tmp_path / "c"), **nowhere)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    assert "cannot be reached" in done.stdout

    project = tmp_path / "pyproject.toml"
    project.write_text(project.read_text().replace('"tqdm>=4.66"', '"tqdm<4.70"'))
    done = run("sh", ROOT / "tools" / "lock.sh", "--check", cwd=tmp_path)
    if "cannot be reached" in done.stdout:
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 1
    assert "make lock" in done.stderr
    assert "+tqdm==4.69" in done.stderr or "+tqdm==4.6" in done.stderr


# Licences and citation --------------------------------------------------------------------------------


def test_each_licence_named_in_pyproject_is_there():
    texts = {name: (ROOT / name).read_text() for name in PROJECT["license-files"]}
    assert set(PROJECT["license"].split(" AND ")) == {"BSD-3-Clause", "CC-BY-4.0", "MIT"}
    holder = "The From Ravines to ResNets authors"
    assert PROJECT["authors"] == [{"name": holder}]

    code = texts["LICENSE"]
    assert code.startswith("BSD 3-Clause License")
    assert f"Copyright (c) 2026, {holder}" in code
    assert "Neither the name of the copyright holder" in code

    text = texts["LICENSE-TEXT"]
    assert "SPDX: CC-BY-4.0" in text
    assert holder in text
    assert "Attribution 4.0 International" in text
    assert "Section 8 -- Interpretation" in text, "the legal text is cut off"

    assert "Permission is hereby granted, free of charge" in texts["data/LICENSE"]


def test_citation():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "license", "version"} <= set(citation)
    assert citation["version"] == PROJECT["version"]
    assert citation["title"] == PROJECT["description"]
    assert citation["authors"] == PROJECT["authors"]


# Workflows and hooks ----------------------------------------------------------------------------------


def load_workflow(path: Path) -> dict:
    workflow = yaml.safe_load(path.read_text())
    workflow["on"] = workflow.pop(True)  # YAML 1.1 reads the key `on` as a truth value
    return workflow


def test_there_are_four_workflows():
    assert [path.stem for path in WORKFLOWS] == ["autograde", "ci", "pages", "verify"]
    assert "workflow_call" in load_workflow(WORKFLOWS[0])["on"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow(path):
    workflow = load_workflow(path)
    assert workflow["permissions"] == {"contents": "read"}, "a job that needs more says so itself"
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]), step["uses"]


def actionlint(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    done = run(sys.executable, ROOT / "tools" / "actionlint.py", *arguments)
    if done.returncode == 3:
        pytest.skip(done.stdout.strip())
    return done


def test_actionlint_finds_nothing():
    done = actionlint(ROOT / ".github" / "workflows")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("runs-on: ubuntu-latest", "runs-onn: ubuntu-latest", "unexpected key"),
        ("${{ matrix.python }}", "${{ matrix.version }}", "not defined in object type"),
        ("name: ci", "name: [ci", "could not parse as YAML"),
    ],
)
def test_actionlint_rejects_a_broken_workflow(tmp_path, right, wrong, message):
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert right in text
    broken = tmp_path / "broken.yml"
    broken.write_text(text.replace(right, wrong))
    done = actionlint(broken)
    assert done.returncode == 1
    assert message in done.stdout


def test_actionlint_on_nothing_is_misuse(tmp_path):
    assert actionlint(tmp_path).returncode == 2


def test_hooks():
    hooks = [
        hook
        for repository in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
        for hook in repository["hooks"]
    ]
    assert [hook["id"] for hook in hooks] == ["ruff", "ruff-format", "codespell", "notebooks-in-sync"]
    assert hooks[-1]["entry"].endswith("autograde release --check")


# Makefile and set-up ----------------------------------------------------------------------------------


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make as from a shell, though these tests may themselves be run by make."""
    return run("make", *arguments, MAKEFLAGS="", MAKELEVEL="0")


def test_help_names_every_target_and_is_the_default():
    done = make("help")
    assert done.returncode == 0, done.stderr
    named = [line.split()[0] for line in done.stdout.splitlines()[1:]]
    assert sorted(named) == sorted(TARGETS)
    assert make().stdout == done.stdout


@pytest.mark.parametrize("target", TARGETS)
def test_target_can_be_planned(target):
    """No rule is missing, and none goes in a circle."""
    done = make("-n", target)
    assert (done.returncode, done.stderr) == (0, "")


def test_ci_calls_make_test_and_nothing_else():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = [line for line in script.read_text().splitlines() if line and not line.startswith("#")]
    assert lines == ["set -euo pipefail", 'cd "$(dirname "${BASH_SOURCE[0]}")/.."', "make test"]


@pytest.fixture
def empty_checkout(tmp_path):
    """Return a folder with what the set-up reads before it makes .venv."""
    folder = tmp_path / "a folder"
    (folder / "tools").mkdir(parents=True)
    for name in ("tools/setup.sh", "requirements.txt", "pyproject.toml", "Makefile"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def test_no_python_or_one_too_old_is_one_sentence(empty_checkout):
    old = empty_checkout / "python-old"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    for python in (str(old), "no-such-python"):
        done = run("sh", "tools/setup.sh", cwd=empty_checkout, PYTHON=python)
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1
        assert "Python 3.11 or newer" in done.stderr
        assert not (empty_checkout / ".venv").exists()


@pytest.fixture
def stub(empty_checkout):
    """Return a function that runs the set-up with a PATH of stubs: an installed .venv, and these commands."""
    binaries = empty_checkout / ".venv" / "bin"
    binaries.mkdir(parents=True)
    path = empty_checkout / "path"
    path.mkdir()

    def script(file: Path, text: str) -> None:
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)

    script(binaries / "python", "exit 0")
    script(binaries / "uv", "exit 0")
    for name in ("sh", "cat", "rm", "env"):
        (path / name).symlink_to(shutil.which(name))

    def go(**commands: str) -> subprocess.CompletedProcess[str]:
        for name, text in {"uname": "echo Linux", **commands}.items():
            script(path / name, text)
        return run("sh", "tools/setup.sh", cwd=empty_checkout, PATH=str(path), RAVINES_NO_SYSTEM="0")

    return go


def test_missing_system_packages_are_named_once(stub):
    done = stub(id="echo 1000")
    assert done.returncode == 0, done.stderr
    line = done.stdout.splitlines()[-1]
    assert line.startswith("Not installed: bubblewrap chromium.")
    assert "sudo apt-get install bubblewrap chromium" in line
    assert "Not installed" not in stub(id="echo 1000").stdout


def test_system_packages_are_installed_when_the_user_may(stub, empty_checkout):
    log = empty_checkout / "log"
    done = stub(
        **{
            "id": "echo 1000",
            "sudo": 'shift; [ "$1" = true ] || exec "$@"',
            "apt-get": f'echo "$@" >>"{log}"; case "$*" in *chromium) exit 100;; esac',
        }
    )
    assert done.returncode == 0, done.stderr
    calls = log.read_text().splitlines()
    assert calls[0].endswith("update")
    assert [call.split()[-1] for call in calls[1:]] == ["bubblewrap", "chromium"]
    assert all("--no-install-recommends" in call for call in calls[1:])
    # The one that failed is named; the other is not, and the set-up goes on.
    assert "Not installed: chromium." in done.stdout


# nbgrader ---------------------------------------------------------------------------------------------


def test_nbgrader_config(tmp_path):
    """The config stands on its own folder, makes what it needs, and nbgrader's database commands run on it."""
    pytest.importorskip("nbgrader")
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    done = run(sys.executable, "-m", "nbgrader", "db", "assignment", "add", "momentum", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    with sqlite3.connect(tmp_path / "_build" / "nbgrader" / "gradebook.db") as gradebook:
        assert gradebook.execute("select name from assignment").fetchall() == [("momentum",)]
    assert {path.name for path in tmp_path.iterdir()} == {"nbgrader_config.py", "_build"}


# The tree ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tree() -> list[Path]:
    """Return the files that are tracked, or new and not ignored, relative to the root."""
    done = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if done.returncode:
        pytest.skip("this is no git checkout")
    return [Path(name) for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_numbers_in_file_names(tree):
    """The order is _toc.yml's alone. A format's suffix (.j2), data/ and what students call files are others' choice."""
    others = {("data",), ("examples", "submissions")}
    names = [path.with_suffix("") for path in tree if not {path.parts[:1], path.parts[:2]} & others]
    numbered = [str(name) for name in names if re.search(r"\d", str(name))]
    assert not numbered


def hosts() -> set[str]:
    """Return the host names of package registries: the public ones, and those set on this machine."""
    settings = [os.environ.get(name, "") for name in os.environ if re.search(r"(?i)index|registry", name)]
    for name in ("global.index-url", "global.extra-index-url"):
        settings.append(run(sys.executable, "-m", "pip", "config", "get", name).stdout)
    found = {urlsplit(word).hostname for setting in settings for word in setting.split() if "//" in word}
    public = {".".join(parts) for parts in (("files", "pythonhosted", "org"), ("registry", "npmjs", "org"))}
    return public | {host for host in found if host and "." in host and host != "pypi.org"}


def test_no_file_names_this_machine(tree):
    """No path of this checkout and no registry's host: either works here and nowhere else."""
    places = {str(ROOT)}
    general = {"/", "/root", "/home", tempfile.gettempdir(), str(Path.home())}
    if str(ROOT.parent) not in general:
        places.add(str(ROOT.parent))
    path = "|".join(re.escape(place) for place in places)
    host = "|".join(re.escape(name) for name in hosts())
    pattern = re.compile(rf"(?<![\w.~-])(?:{path})(?![\w-])|(?<![\w.-])(?:{host})(?![\w-])".encode())
    found = []
    for name in tree:
        content = (ROOT / name).read_bytes()
        if b"\0" not in content[:8000]:
            found += [f"{name}: {match[0].decode()}" for match in pattern.finditer(content)]
    assert not found


def test_the_tests_of_a_file_share_a_worker(tmp_path):
    """Else each worker makes the file's fixtures again: minutes, and no failure says so."""
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "tests")
    code = (
        "import os, time\nimport pytest\n"
        "@pytest.mark.parametrize('k', range(5))\n"
        "def test(k):\n"
        "    time.sleep(0.1)\n"
        "    open(f'{__name__}.txt', 'a').write(os.environ['PYTEST_XDIST_WORKER'] + ' ')\n"
    )
    names = [f"test_{letter}" for letter in "abcd"]
    for name in names:
        (tmp_path / "tests" / f"{name}.py").write_text(code)
    (options,) = re.findall(r"-m pytest (-n .*) \$\(ARGS\)", (ROOT / "Makefile").read_text())
    done = run(sys.executable, "-m", "pytest", *options.replace("$(WORKERS)", "2").split(), "tests", cwd=tmp_path)
    assert "20 passed" in done.stdout, done.stdout + done.stderr
    workers = [(tmp_path / f"{name}.txt").read_text().split() for name in names]
    assert all(len(w) == 5 and len(set(w)) == 1 for w in workers), workers
    assert {w[0] for w in workers} == {"gw0", "gw1"}
