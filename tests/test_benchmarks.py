"""The benchmarks' instruments and arithmetic, and their smallest run. How fast a grader is decides nothing here."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="the benchmarks read Linux's /proc"
)

#: A child that holds 100 MB and works for a second, though nobody waits for it, in a session of its own.
WORK = """
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
if not os.fork():
    os.setsid()
    if os.fork():
        os._exit(0)
    held = bytearray(os.urandom(1)) * 100_000_000
    while time.process_time() < 1.0:
        pass
    time.sleep(0.2)
    os._exit(0)
time.sleep(2.0)
"""


@pytest.fixture(scope="module")
def bench():
    """Return the benchmark as a module; it finds what it shares from its own folder."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        yield importlib.import_module("grading")
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


def test_the_sampler_sees_what_leaves_its_parent(bench, tmp_path):
    usage = bench.measure.run([sys.executable, "-c", WORK], tmp_path, sampler=bench.Sampler())
    assert usage.sampled_cpu_s == pytest.approx(1.05, abs=0.25)
    assert usage.peak_pss_mb == pytest.approx(108, abs=12)
    assert usage.peak_anonymous_pss_mb == pytest.approx(104, abs=8)
    assert usage.peak_processes == 2
    assert usage.reaped_cpu_s < 0.7, "nobody waited for the child: that is why there is a sampler"
    assert usage.system_cpu_s > 0.9
    if usage.group_cpu_s is not None:
        assert usage.group_cpu_s == pytest.approx(usage.sampled_cpu_s, abs=0.25)


def test_a_command_that_fails_says_its_last_words(bench, tmp_path):
    with pytest.raises(bench.measure.CommandError, match=r"(?s)ended with 3:.*sorry"):
        bench.measure.run([sys.executable, "-c", "print('sorry'); raise SystemExit(3)"], tmp_path)


@pytest.mark.parametrize("change", [{("s", "e"): 1.0}, {("s", "e"): None}, {("other", "e"): 2.0}])
def test_a_wrong_score_is_no_result(bench, change):
    right = {("s", "e"): 2.0}
    bench.must_agree("a grader", {("s", "e"): 2.00001}, right)
    with pytest.raises(bench.WrongScoresError, match="a grader"):
        bench.must_agree("a grader", {**right, **change}, right)


def test_the_right_scores_of_the_light_class(bench, tmp_path):
    """As the check says of each answer, without a kernel; points are what the styles' table says."""
    from autograde.cases import run_check
    from autograde.student import NamespaceStudent

    work = bench.workload.light(tmp_path)
    right = work.hand_in(tmp_path / "submitted", len(work.styles))
    for index, (notebook, _) in enumerate(work.styles):
        namespace: dict = {}
        for exercise in work.assignment.exercises:
            run = {c.metadata.nbgrader.grade_id: c.source for c in notebook.cells if "nbgrader" in c.metadata}
            try:
                exec("\n".join(run[i] for i in ("imports", exercise.name, exercise.test_id)), namespace)
            except Exception:
                score = 0.0
            else:
                check, words = work.assignment.checks[exercise.name], {"points": exercise.points, "seed": index}
                score = run_check(check, NamespaceStudent(namespace), exercise=exercise.name, **words).score
            assert score == right[f"student-{index:03d}", exercise.name], (index, exercise.name)
    assert 0 < bench.workload.plain_cpu_s(tmp_path / "submitted") < 0.1


def test_otters_tests_have_the_points(bench, tmp_path):
    otter = bench.Otter(bench.workload.light(tmp_path), 1)
    sources = otter._tests()
    points = {name: source.count("@test_case") for name, source in sources.items()}
    assert points == {"center": 2, "mse": 2, "relu": 2}
    assert "points=1.0" in sources["relu"] and "points=3.0" in sources["relu"]
    for source in sources.values():
        compile(source, "test", "exec")


def test_nbgraders_figures_are_for_the_whole_class(bench, monkeypatch, tmp_path):
    """From 4 submissions in 24 s and one in 9 s: 5 s for each further one, so 204 s for 40."""

    class Stock:
        right = {("s", "e"): 1.0}  # noqa: RUF012

        def __init__(self, work, count):
            assert count == 4

        def autograde(self):
            return bench.Usage(24.0, 20.0, 30.0, 22.0)

        def feedback(self):
            return bench.Usage(8.0, 6.0, 9.0, 7.0)

        def one(self, sampler):
            return bench.Usage(9.0, 7.0, 10.0, 7.0, 6.9, 500.0, 400.0, 3, 180)

        def scores(self):
            return self.right

    monkeypatch.setattr(bench, "Nbgrader", Stock)
    found = bench.with_nbgrader(None, 4, 40, 0.5, lambda _: None)
    assert found["wall_s_per_further_submission"] == 5.0
    assert found["submissions_per_minute"] == pytest.approx(60 * 40 / 204)
    assert found["submissions_per_minute_with_feedback"] == pytest.approx(60 / (204 / 40 + 2))
    assert found["cpu_s_per_submission"] == 5.5
    assert found["cpu_beyond_cells_s_per_submission"] == 5.0
    assert found["peak_pss_mb"] == 500.0
    ours = {"submissions_per_minute": 600.0, "wall_s_per_further_submission": 0.1}
    ratio = bench.ratios(ours, found, None)
    assert ratio["to_nbgrader_autograde"] == pytest.approx(600 / 60 * 204 / 40)
    goals = bench.goals(ratio, {"pss_mb_per_further_concurrent_submission": 130.0})
    assert [g["met"] for g in goals] == [True, False]


def test_a_wrong_score_ends_the_benchmark_and_leaves_no_file(bench, monkeypatch, tmp_path):
    def wrong(*_):
        raise bench.WrongScoresError("nbgrader, student-000, relu: 1 instead of 4")

    monkeypatch.setattr(bench, "benchmark", wrong)
    done = CliRunner().invoke(bench.main, ["--out", str(tmp_path)])
    assert (done.exit_code, list(tmp_path.iterdir())) == (1, [])
    assert CliRunner().invoke(bench.main, ["--nbgrader", "1", "--out", str(tmp_path)]).exit_code == 2


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_smallest_run(bench, tmp_path):
    options = ["--submissions", "2", "--nbgrader", "0", "--repeat", "1", "--out", str(tmp_path)]
    done = CliRunner().invoke(bench.main, options, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "grading.json").read_text())
    assert {"date", "command", "device", "versions", "submissions", "autograde", "memory", "goals"} <= found.keys()
    assert found["device"].keys() == {"cpu", "cores", "memory_gb", "load_before"}
    assert found["versions"].keys() == {"python", *bench.PACKAGES}
    assert found["nbgrader"] is found["otter"] is None
    assert found["autograde"]["submissions_per_minute"] > 0
    assert found["autograde"]["cpu_s_per_submission"] > 0
    assert found["memory"]["pss_mb_by_jobs"].keys() == {"1", "2"}
    assert found["goals"][0]["met"] is None
    for text in ("submissions_per_minute", "per minute"):
        assert text in done.output + json.dumps(found)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_stage_of_the_profile_is_found(bench, tmp_path):
    done = CliRunner().invoke(
        bench.main, ["--profile", "--submissions", "2", "--out", str(tmp_path)], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    text = (tmp_path / "grading-profile.txt").read_text()
    assert "cumulative time" in text and "internal time" in text
    never = [name for name, place in bench.profiling.STAGES if f"{name:<40}       0" in text]
    assert never == [], "renamed in autograde/: name their functions anew in benchmarks/common/profiling.py"
