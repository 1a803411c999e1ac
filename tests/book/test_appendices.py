"""Every command on the pages for students and instructors, run on a fresh clone as they stand there."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVER = "make lab"


def blocks(page):
    text = (ROOT / "book" / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(r"```bash\n(.*?)```", text, re.S)


@pytest.fixture
def course(tmp_path, request):
    """The repository as it is now, committed: what COURSE_URL stands for; for students without the answers."""
    origin = tmp_path / "origin"
    left_out = getattr(request, "param", ())
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file() and Path(name).parts[0] not in left_out:
            (origin / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, origin / name)
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-q", "-m", "as it is now"]):
        subprocess.run(["git", *arguments], cwd=origin, check=True)
    return origin


@pytest.fixture
def terminal(tmp_path, course):
    """A shell that keeps its folder and environment from one block to the next."""
    keep = {k: os.environ[k] for k in ("PATH", "HOME", "LANG") if k in os.environ}
    outside = {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "UV_", "SSL_", "REQUESTS_"))}
    environment = {**keep, **outside, "COURSE_URL": str(course), "RAVINES_NO_SYSTEM": "1", "RAVINES_COMPILE": "0"}
    state = tmp_path / "state"
    state.write_text(f"cd {tmp_path}\n", encoding="utf-8")

    def run(code):
        script = f". {state}\nset -e\n{code}\nset +e\n{{ export -p; echo cd \"'$PWD'\"; }} > {state}\n"
        done = subprocess.run(
            ["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=900, check=False
        )
        said = f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        assert done.returncode == 0, f"{code}\nended with {done.returncode}:\n{said}"
        return done.stdout

    run.environment = environment
    return run


def fetch(url):
    """Read a page of a server that has announced itself and may take a moment to answer."""
    for _ in range(60):
        with contextlib.suppress(urllib.error.URLError), urllib.request.urlopen(url, timeout=60) as page:
            return page.read().decode()
        time.sleep(1)
    pytest.fail(f"{url} does not answer")


def serve_until_up(command, folder, environment):
    """Start a server as the page says, open its page, and end it."""
    process = subprocess.Popen(
        command,
        shell=True,
        cwd=folder,
        env={**environment, "BROWSER": "true", "JUPYTER_NO_CONFIG": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        seen, end = "", time.monotonic() + 600
        while time.monotonic() < end:
            line = process.stdout.readline()
            seen += line
            if not line and process.poll() is not None:
                break
            if found := re.search(r"http://(?:localhost|127\.0\.0\.1):\d+/lab\?token=\w+", line):
                assert "JupyterLab" in fetch(found[0])
                return
        pytest.fail(f"{command} printed no address:\n{seen[-3000:]}")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("course", [("solutions", "examples")], indirect=True, ids=["without the answers"])
def test_a_student_gets_from_nothing_to_a_checked_notebook(terminal, tmp_path):
    printed = []
    for block in blocks("students"):
        if block.strip() == SERVER:
            serve_until_up(SERVER, tmp_path / "course", terminal.environment)
        else:
            printed.append(terminal(block))
    work = tmp_path / "course" / "work" / "conditioning" / "conditioning.ipynb"
    assert work.is_file(), "make lab made no copy to work in"
    released = tmp_path / "course" / "notebooks" / "conditioning" / "conditioning.ipynb"
    assert work.read_bytes() == released.read_bytes()
    # The untouched notebook: each exercise is listed, and the student is told where to begin.
    table = " ".join(" ".join(printed).split())
    for exercise in ("condition_number", "newton_step", "power_iteration"):
        assert exercise in table
    assert "Nothing is written here yet" in table


@pytest.mark.slow
def test_an_instructor_gets_from_a_clone_to_a_graded_class(terminal, tmp_path):
    for block in blocks("instructors"):
        terminal(block)
    with tarfile.open(tmp_path / "course-for-students.tar.gz") as archive:
        handed_out = {Path(name).parts[1] for name in archive.getnames() if len(Path(name).parts) > 1}
    assert {"Makefile", "notebooks", "book", "ravines", "autograde"} <= handed_out
    assert not {"solutions", "examples", ".git"} & handed_out
    grades = tmp_path / "course" / "grades"
    rows = [line.split(",") for line in (grades / "grades.csv").read_text(encoding="utf-8").splitlines()[1:]]
    totals = {s: sum(float(r[3]) for r in rows if r[0] == s) for s in {r[0] for r in rows}}
    assert set(totals) == {"ada", "barbara", "hedy", "linus"}
    assert totals["ada"] == 20 and 0 < totals["barbara"] < 20
    assert {r[5] for r in rows if r[0] == "linus"} <= {"missing"} or all(
        r[5].startswith("rejected: ") for r in rows if r[0] == "linus"
    )
    export = (grades / "export.csv").read_text(encoding="utf-8").splitlines()
    barbara = next(line for line in export if ",barbara," in line)
    assert "2027-01-17 23:59:00" in barbara and "2027-01-18 20:15:00" in barbara
    for name in ("report.json", "junit.xml", "gradebook.db", "feedback/barbara/conditioning.html"):
        assert (grades / name).stat().st_size > 0, name
