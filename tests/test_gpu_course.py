"""The course on a GPU: every page of the book runs there, and every student's notebook with right answers."""

import nbformat
import pytest
import torch
from jupyter_cache import get_cache
from nbclient import NotebookClient

from autograde.course import Course
from autograde.release import reference_notebook
from tests.book.test_pages import EXECUTED, ROOT
from tools.run_pages import READER

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
COURSE = Course(ROOT)
LOOK = "import torch\nprint('GPU' if torch.cuda.is_initialized() else 'no GPU')"


def run(notebook, folder):
    """Run all cells, the rewards too; return whether the notebook had used the GPU."""
    notebook.metadata["kernelspec"] = {"name": "warm", "display_name": "warm", "language": "python"}
    notebook.cells.append(nbformat.v4.new_code_cell(LOOK))
    client = NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(folder)}})
    client.execute()  # a cell that fails is shown whole
    return notebook.cells[-1].outputs[0].text.startswith("GPU")


@pytest.mark.parametrize("page", EXECUTED, ids=lambda page: page.stem)
def test_a_page_runs_on_a_gpu(page, tmp_path, monkeypatch):
    monkeypatch.delenv("RAVINES_DEVICE", raising=False)
    cache = get_cache(str(tmp_path))
    record = cache.add_nb_to_project(str(page), read_data=READER)
    used = run(cache.get_project_notebook(record.pk).nb, page.parent)
    assert used or "device()" not in page.read_text(encoding="utf-8"), "the page asks for a device and stays away"


@pytest.mark.parametrize("name", sorted(COURSE.assignments))
def test_a_notebook_with_right_answers_runs_on_a_gpu(name, tmp_path, monkeypatch):
    """Visible tests pass and rewards are shown; their training is on the GPU."""
    monkeypatch.delenv("RAVINES_DEVICE", raising=False)
    assignment = COURSE.assignment(name)
    notebook = reference_notebook(assignment)
    folder = ROOT / "notebooks" / name
    used = run(notebook, folder if folder.is_dir() else tmp_path)
    rewards = [c.outputs for c in notebook.cells if "payoff" in c.metadata.get("tags", [])]
    assert any(o.output_type in ("display_data", "execute_result") for outputs in rewards for o in outputs)
    assert used or "device()" not in "".join(c.source for c in notebook.cells)
