"""The student's process: what it sees, what is kept of it, and how it is stopped. Each test starts a kernel."""

import asyncio
import contextlib
import os
import time
from pathlib import Path

import nbformat
import pytest

from autograde import host as hosts
from autograde import parent
from autograde.harness import REPLY_MIME
from autograde.host import BUBBLEWRAP, NONE, Host, Limits, Place
from autograde.kernel import Kernel, KernelStudent
from autograde.sandbox import SandboxError
from autograde.sandbox import check as check_sandbox
from autograde.student import StudentError, StudentStopped

FORKS = parent.available()
QUICK = Limits(cell=2.0, total=60.0, grace=1.0)


@pytest.fixture(scope="module", params=["sandboxed", "forked", "ordinary"])
def host(request):
    """Each way to start a kernel."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "sandboxed":
            try:
                check_sandbox()
            except SandboxError as error:
                pytest.skip(str(error))
        elif not parent.available():
            pytest.skip("kernels cannot be forked on this system")
        if request.param == "ordinary":
            patch.setattr(parent, "available", lambda: False)
        with Host(QUICK, BUBBLEWRAP if request.param == "sandboxed" else NONE) as entered:
            yield entered


def session(host, body, limits=QUICK, **kwargs):
    """Run ``await body(run, ask, kernel)`` with a kernel, and return the folder that the kernel had."""
    host.limits = limits

    async def main():
        async with Kernel(host, **kwargs) as process:
            student = KernelStudent(process, {"f": "def f(): ..."}, asyncio.get_running_loop())

            async def run(source):
                cell = nbformat.v4.new_code_cell(source)
                return cell, await process.run(cell)

            async def ask(code, returns=(), **inputs):
                return await asyncio.to_thread(student.run, code, returns, **inputs)

            await body(run, ask, process)
            return process._place.root

    return asyncio.run(main())


def text(cell):
    return "".join(o.get("text", "") or o.get("data", {}).get("text/plain", "") for o in cell.outputs)


def test_what_the_process_sees_and_what_is_kept(host, monkeypatch):
    monkeypatch.setenv("COURSE_TOKEN", "secret")

    async def body(run, ask, process):
        cell, _ = await run("import os, sys; print(sorted(os.environ), set(os.listdir()) - {'.ipython'}); os.getcwd()")
        assert "COURSE_TOKEN" not in text(cell) and "{'note.txt'}" in text(cell)
        assert text(cell).endswith("'.'"), "the work folder's random name must not be kept"
        assert not [p for p in (await run("sys.path"))[0].outputs[0].data["text/plain"].split("'") if "solutions" in p]

        cell, end = await run("def broken():\n    return missing\nbroken()")
        assert str(end.error) == "NameError: name 'missing' is not defined" and not end.interrupted
        assert cell.outputs[0].output_type == "error" and "\x1b" not in "".join(cell.outputs[0].traceback)
        _, end = await run("def f(:")
        assert str(end.error) == "SyntaxError: invalid syntax (line 1)"
        cell, end = await run("import warnings; warnings.warn('odd')")
        assert end.error is None and "<cell>:1: UserWarning: odd" in text(cell)

        page = (
            "from IPython.display import HTML, Javascript, display; display(Javascript('alert(1)')); HTML('<b>x</b>')"
        )
        cell, _ = await run(page)
        assert {k for o in cell.outputs for k in o.data} == {"text/plain"}

        _, end = await run("input()")
        assert end.error.kind == "StdinNotImplementedError"

        await run("state = 1")
        assert await ask("state = state + x; y = state", "y", x=4) == 5
        assert text((await run("state"))[0]) == "1", "a question must change nothing"
        assert text((await run("[n for n in dir() if 'autograde' in n or n == 'harness']"))[0]) == "[]"
        with pytest.raises(StudentError, match="ZeroDivisionError"):
            await ask("1 / 0")

        # Replies of the student's own making.
        forged = f"from IPython.display import display; display({{{REPLY_MIME!r}: 'AAAA'}}, raw=True)"
        with pytest.raises(StudentError, match="no answer, or more than one"):
            await ask(forged)
        await run("import autograde.harness as h; keep = h.execute; h.execute = lambda *a: b'junk'")
        with pytest.raises(StudentError, match="not a value"):
            await ask("")
        await run("h.execute = keep")
        assert await ask("z = 1", "z") == 1

        # Output without end costs nothing but itself.
        cell, end = await run("for i in range(20): print('x' * 10**6)")
        assert end.error is None and process.dropped and len(text(cell)) <= process.limits.output
        assert text((await run("1 + 1"))[0]) == "" and await ask("z = 2", "z") == 2

    root = session(host, body, files={"note.txt": "hello"})
    assert not root.exists()


def test_a_cell_that_takes_too_long_is_interrupted(host):
    async def body(run, ask, process):
        cell, end = await run("print('before')\nwhile True: pass")
        assert end.interrupted and text(cell) == "before\n" and process.stopped is None
        with pytest.raises(StudentStopped, match="longer than 2 s") as stop:
            await ask("while True: pass")
        assert stop.value.status == "timeout" and process.stopped is None
        assert await ask("x = 1", "x") == 1

    session(host, body)


def test_a_process_that_ignores_interrupts_is_killed(host):
    async def body(run, ask, process):
        pid = process._manager.provisioner.pid
        with pytest.raises(StudentStopped, match="did not stop when asked to") as stop:
            await run("import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass")
        assert stop.value.status == "timeout" and process.stopped is not None
        with pytest.raises(StudentStopped):
            await run("1")
        await process.close()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    session(host, body)


def test_the_whole_time_is_bounded_too(host):
    async def body(run, ask, process):
        with pytest.raises(StudentStopped, match="whole notebook took longer than 3 s"):
            for _ in range(5):
                await run("import time; time.sleep(1)")

    session(host, body, Limits(cell=2.0, total=3.0, grace=1.0))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import os; os._exit(0)", "ended the Python process, as os._exit"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "signal SIGKILL, often because"),
    ],
)
def test_a_process_that_ends_is_noticed(host, source, words):
    async def body(run, ask, process):
        start = time.monotonic()
        with pytest.raises(StudentStopped, match=words) as stop:
            await run(source)
        assert time.monotonic() - start < 5.0, "the dead are not waited for"
        assert stop.value.status == "killed"
        with pytest.raises(StudentStopped):
            await ask("")

    session(host, body)


def test_nothing_is_left_behind_by_a_cancellation(host):
    seen = {}

    async def body(run, ask, process):
        seen["root"], seen["pid"] = process._place.root, process._manager.provisioner.pid
        task = asyncio.create_task(run("import subprocess; subprocess.run(['sleep', '30'])"))
        await asyncio.sleep(0.5)
        task.cancel()
        raise asyncio.CancelledError

    with contextlib.suppress(asyncio.CancelledError):
        session(host, body)
    assert not seen["root"].exists()
    with pytest.raises(ProcessLookupError):
        os.kill(seen["pid"], 0)


def test_a_courses_package_goes_before_another_of_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(parent, "available", lambda: FORKS)
    package = tmp_path / "course" / "ravines"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("answer = 42\n")
    monkeypatch.setenv("PYTHONPATH", str(package.parent))  # no student's process gets this one
    assert hosts.library_paths([package, Path(pytest.__file__).parent]) == {"ravines": package}
    for kind in (BUBBLEWRAP, NONE):
        with Host(QUICK, kind, [package], modules=["ravines"]) as entered:

            async def body(run, ask, process):
                assert await ask("import ravines; x = ravines.answer", "x") == 42

            session(entered, body)


def test_only_packages_that_are_not_found_are_linked(tmp_path, monkeypatch):
    monkeypatch.setattr(parent, "available", lambda: FORKS)  # whatever the last host of this module was
    package = tmp_path / "course" / "strange_helpers"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("answer = 42\n")
    paths = hosts.library_paths([package, Path(pytest.__file__).parent])
    assert paths == {"strange_helpers": package}
    place = Place(tmp_path, tmp_path, tmp_path, tmp_path / "library")
    assert hosts.environment(place)["PYTHONPATH"] == str(place.library)
    for kind in (BUBBLEWRAP, NONE):
        with Host(QUICK, kind, [package, Path(pytest.__file__).parent]) as entered:

            async def body(run, ask, process):
                seen = await ask("import strange_helpers as s; x = s.answer", "x")
                folders = await ask("import os, sys; x = [os.listdir(p) for p in sys.path if 'library' in p]", "x")
                assert seen == 42 and folders == [["strange_helpers"]]

            session(entered, body)
