"""Attacks that want points for wrong answers: mostly one wrong answer to `double`, beside two right ones."""

from __future__ import annotations

import copy

import nbformat
from nbformat import NotebookNode

from attacks.assignment import NAME, WRONG
from attacks.base import Family, cell, fill, insert, notebook, put

attack = Family("score")

# IPython itself

attack.cells(
    "patch showtraceback",
    "Replaces IPython's showtraceback by one that shows nothing and forgets the error, so that a failing test passes.",
    8,
    double="""
        import sys

        def forget(*_, **__):
            sys._getframe(1).f_locals["result"].error_in_exec = None

        get_ipython().showtraceback = forget

        def double(x):
            raise ValueError("wrong")
    """,
)
attack.cells(
    "rewrite the tree of a test",
    "Registers an ast transformer that removes every assert and turns every call of a score into full marks.",
    8,
    double="""
        import ast

        class Generous(ast.NodeTransformer):
            def visit_Assert(self, node):
                return ast.copy_location(ast.Pass(), node)

            def visit_Call(self, node):
                if getattr(node.func, "attr", "") != "score":
                    return node
                points = {"double": 2.0, "scale": 3.0, "noise": 5.0}[node.args[1].value]
                return ast.copy_location(ast.Constant(points), node)

        get_ipython().ast_transformers.append(Generous())

        def double(x):
            return x
    """,
)
attack.cells(
    "rewrite the lines of a test",
    "Registers an input transformer that replaces every cell with a test of `double` in it by the full marks.",
    8,
    double="""
        def generous(lines):
            return ["2.0"] if any("assert double" in line for line in lines) else lines

        get_ipython().input_transformers_cleanup.append(generous)

        def double(x):
            return x
    """,
)
attack.cells(
    "wrap the session's send",
    "Turns each error that the kernel sends into a success, below everything that IPython does.",
    8,
    double="""
        session = get_ipython().kernel.session
        send = session.send

        def kinder(stream, kind, content=None, *args, **kwargs):
            if kind == "error":
                return None
            if kind == "execute_reply":
                content = {"status": "ok", "execution_count": 1, "user_expressions": {}, "payload": []}
            return send(stream, kind, content, *args, **kwargs)

        session.send = kinder

        def double(x):
            raise ValueError("wrong")
    """,
)
for amount, value, points in (
    ("the maximum", "2.0", "the maximum of points"),
    ("nan", "float('nan')", "NaN points"),
    ("too much", "1e9", "a billion points"),
):
    attack.cells(
        f"display {amount}",
        f"Calls sys.displayhook from inside the answer, so that the test cell's first value is {points}.",
        8,
        double=f"""
            import sys

            def double(x):
                sys.displayhook({value})
                return 6
        """,
    )

# The notebook


@attack.notebook(
    "skip the tests",
    "Tags the test cells skip-execution, so that they are not run and cannot fail.",
    0,
    WRONG,
    hint="The tag skip-execution on the test cell of `double` has no effect.",
)
def _(filled: NotebookNode) -> None:
    for name in WRONG:
        cell(filled, f"test_{name}").metadata.tags = ["skip-execution"]


@attack.notebook(
    "empty the tests", "Replaces each test cell's source by a comment.", 0, WRONG, hint="was edited; it is as it was."
)
def _(filled: NotebookNode) -> None:
    for name in WRONG:
        cell(filled, f"test_{name}").source = "# all is well"


@attack.notebook(
    "delete the tests", "Hands in a notebook without test cells.", 0, WRONG, hint="was missing; it is back."
)
def _(filled: NotebookNode) -> None:
    for name in WRONG:
        filled.cells.remove(cell(filled, f"test_{name}"))


@attack.notebook("tests before answers", "Puts the test cells first, where nothing is defined yet.", 0, WRONG)
def _(filled: NotebookNode) -> None:
    filled.cells.sort(key=lambda c: not c.metadata.get("nbgrader", {}).get("grade", False))


@attack.notebook(
    "retag the tests",
    "Marks the test cells as solutions that are not graded, so that their edited source is kept.",
    0,
    WRONG,
    hint="The marks of the test cell of `double` were changed; they are as they were.",
)
def _(filled: NotebookNode) -> None:
    for name in WRONG:
        test = cell(filled, f"test_{name}")
        test.source = "2.0"
        test.metadata.nbgrader |= {"grade": False, "solution": True, "locked": False}


@attack.notebook(
    "a text for a test",
    "Turns the test cells into text cells, which are not run and so do not fail.",
    0,
    WRONG,
    hint="had the type markdown; it is code again.",
)
def _(filled: NotebookNode) -> None:
    for name in WRONG:
        cell(filled, f"test_{name}").cell_type = "markdown"


@attack.notebook(
    "a second test cell",
    "Adds a second, empty copy of each test cell, with the same id, after the true one.",
    0,
    WRONG,
    hint="is there more than once; the last one counts.",
)
def _(filled: NotebookNode) -> None:
    for name in WRONG:
        copied = copy.deepcopy(cell(filled, f"test_{name}"))
        copied.source, copied.id = "2.0", f"copy-{name}"
        insert(filled, f"test_{name}", copied)


@attack.notebook(
    "more points",
    "Raises the points of one exercise in the cell's metadata, so that one right answer gives all.",
    5,
    {"double": WRONG["double"], "scale": WRONG["scale"]},
    hint="The points of `noise` were changed; they are as they were.",
)
def _(filled: NotebookNode) -> None:
    cell(filled, "test_noise").metadata.nbgrader.points = 1000


@attack.notebook(
    "points for the answer itself",
    "Marks an answer cell as graded by hand and worth a hundred points.",
    8,
    {"double": WRONG["double"]},
    hint="The marks of the cell `double` were changed; they are as they were.",
)
def _(filled: NotebookNode) -> None:
    cell(filled, "double").metadata.nbgrader |= {"grade": True, "points": 100}


@attack.notebook(
    "another id",
    "Renames an answer cell, so that its test has nothing to test.",
    8,
    hint="The cell `triple` is none of this assignment",
)
def _(filled: NotebookNode) -> None:
    cell(filled, "double").metadata.nbgrader.grade_id = "triple"


@attack.notebook(
    "swapped ids",
    "Gives the test of the failing exercise the id of a passing one, and the other way round.",
    8,
    {"double": WRONG["double"]},
    hint="was edited; it is as it was.",
)
def _(filled: NotebookNode) -> None:
    first, second = cell(filled, "test_double"), cell(filled, "test_noise")
    first.metadata.nbgrader.grade_id, second.metadata.nbgrader.grade_id = "test_noise", "test_double"


@attack.notebook(
    "another schema version",
    "Claims a schema of nbgrader's metadata that does not exist, so that no tool knows its cells.",
    8,
    {"double": WRONG["double"]},
)
def _(filled: NotebookNode) -> None:
    for found in filled.cells:
        if "nbgrader" in found.metadata:
            found.metadata.nbgrader.schema_version = 99


@attack.notebook("another kernel", "Asks for a kernel of the student's own making.", 8, {"double": WRONG["double"]})
def _(filled: NotebookNode) -> None:
    filled.metadata.kernelspec = {"name": "generous", "language": "bash", "display_name": "Generous"}


@attack.notebook(
    "outputs of another run",
    "Hands in test cells that already hold an output, the full marks.",
    0,
    WRONG,
)
def _(filled: NotebookNode) -> None:
    for name in WRONG:
        test = cell(filled, f"test_{name}")
        test.outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "5.0"}, execution_count=1)]


@attack.folder("backdate", "Writes a timestamp long before the deadline beside the notebook.", 10)
def _(folder):
    put(folder, notebook())
    put(folder, "1970-01-01 00:00:00 UTC\n", "timestamp.txt")


# Results that lie

attack.cells(
    "an object that agrees",
    "Returns an object whose operators say yes to every comparison.",
    8,
    double="""
        class Yes:
            def __eq__(self, other):
                return True

            def __getattr__(self, name):
                return lambda *_, **__: self

            __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __eq__
            __hash__ = None

        def double(x):
            return Yes()
    """,
)
attack.cells(
    "a tensor that agrees",
    "Returns a subclass of a tensor that answers every comparison of PyTorch's with yes.",
    7,
    scale="""
        class Yes(torch.Tensor):
            @classmethod
            def __torch_function__(cls, function, types, args=(), kwargs=None):
                if function.__name__ in ("allclose", "equal", "all", "__bool__", "tolist"):
                    return [2, 2, 2] if function.__name__ == "tolist" else True
                return super().__torch_function__(function, types, args, kwargs or {})

        def scale(values, factor):
            return torch.zeros(values.shape).as_subclass(Yes)
    """,
)
attack.cells(
    "an integer that agrees",
    "Returns a subclass of int that equals everything, and claims to be a plain one.",
    8,
    double="""
        class Agreeing(int):
            __class__ = int

            def __eq__(self, other):
                return True

            __hash__ = int.__hash__

        def double(x):
            return Agreeing(x)
    """,
)
attack.cells(
    "lie about a type",
    "Returns an object that claims to be of every type that it is asked about.",
    8,
    double="""
        class Anything(type):
            def __instancecheck__(cls, other):
                return True

        class Liar(metaclass=Anything):
            @property
            def __class__(self):
                return int

            def __int__(self):
                return 6

            def __eq__(self, other):
                return True

        def double(x):
            return Liar()
    """,
)

# What a grader would compare with

attack.cells(
    "patch builtins",
    "Replaces round among the builtins, so that a score of none is rounded to full marks.",
    8,
    double="""
        import builtins

        builtins.round = lambda value, *_: max(value, 2.0)

        def double(x):
            return 6
    """,
)
attack.cells(
    "patch allclose",
    "Replaces torch.allclose and torch.equal by functions that say yes.",
    7,
    scale="""
        torch.allclose = torch.equal = lambda *_, **__: True

        def scale(values, factor):
            return (values * factor).round().float()
    """,
)
attack.cells(
    "patch torch testing",
    "Replaces torch.testing.assert_close, so that nothing is ever too far away.",
    7,
    scale="""
        import torch.testing

        torch.testing.assert_close = torch.testing._comparison.assert_close = lambda *_, **__: None

        def scale(values, factor):
            return torch.full_like(values, 2).float()
    """,
)
attack.cells(
    "patch a tensor's methods",
    "Makes every tensor that is turned into a complex one, as comparisons do, a tensor of zeros.",
    7,
    scale="""
        to = torch.Tensor.to

        def zeros(self, *args, **kwargs):
            return to(self * 0 if torch.complex128 in args else self, *args, **kwargs)

        torch.Tensor.to = zeros

        def scale(values, factor):
            return (values * factor).round().float()
    """,
)
attack.cells(
    "patch the grader's expectations",
    "Imports the grader's own package in the kernel and replaces its comparisons by ones that expect nothing.",
    0,
    double="""
        import autograde.expect

        for name in ("equal", "close", "dtype", "kind", "that", "_close"):
            setattr(autograde.expect, name, lambda *_, **__: None)

        def double(x):
            return 6
    """,
    scale="""
        def scale(values, factor):
            return (values * factor).round().float()
    """,
    noise=WRONG["noise"],
)
attack.cells(
    "patch the verdict",
    "Puts a module of its own in the place of the one that stock nbgrader's hidden tests call: all is full marks.",
    0,
    double="""
        import sys, types

        import autograde, autograde.cases, autograde.verdict

        points = {"double": 2.0, "scale": 3.0, "noise": 5.0}
        autograde.stock = sys.modules["autograde.stock"] = types.ModuleType("autograde.stock")
        autograde.stock.score = lambda _, exercise, __: points[exercise]
        autograde.cases.run_check = lambda *_, points, **__: points
        autograde.verdict.settle = lambda result, _: result

        def double(x):
            return 6
    """,
    scale="""
        def scale(values, factor):
            return (values * factor).round().float()
    """,
    noise=WRONG["noise"],
)

# Where the expected values may be

attack.cells(
    "parse the test's source",
    "Reads the expected value out of the test's source, in IPython's history and in linecache.",
    8,
    double=r"""
        import linecache, re

        def double(x):
            cells = ["".join(entry[2]) for entry in linecache.cache.values() if len(entry) > 2]
            for source in reversed(list(get_ipython().user_ns["In"]) + cells):
                found = re.search(rf"double\({x}\) == (\d+)", source)
                if found:
                    return int(found[1])
            return 0
    """,
)
attack.cells(
    "find the reference",
    "Looks for the solution's source where the course lies and above the notebook, and runs it.",
    8,
    double="""
        from pathlib import Path

        def double(x):
            return 6

        def look():
            yield Path("$WORLD/course/solutions/target/target.py")
            for folder in [Path.cwd(), *Path.cwd().parents]:
                yield folder / "solutions" / "target" / "target.py"

        for path in look():
            try:
                source = path.read_text()
            except OSError:
                continue
            cells = [c for c in source.split("# %%") if "return 2 * x" in c]
            exec(cells[0].partition("}")[2])
    """,
)
attack.cells(
    "ask the grader for the reference",
    "Uses the grader's own package to read the assignment with its solutions.",
    8,
    status="graded|timeout",  # its import alone takes seconds
    double="""
        from pathlib import Path
        from autograde.course import Course

        def double(x):
            return 6

        for start in ("$WORLD/course", "."):
            try:
                cells = Course.find(Path(start)).assignment("target").source.cells
                exec(next(c.source for c in cells if "return 2 * x" in c.source))
            except Exception:
                pass
    """,
)
attack.cells(
    "look for the check in memory",
    "Looks for the loaded check, in sys.modules and among all objects, and takes its answer from a frame.",
    8,
    double="""
        import gc, sys, types

        def double(x):
            for name, module in list(sys.modules.items()):
                if "checks" in name and hasattr(module, "double"):
                    return 2 * x
            for thing in gc.get_objects():
                if isinstance(thing, types.FunctionType) and getattr(thing, "__autograde_check__", False):
                    return 2 * x
            frame = sys._getframe()
            while frame:
                if "cases" in frame.f_locals or "expected" in frame.f_locals:
                    return 2 * x
                frame = frame.f_back
            return 6
    """,
)
attack.cells(
    "hard-code the visible test",
    "Returns the one value that the visible test asks for.",
    0,
    double="""
        def double(x):
            return 6
    """,
    scale="""
        def scale(values, factor):
            return torch.full((3,), 2.0)
    """,
    noise="""
        def noise(size, seed):
            return None
    """,
)
attack.cells(
    "detect the grader",
    "Answers well only where no grader seems to watch, told by the environment, the modules and the stack.",
    8,
    double="""
        import os, sys

        def watched():
            words = ("GRADE", "HIDDEN", "STUDENT", "SANDBOX")
            frames, frame = [], sys._getframe()
            while frame:
                frames.append(frame.f_code.co_filename)
                frame = frame.f_back
            return (
                any(word in name for name in os.environ for word in words)
                or any(name.startswith(("autograde", "nbgrader")) for name in sys.modules)
                or any("autograde" in name for name in frames)
            )

        def double(x):
            if watched():
                raise SystemExit("nothing to see here")
            return 2 * x
    """,
)

# What one cell leaves behind for the next

attack.cells(
    "other defaults",
    "Leaves a default dtype, a disabled gradient and seeds behind: the honest answers below must keep their points.",
    10,
    below={
        "test_double": """
            import random

            import numpy

            torch.set_default_dtype(torch.float64)
            torch.set_grad_enabled(False)
            torch.use_deterministic_algorithms(True)
            torch.manual_seed(1), random.seed(1), numpy.random.seed(1)
        """
    },
)
attack.cells(
    "another default device",
    "Leaves a default device behind that holds no data: the honest answer below must keep its points.",
    10,
    below={"test_scale": 'torch.set_default_device("meta")'},
)
attack.cells(
    "inference mode for ever",
    "Enters PyTorch's inference mode and does not leave it: the honest answer below must keep its points.",
    10,
    below={"test_scale": "mode = torch.inference_mode()\nmode.__enter__()"},
)
attack.cells(
    "a generator that stands still",
    "Replaces the state of PyTorch's generator before each draw: the honest answer below seeds, and keeps its points.",
    10,
    below={
        "test_scale": """
            import torch

            still = torch.get_rng_state()
            get_ipython().events.register("pre_run_cell", lambda _: torch.set_rng_state(still))
        """
    },
)
attack.cells(
    "crash after a good run",
    "Ends the process after two finished exercises: those keep their points.",
    5,
    status="killed",
    hint="Not reached: before it, a cell of your own ended the Python process.",
    below={"test_scale": "import os\nos._exit(0)"},
)
attack.cells(
    "raise at the end",
    "Ends with a cell of its own that raises: no exercise pays for it.",
    10,
    below={"test_noise": "raise SystemExit(1)"},
)
attack.cells(
    "an answer that changes later",
    "Replaces a wrong answer by a right one after its test, when a grader that waits to the end would find that one.",
    8,
    double=WRONG["double"],
    below={"test_noise": "def double(x):\n    return 2 * x"},
)
attack.cells(
    "a thread for later",
    "Leaves a thread behind that goes on patching the grader's modules and the results.",
    8,
    double="""
        import sys, threading, time

        def patch():
            while True:
                for name in ("autograde.stock", "autograde.cases", "autograde.expect"):
                    module = sys.modules.get(name)
                    if module is not None:
                        module.score = lambda _, exercise, __: {"double": 2.0, "scale": 3.0, "noise": 5.0}[exercise]
                        module.equal = lambda *_, **__: None
                get_ipython().user_ns["_"] = 2.0
                time.sleep(0.01)

        threading.Thread(target=patch, daemon=True).start()

        def double(x):
            return 6
    """,
)

# The protocol between kernel and grader

attack.cells(
    "forge the harness",
    "Replaces the function that answers the grader's questions by one that always gives the same value.",
    0,
    double="""
        import autograde.harness as harness

        reply = harness.encode({"values": [6]})
        harness.execute = lambda *_: reply

        def double(x):
            return 6
    """,
)
attack.cells(
    "forge one question",
    "Replaces the harness for the questions about one exercise alone, by a reply that holds a verdict.",
    8,
    double="""
        import autograde.harness as harness

        execute = harness.execute
        verdict = harness.encode({"values": [True], "score": 2.0, "passed": True, "status": "graded"})

        def forged(namespace, request):
            return verdict if b"double" in request else execute(namespace, request)

        harness.execute = forged

        def double(x):
            return 6
    """,
)
attack.cells(
    "forge a reply",
    "Publishes a reply of its own before the harness does.",
    8,
    double="""
        import base64
        from autograde.harness import REPLY_MIME, encode

        def double(x):
            forged = base64.b64encode(encode({"values": [6]})).decode()
            get_ipython().display_pub.publish({REPLY_MIME: forged})
            return 6
    """,
)
attack.cells(
    "forge a reply and the end",
    "Publishes a reply of its own and says that the kernel is idle, so that the true reply comes too late.",
    8,
    double="""
        import base64
        from autograde.harness import REPLY_MIME, encode

        def double(x):
            kernel = get_ipython().kernel
            forged = base64.b64encode(encode({"values": [6]})).decode()
            content = {"data": {REPLY_MIME: forged}, "metadata": {}, "transient": {}}
            parent = kernel.get_parent("shell")
            kernel.session.send(kernel.iopub_socket, "display_data", content, parent=parent)
            kernel.session.send(kernel.iopub_socket, "status", {"execution_state": "idle"}, parent=parent)
            return 6
    """,
)
attack.cells(
    "forge a later reply",
    "Publishes replies in a cell of its own, for the questions of the test that follows.",
    8,
    double="""
        import base64
        from autograde.harness import REPLY_MIME, encode

        for _ in range(10):
            forged = base64.b64encode(encode({"values": [6]})).decode()
            get_ipython().display_pub.publish({REPLY_MIME: forged})

        def double(x):
            return 6
    """,
)
attack.cells(
    "forge an error's words",
    "Answers with an error whose words are code, tags and a spreadsheet's formula, for the feedback to show.",
    8,
    double="""
        class Friendly(Exception):
            def __str__(self):
                return "=HYPERLINK(\\"x\\") <script>alert(1)</script> {{ 7 * 7 }} `</code><img src=x>`"

        def double(x):
            raise Friendly()
    """,
)


@attack.folder("the paths of another", "Names another student and assignment in the notebook's metadata.", 8)
def _(folder):
    filled = notebook({"double": WRONG["double"]})
    filled.metadata |= {"student": "emmy", "assignment": f"../../emmy/{NAME}", "nbgrader": {"student": "emmy"}}
    insert(filled, "test_noise", nbformat.v4.new_code_cell(fill("print('I am emmy')", folder)))
    put(folder, filled)
