"""The benchmark of hostile submissions: its vocabulary, and one harmless attack through stock nbgrader."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the benchmark reads Linux's /proc")


@pytest.fixture(scope="module")
def bench():
    """Return the benchmark as a module. It has a name of its own here, for the catalogue is called attacks, too."""
    kept = list(sys.path)
    sys.path.insert(0, str(ROOT / "benchmarks"))
    spec = importlib.util.spec_from_file_location("attack_benchmark", ROOT / "benchmarks" / "attacks.py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path[:] = kept


def test_outcomes_are_said_in_a_fixed_vocabulary(bench):
    words = bench.outcome

    def said(deserved, family="score", rejected=False, **seen):
        found = words.Observed(**{"score": deserved, "best": 10.0, **seen})
        return words.outcome(found, words.effects(found, deserved, family, rejected))

    assert said(8) == "resisted"
    assert said(8, score=10) == "full marks for a wrong answer"
    assert said(0, score=5) == "some marks for a wrong answer"
    assert said(8, score=10, family="spying") == "got through and was paid for it"
    assert said(8, score=10, family="spying", leaked=True) == "got through and was paid for it; read the secret"
    assert said(10, score=8) == "fewer marks than deserved"
    assert said(None, score=10) == "resisted", "where no score is said, none is wrong"
    assert said(0, score=None, rejected=True) == "resisted", "what cannot be read deserves no grade"
    assert said(10, score=None) == "no grade"
    assert said(0, score=None, rejected=True, traceback=True) == "gave a traceback to the instructor, no grade"
    assert said(2, score=None, hung=60.2) == "hung (stopped by us after 60 s)"
    assert said(2, score=None, ended=True) == "ended the grader"
    assert said(10, left=2, heard=True) == "reached the network; left a process behind"
    assert said(10, changed=True, neighbour=True) == "changed files of others; cost a neighbour's marks"
    assert said(10, memory=3 * 2**30, processes=400) == "took 3.0 GiB and 400 processes"
    assert said(10, disk=2**30, files=100_000) == "took 1024 MiB of disk and 100000 files"
    assert said(10, litter=True, memory=2**20) == "left files outside of its folder"


def test_every_outcome_is_counted(bench):
    counted = {key for keys in bench.outcome.TOTALS.values() for key in keys}
    assert counted == set(bench.outcome.WORDS)
    resisted = {"effects": [], "as_expected": True}
    rows = [{"nbgrader": {"effects": ["full", "process"]}, "autograde": resisted}, {"nbgrader": {"effects": []}}]
    found = bench.totals(rows)
    assert found["nbgrader"]["of"] == 2 and found["nbgrader"]["left something behind"] == 1
    assert found["nbgrader"]["resisted"] == 1
    assert found["autograde"]["of"] == found["autograde"]["as the catalogue says"] == 1


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nbgrader_pays_for_an_answer_that_only_raises(bench, tmp_path):
    why = bench.container.unavailable()
    if why:
        pytest.skip(why)
    path = tmp_path / "attacks.json"
    options = ["--name", "patch showtraceback", "--grader", "nbgrader", "--json", str(path)]
    done = CliRunner().invoke(bench.main, options)
    assert done.exit_code == 0, done.output
    (row,) = json.loads(path.read_text())["attacks"]
    assert row["deserved"] == 8 and row["nbgrader"]["score"] == 10
    assert row["nbgrader"]["outcome"] == "full marks for a wrong answer"
    assert "full marks for a wrong answer" in done.output
