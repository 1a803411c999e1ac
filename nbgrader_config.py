"""nbgrader's own directories, so that its commands and its formgrader work from the repository's root."""

import os
import sys
from pathlib import Path

root = Path(__file__).resolve().parent
built = Path("_build") / "nbgrader"

# nbgrader makes the last folder of a path, not those above it, and SQLite makes none.
for folder in ("source", "autograded", "feedback"):
    (root / built / folder).mkdir(parents=True, exist_ok=True)

c = get_config()  # noqa: F821 - nbgrader puts it here

c.CourseDirectory.course_id = "ravines"
c.CourseDirectory.root = str(root)
# The source notebooks, with their solutions, are built from solutions/*/*.py and never committed.
c.CourseDirectory.source_directory = str(built / "source")
c.CourseDirectory.release_directory = "notebooks"
c.CourseDirectory.submitted_directory = str(Path("examples") / "submissions")
c.CourseDirectory.autograded_directory = str(built / "autograded")
c.CourseDirectory.feedback_directory = str(built / "feedback")
c.CourseDirectory.db_url = f"sqlite:///{root / built / 'gradebook.db'}"
c.ExportPlugin.to = str(root / built / "grades.csv")

# nbgrader runs `alembic` by name, and finds it like this even where no environment is activated.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
# Stock nbgrader gives 0 for a test cell that writes to stderr, be it a library's warning.
os.environ["PYTHONWARNINGS"] = "ignore"
# What a cell with this tag shows is worth no points, and takes its time.
c.ExecutePreprocessor.skip_cells_with_tag = "payoff"
c.ExecutePreprocessor.timeout = 60
