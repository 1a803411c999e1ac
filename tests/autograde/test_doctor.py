"""Doctor: what it says when something is missing."""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autograde import doctor

REPOSITORY = Path(__file__).resolve().parents[2]


def test_packages_here_fit_their_ranges() -> None:
    (finding,) = list(doctor.packages())
    assert finding.state == "ok" and "torch " in finding.found


def test_packages_that_are_missing_or_old_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["click>=8", "nothing-of-this-name>=1", "rich>=999; extra == 'grade'", "pytest>=999; extra == 'dev'"]
    lines += ["colorama; sys_platform == 'nowhere'"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda _name: lines)
    found = {f.what: f for f in doctor.packages()}
    assert found["package nothing-of-this-name"].state == "missing"
    assert found["package nothing-of-this-name"].found == "not installed"
    assert found["package rich"].state == "missing" and "does not fit >=999" in found["package rich"].found
    assert found["package pytest"].state == "absent", "only tests need it"
    assert "requirements.txt" in found["package rich"].mend
    assert "package colorama" not in found
    assert found["packages"].found.startswith("1 fit")


def test_a_package_that_is_not_installed_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "DISTRIBUTION", "nothing-of-this-name")
    assert [f.state for f in doctor.packages()] == ["missing"]
    assert doctor.python().state == "ok"


def test_python_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.python().state == "ok"
    monkeypatch.setattr(doctor.platform, "python_version", lambda: "3.8.1")
    finding = doctor.python()
    assert finding.state == "missing" and "3.8.1" in finding.found and ">=3.11" in finding.mend


def test_a_kernel_starts() -> None:
    assert doctor.kernel().state == "ok"


def test_a_kernel_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    import jupyter_client.manager

    def fails(**_: object) -> None:
        raise OSError("no such thing")

    monkeypatch.setattr(jupyter_client.manager, "start_new_kernel", fails)
    finding = doctor.kernel()
    assert finding.state == "missing" and "OSError: no such thing" in finding.found


def test_the_sandbox_is_tried_not_assumed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "bwrap"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.sandbox().state == "absent" and "apt-get install bubblewrap" in doctor.sandbox().mend
    program.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    program.chmod(0o755)
    finding = doctor.sandbox()
    assert finding.state == "absent" and "No permissions" in finding.found and "user namespaces" in finding.mend
    program.write_text("#!/bin/sh\necho\n")
    assert doctor.sandbox().state == "absent", "a program of that name that makes no sandbox"


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap here")
def test_the_sandbox_here_agrees_with_bubblewrap() -> None:
    command = ["bwrap", "--ro-bind", "/", "/", "--unshare-user", "--unshare-net", "true"]
    works = subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert (doctor.sandbox().state == "ok") is works


def test_what_forbids_user_namespaces_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "kernel.ostype"
    monkeypatch.setattr(doctor, "_SWITCHES", {"kernel.no_such_switch": "1", name: "Windows"})
    assert doctor._user_namespaces() == f"allow user namespaces: sudo sysctl -w {name}=Windows"
    monkeypatch.setattr(doctor, "_SWITCHES", {name: "Linux"})
    assert "seccomp=unconfined" in doctor._user_namespaces()


def test_a_torch_that_does_not_load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so.99: cannot open')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    finding = doctor.gpu()
    assert finding.state == "missing" and "libcudart.so.99" in finding.found
    lines = ["is_available = lambda: True", "device_count = lambda: 2", "get_device_name = lambda i: f'GPU {i}'"]
    (tmp_path / "torch.py").write_text("class cuda:\n    " + "\n    ".join(lines))
    assert doctor.gpu().found == "GPU 0, GPU 1"


def test_chromium_fork_and_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.chromium().state == "absent"
    (tmp_path / "chromium").write_text("#!/bin/sh\n")
    (tmp_path / "chromium").chmod(0o755)
    assert doctor.chromium().state == "ok"
    assert doctor.disk(tmp_path).state in ("ok", "absent")
    monkeypatch.setattr(doctor, "MIN_FREE", 2**80)
    assert doctor.disk(tmp_path).state == "absent"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert doctor.forking().state == "absent" and "imports torch anew" in doctor.forking().found


def test_data_is_compared_with_its_checksums(tmp_path: Path) -> None:
    assert doctor.data(tmp_path).state == "absent"
    folder = tmp_path / "data" / "set"
    folder.mkdir(parents=True)
    (folder / "a.gz").write_bytes(b"abc")
    (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(b'abc').hexdigest()}  a.gz\n")
    assert doctor.data(tmp_path).state == "ok" and "1 files" in doctor.data(tmp_path).found
    (folder / "a.gz").write_bytes(b"xyz")
    assert doctor.data(tmp_path).state == "missing" and "a.gz is damaged" in doctor.data(tmp_path).found
    (folder / "a.gz").unlink()
    assert "a.gz is missing" in doctor.data(tmp_path).found
    assert doctor.data(REPOSITORY).state == "ok"
