"""The page that a student reads: complete, harmless, and silent on what is hidden."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import handin
import nbformat
from handin import below, code, template

from autograde import feedback
from autograde.cases import CaseResult, ExerciseResult
from autograde.outcome import SubmissionResult, nothing
from autograde.submission import Submission

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(16)).decode()
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def make(tmp_path, outputs=(), *, status="graded", exercises=None, answers=None, **kwargs):
    own = code(f"# {EVIL}\n1 < 2")
    notebook = handin.notebook(answers, edit=below("half", own))
    assembled = template().assemble(handin.handed(tmp_path, notebook))
    next(p.cell for p in assembled.parts if p.role == "own").outputs = list(outputs)
    if exercises is None:
        failed = CaseResult("a negative number", 1.0, False, "A negative number has a double too.")
        cases = [CaseResult("a number", 1.0, True), failed]
        exercises = [ExerciseResult("double", 1.0, 2.0, cases, hint=failed.hint)]
        exercises.append(ExerciseResult("half", 4.0, 4.0, [CaseResult("a number", 1.0, True)]))
    submission = Submission(f"ada {EVIL}", "sums", Path())
    result = SubmissionResult(submission, status, exercises, assembled=assembled, **kwargs)
    return feedback.page(result, template())


def test_points_cases_and_hints(tmp_path):
    page = make(tmp_path, notes=["The test cell of `half` was edited; it is as it was."])
    assert "5 <small>of 6 points" in page and "1 of 2 points" in page and 'style="width: 83%"' in page
    assert page.count('class="pass"') == 2 and page.count('class="fail"') == 1
    assert page.count("A negative number has a double too.") == 1, "a hint is said once"
    assert "<code>half</code> was edited; it is as it was" in page and ">Half</h2>" in page
    assert "def" in page and "own-cells" in page


def test_the_page_is_whole_and_loads_nothing(tmp_path):
    page = make(tmp_path)

    class Tags(HTMLParser):
        def __init__(self):
            super().__init__()
            self.stack, self.loads = [], []

        def handle_starttag(self, tag, attrs):
            self.loads += [v for k, v in attrs if k in ("src", "href", "srcset") and not v.startswith("data:")]
            if tag not in ("meta", "img", "br"):
                self.stack.append(tag)

        def handle_endtag(self, tag):
            assert self.stack.pop() == tag

    tags = Tags()
    tags.feed(page)
    assert not tags.stack and not tags.loads
    assert "@import" not in page and not re.search(r"url\(", page)
    assert 'name="viewport"' in page and "prefers-color-scheme: dark" in page and "default-src 'none'" in page


def test_nothing_of_the_student_runs(tmp_path):
    new = nbformat.v4.new_output
    page = make(
        tmp_path,
        [
            new("stream", name="stdout", text=EVIL),
            new("error", ename="E", evalue=EVIL, traceback=[EVIL]),
            new("display_data", {"text/plain": EVIL}),
            new("display_data", {"image/png": PNG}),
            new("display_data", {"image/png": f'" onload="alert(3){PNG}', "text/plain": "no picture"}),
            new("display_data", {"image/png": base64.b64encode(EVIL.encode()).decode()}),
        ],
        notes=[EVIL],
    )
    assert "<script" not in page and "<img src=x" not in page and "onload" not in page
    assert page.count("<img ") == 1 and f"data:image/png;base64,{PNG}" in page and "no picture" in page


def test_progress_bars_leave_their_last_state(tmp_path):
    page = make(tmp_path, [nbformat.v4.new_output("stream", name="stderr", text="10%\r55%\r100%\ndone\r\n")])
    assert "100%\ndone" in page and "55%" not in page


def test_the_gate_is_explained(tmp_path):
    cases = [CaseResult("a number", 1.0, True)]
    gated = [ExerciseResult("double", 0.0, 2.0, cases, hint="Twice 3 is 6."), ExerciseResult("half", 4.0, 4.0, cases)]
    page = make(tmp_path, exercises=gated)
    assert page.count("visible test below your answer does not pass") == 1 and "Twice 3 is 6." in page


def test_one_hint_for_all_cases_stands_above_them(tmp_path):
    cases = [CaseResult(n, 1.0, False, "Nothing is written here yet.") for n in ("a", "b", "c")]
    page = make(tmp_path, exercises=[ExerciseResult("double", 0.0, 2.0, cases, hint=cases[0].hint)])
    assert page.count("Nothing is written here yet.") == 1 and page.count('class="fail"') == 3


def test_every_status_has_a_page(tmp_path):
    assert "took too long" in make(tmp_path, status="timeout")
    assert "ended its own Python process" in make(tmp_path, status="killed", dropped=True)
    assert "printed more than is kept" in make(tmp_path, dropped=True)
    exercises = nothing(template().exercises, "Not graded: not JSON.")
    for status, words in [
        ("rejected: not JSON", "could not be graded: not JSON."),
        ("missing", "Nothing was handed in"),
    ]:
        result = SubmissionResult(Submission("ada", "sums", Path()), status, exercises)
        page = feedback.page(result, template())
        assert words in page and "0 <small>of 6 points" in page and "Your answer" not in page
    result.status, result.trouble = "rejected: internal error (OSError)", "Traceback: /secret/place"
    page = feedback.page(result, template())
    assert "the grader failed" in page and "secret" not in page


def test_long_code_is_cut_in_time(tmp_path):
    page = make(tmp_path, answers={"double": "x = 1  # <b>\n" * 30_000, "half": "y = 2"})
    assert "cut here" in page and len(page) < 1_000_000 and "<b>" not in page
