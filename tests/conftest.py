"""Which tests run on one worker, and in which order: the long ones first, so that no worker ends alone with one.

The tests of a file share its fixtures and stay together. Where each parameter of a file's tests is minutes of work, and
shares nothing, the parameter is a group of its own.

xdist's own groups (`--dist loadgroup`) are lost with pytest 9.2, without a word:
https://github.com/pytest-dev/pytest-xdist/issues/1386
"""

import gc
import json
import os
import platform
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

#: Files whose tests share nothing but their parameter.
SPLIT = (
    "tests/solutions/test_assignments.py",
    "tests/autograde/test_stock_nbgrader.py",
    "tests/book/test_second_run.py",
    "tests/test_gpu_course.py",
)
#: Files of many short tests that take long together.
LONG = (
    "tests/autograde/test_grade.py",
    "tests/autograde/test_kernel.py",
    "tests/autograde/test_sandbox.py",
    "tests/book/test_browser.py",
    "tests/ravines/test_training.py",
    "tests/solutions/test_published_weights.py",
    "tests/test_project.py",
)


# Stock nbgrader's hidden tests draw the same numbers in each run of the tests; `autograde verify` tries others.
os.environ.setdefault("AUTOGRADE_SEED", "1")
gc.disable()  # until all tests are found: what they import stays


def pytest_collection_finish(session):
    gc.freeze()
    gc.enable()


def pytest_unconfigure(config):
    gc.unfreeze()  # else a library finds objects that are left over at the end, and says so


def group(nodeid):
    """Return what a test belongs to: its file, with its parameter where that is on its own."""
    file, _, name = nodeid.partition("::")
    _, _, parameter = name.partition("[")
    return f"{file}:{parameter}" if file in SPLIT else file


class Groups(LoadScopeScheduling):
    """Gives each worker whole groups, in the order in which the tests were collected."""

    def _split_scope(self, nodeid):
        return group(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return Groups(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_collection_modifyitems(config, items):
    if hasattr(config, "workerinput"):
        slow = {group(item.nodeid) for item in items if item.get_closest_marker("slow")} | {*LONG}
        items.sort(key=lambda item: group(item.nodeid) not in slow)


def pytest_addoption(parser):
    parser.addoption("--record", metavar="FILE", help="write each test's outcome to FILE with device, versions, date")


def pytest_terminal_summary(terminalreporter, config):
    """Write what a run found, as `benchmarks/results/gpu_tests.json` has it: `pytest -m gpu --record FILE`."""
    if not config.getoption("--record"):
        return
    import torch

    found = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            found[report.nodeid] = {"outcome": outcome, "seconds": round(report.duration, 1)}
    gpu = torch.cuda.is_available()
    record = {
        "command": shlex.join(["python", "-m", "pytest", *config.invocation_params.args]),
        "date": datetime.now(UTC).date().isoformat(),
        "device": torch.cuda.get_device_name() if gpu else f"{platform.machine()} CPU",
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "cuda": torch.version.cuda},
        "tests": dict(sorted(found.items())),
    }
    Path(config.getoption("--record")).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
