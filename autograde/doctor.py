"""What is here, what is missing, and how to get it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from autograde import parent

DISTRIBUTION = "ravines"
#: The extras without which a command of this package does not work; the others are good to have.
NEEDED_EXTRAS = ("", "grade")
#: Less free space than this, and a class's feedback may not fit.
MIN_FREE = 2 * 2**30
#: What forbids user namespaces to bubblewrap on some systems, and the value that allows them.
_SWITCHES = {
    "kernel.unprivileged_userns_clone": "1",
    "kernel.apparmor_restrict_unprivileged_userns": "0",
}
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL = "make setup, or: python -m pip install -r requirements.txt -e '.[grade,book,dev]'"


@dataclass(frozen=True)
class Finding:
    """One thing looked for.

    Attributes:
        what: its name.
        state: ``"ok"``, ``"missing"`` (required) or ``"absent"`` (good to have).
        found: what is here.
        mend: how to get it; empty when it is here.
    """

    what: str
    state: str
    found: str
    mend: str = ""

    def plain(self) -> dict[str, Any]:
        """Return the finding as JSON would hold it."""
        return asdict(self)


def doctor(course: Path | None = None) -> Iterator[Finding]:
    """Look at one thing after another.

    Args:
        course: the course's root, to look for its data; None when there is none.
    """
    yield python()
    yield from packages()
    yield kernel()
    yield sandbox()
    yield forking()
    yield gpu()
    yield chromium()
    if course is not None:
        yield data(course)
    yield disk(course or Path.cwd())


def python() -> Finding:
    """The Python that runs this, against the one that the package asks for."""
    try:
        wanted = importlib.metadata.metadata(DISTRIBUTION).get("Requires-Python") or ""
    except importlib.metadata.PackageNotFoundError:
        wanted = ""
    here = platform.python_version()
    good = SpecifierSet(wanted).contains(here, prereleases=True)
    return _finding("Python", good, f"{here} ({sys.executable})", f"install Python {wanted}, and set up .venv with it")


def packages() -> Iterator[Finding]:
    """Each package that the distribution asks for, against its range; those that fit, in one line."""
    try:
        lines = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding(f"package {DISTRIBUTION}", "missing", "not installed", INSTALL)
        return
    fitting = 0
    for name, (requirement, required) in _requirements(lines).items():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            version = ""
        if version and requirement.specifier.contains(version, prereleases=True):
            fitting += 1
            continue
        found = f"{version} does not fit {requirement.specifier}" if version else "not installed"
        yield _finding(f"package {name}", False, found, INSTALL, required)
    if fitting:
        main = ", ".join(f"{n} {_version(n)}" for n in ("torch", "torchvision", "nbgrader") if _version(n))
        yield Finding("packages", "ok", f"{fitting} fit their ranges ({main})")


def kernel() -> Finding:
    """A Jupyter kernel: whether one starts and answers."""
    mend = "python -m pip install ipykernel, and see whether `jupyter kernelspec list` shows python3"
    try:
        from jupyter_client.manager import start_new_kernel

        manager, client = start_new_kernel(startup_timeout=60, stderr=subprocess.DEVNULL)
        try:
            reply = client.execute_interactive("1 + 1", timeout=60, store_history=False, output_hook=lambda _: None)
            good = reply["content"]["status"] == "ok"
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
    except Exception as error:  # what a broken installation raises is anybody's guess
        return _finding("Jupyter kernel", False, f"does not start ({type(error).__name__}: {_line(error)})", mend)
    return _finding("Jupyter kernel", good, "starts and answers" if good else "starts, but does not answer", mend)


def sandbox() -> Finding:
    """The sandbox that `autograde grade` runs students' code in: by making one and entering it."""
    from autograde import sandbox as boxes

    try:
        program = boxes.program()
    except boxes.SandboxError:
        mend = "apt-get install bubblewrap (Linux only; without it, grade only notebooks that you trust)"
        return _finding("sandbox", False, "no bubblewrap", mend, required=False)
    try:
        boxes.check()
    except boxes.SandboxError as error:
        return _finding("sandbox", False, str(error), _user_namespaces(), required=False)
    return Finding("sandbox", "ok", f"{_try([program, '--version'])[1]}; one was made and entered")


def _user_namespaces() -> str:
    """Say how to allow user namespaces on this machine."""
    for name, value in _SWITCHES.items():
        path = Path("/proc/sys", *name.split("."))
        try:
            if path.read_text().strip() != value:
                return f"allow user namespaces: sudo sysctl -w {name}={value}"
        except OSError:
            continue
    return "allow user namespaces: in a container, --security-opt seccomp=unconfined --security-opt apparmor=unconfined"


def forking() -> Finding:
    """Whether kernels can be forked from a process that has imported torch: that starts them in a tenth of a second."""
    good = parent.available()
    found = "kernels are forked from a warm parent" if good else "not on this system: each kernel imports torch anew"
    return _finding("fork", good, found, "use Linux, WSL or a Linux container", False)


def gpu() -> Finding:
    """A CUDA device that this PyTorch can use."""
    code = (
        "import torch; n = torch.cuda.device_count() if torch.cuda.is_available() else 0; "
        "print(', '.join(torch.cuda.get_device_name(i) for i in range(n)))"
    )
    status, text = _try([sys.executable, "-W", "ignore", "-c", code], timeout=120)
    if status:
        return _finding("CUDA device", False, f"PyTorch does not load: {text}", INSTALL)
    mend = "none is needed; pages and assignments run on the CPU"
    return _finding("CUDA device", bool(text), text or "none", mend, required=False)


def chromium() -> Finding:
    """A browser for screenshots of pages."""
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    mend = "apt-get install chromium (only tests that look at pages need it)"
    return _finding("Chromium", program is not None, program or "none", mend, required=False)


def data(course: Path) -> Finding:
    """The course's data: each file that a SHA256SUMS under ``data/`` lists, with that sum."""
    lists = sorted((course / "data").rglob("SHA256SUMS"))
    mend = "git checkout -- data, or clone anew"
    if not lists:
        found = "no data/ with a SHA256SUMS"
        return _finding("course data", False, found, "if the course should have data, clone it anew", required=False)
    files = size = 0
    for path in lists:
        for line in path.read_text(encoding="utf-8").splitlines():
            expected, _, name = line.partition(" ")
            file = path.parent / name.strip().lstrip("*")
            if not name.strip():
                continue
            if not file.is_file():
                return _finding("course data", False, f"{file.relative_to(course)} is missing", mend)
            content = file.read_bytes()
            if hashlib.sha256(content).hexdigest() != expected.lower():
                return _finding("course data", False, f"{file.relative_to(course)} is damaged", mend)
            files, size = files + 1, size + len(content)
    return Finding("course data", "ok", f"{files} files, {size / 1e6:.1f} MB, as their checksums say")


def disk(folder: Path) -> Finding:
    """Free space where the course is."""
    free = shutil.disk_usage(folder).free
    return _finding("disk", free >= MIN_FREE, f"{free / 2**30:.1f} GiB free", f"make room: {MIN_FREE >> 30} GiB", False)


def _finding(what: str, good: bool, found: str, mend: str, required: bool = True) -> Finding:
    if good:
        return Finding(what, "ok", found)
    return Finding(what, "missing" if required else "absent", found, mend)


def _requirements(lines: list[str]) -> dict[str, tuple[Requirement, bool]]:
    """Return each requirement that applies here, by name, and whether a command needs it."""
    found: dict[str, tuple[Requirement, bool]] = {}
    extras = ["", *importlib.metadata.metadata(DISTRIBUTION).get_all("Provides-Extra", [])]
    for line in lines:
        requirement = Requirement(line)
        marker = requirement.marker
        active = [e for e in extras if marker is None or marker.evaluate({"extra": e})]
        if not active:
            continue
        required = any(e in NEEDED_EXTRAS for e in active)
        if requirement.name in found:
            earlier, was = found[requirement.name]
            requirement.specifier &= earlier.specifier
            required |= was
        found[requirement.name] = requirement, required
    return found


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _try(command: list[str], timeout: float = 20) -> tuple[int, str]:
    """Run a command; return its exit code and its last line."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, _line(error)
    lines = (result.stdout if result.returncode == 0 else result.stderr).strip().splitlines()
    return result.returncode, lines[-1] if lines else ""


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
