"""The notebook that is run: tests from the source, answers from the student, and a note on everything else."""

import handin
import nbformat
import pytest
import toy
from handin import below, cell, code, template

from autograde.assemble import imported
from autograde.submission import RejectedError


def assembled(tmp_path, **kwargs):
    return template().assemble(handin.handed(tmp_path, handin.notebook(**kwargs)))


def sources(assembled):
    return [(p.role, p.name) for p in assembled.parts if p.runs]


ORDER = [("locked", "imports"), ("answer", "double"), ("test", "double"), ("answer", "half"), ("test", "half")]


def test_an_honest_notebook(tmp_path):
    result = assembled(tmp_path)
    assert sources(result) == ORDER and result.notes == []
    assert result.sources == {"double": toy.DOUBLE, "half": toy.HALF}
    nbformat.validate(result.notebook)


def test_nothing_hidden_and_no_solution_is_in_it(tmp_path):
    text = nbformat.writes(assembled(tmp_path, answers={}).notebook)
    for secret in ("HIDDEN", "SOLUTION", "autograde.stock", "return 2 * x"):
        assert secret not in text


def test_outputs_of_the_student_are_dropped(tmp_path):
    def lie(notebook):
        output = nbformat.v4.new_output("execute_result", {"text/plain": "4.0"}, execution_count=1)
        cell(notebook, "test_half").outputs = [output]

    code_cells = [c for c in assembled(tmp_path, edit=lie).notebook.cells if c.cell_type == "code"]
    assert len(code_cells) >= len(ORDER) and not any(c.outputs for c in code_cells)


@pytest.mark.parametrize(
    ("edit", "note"),
    [
        (lambda n: cell(n, "test_double").update(source="pass"), "test cell of `double` was edited"),
        (lambda n: n.cells.remove(cell(n, "test_double")), "test cell of `double` was missing"),
        (lambda n: n.cells.remove(cell(n, "imports")), "cell `imports` was missing"),
        (lambda n: cell(n, "test_half").metadata.nbgrader.update(points=400), "points of `half` were changed"),
        (lambda n: cell(n, "test_half").metadata.nbgrader.update(points="x"), "points of `half` were changed"),
        (lambda n: cell(n, "test_half").metadata.nbgrader.update(grade=False), "marks of the test cell of `half`"),
        (lambda n: cell(n, "half").metadata.nbgrader.update(solution=False), "marks of the cell `half`"),
        (lambda n: cell(n, "test_half").metadata.update(tags=["skip-execution"]), "skip-execution on the test cell"),
        (lambda n: cell(n, "half").update(cell_type="markdown"), "`half` had the type markdown"),
        (lambda n: cell(n, "test_half").update(cell_type="raw"), "`half` had the type raw"),
    ],
)
def test_what_was_changed_is_as_it_was_and_noted(tmp_path, edit, note):
    result = assembled(tmp_path, edit=edit)
    assert sources(result) == ORDER
    assert len(result.notes) == 1 and note in result.notes[0]
    honest = assembled(tmp_path)
    assert [p.cell for p in result.parts if p.name] == [p.cell for p in honest.parts if p.name]


def test_a_missing_answer_is_the_stub(tmp_path):
    result = assembled(tmp_path, edit=lambda n: n.cells.remove(cell(n, "double")))
    assert sources(result) == ORDER and "raise NotImplementedError()" in result.sources["double"]
    assert result.notes == ["The answer cell of `double` is missing."]


def test_of_two_answers_the_last_counts(tmp_path):
    def paste(notebook):
        again = cell(notebook, "double").copy()
        again.update(id="again", source="def double(x): return 3 * x")
        notebook.cells.append(again)

    result = assembled(tmp_path, edit=paste)
    assert result.sources["double"] == "def double(x): return 3 * x"
    assert sources(result)[:3] == [("locked", "imports"), ("own", ""), ("answer", "double")]
    assert result.notes == ["The cell `double` is there more than once; the last one counts."]


def test_own_cells_run_where_they_stand(tmp_path):
    def edit(notebook):
        notebook.cells.insert(0, code("first = 1"))
        below("double", code("x = double(2)"), nbformat.v4.new_markdown_cell("note"), code("y = x"))(notebook)

    result = assembled(tmp_path, edit=edit)
    expected = [("own", ""), *ORDER[:2], ("own", ""), ("own", ""), *ORDER[2:]]
    assert sources(result) == expected and result.notes == []
    ids = [c.id for c in result.notebook.cells]
    assert len(set(ids)) == len(ids)
    assert ids == [c.id for c in assembled(tmp_path, edit=edit).notebook.cells], "ids must not be random"


def test_unknown_ids_and_skip_tags_on_own_cells_are_noted(tmp_path):
    def edit(notebook):
        alien = code("z = 1", nbgrader={"grade_id": "alien", "grade": True, "points": 99})
        below("half", alien, code("w = 1", tags=["skip-execution"]))(notebook)

    result = assembled(tmp_path, edit=edit)
    own = [p.cell for p in result.parts if p.role == "own"]
    assert [dict(c.metadata) for c in own] == [{}, {}]
    assert "`alien` is none of this assignment" in result.notes[0] and "skip-execution" in result.notes[1]


def test_a_payoff_is_not_run_whatever_the_student_made_of_its_tag(tmp_path):
    def untag(notebook):
        payoff = next(c for c in notebook.cells if "payoff" in c.metadata.get("tags", []))
        payoff.metadata = {}

    assert sources(assembled(tmp_path, edit=untag)) == ORDER


def test_html_in_own_text_is_text(tmp_path):
    edit = below("double", nbformat.v4.new_markdown_cell("a < b <script>alert(1)</script>"))
    text = [p.cell.source for p in assembled(tmp_path, edit=edit).parts if p.role == "text"]
    assert "a &lt; b &lt;script>alert(1)&lt;/script>" in text and "# Sums" in text


def test_a_notebook_without_answers_is_another_assignment(tmp_path):
    other = nbformat.v4.new_notebook(cells=[code("1", nbgrader={"grade_id": "imports", "locked": True})])
    with pytest.raises(RejectedError, match="no answer cell of the assignment sums"):
        template().assemble(handin.handed(tmp_path, other))


def test_titles():
    assert template().title == "Sums" and template().titles["half"] == "Half" and template().preload == ("fractions",)


def test_what_a_notebook_imports():
    code = "import a.b, c\nfrom d.e import f\nfrom . import g\ndef h():\n    import i"
    assert imported(code) == ["a.b", "c", "d.e", "i"] and imported("%matplotlib inline") == []
