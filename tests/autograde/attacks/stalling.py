"""Attacks, and plain accidents, that use up time, memory, processes or disk, or end the process.

Their numbers are bounded: where a limit does not hold, the machine that runs these tests survives it.
"""

from __future__ import annotations

import nbformat

from attacks.base import Family, insert

attack = Family("stalling")

# Time

attack.cells(
    "an endless loop",
    "Loops for ever in the answer cell: it is stopped, and the other exercises keep their points.",
    8,
    status="timeout",
    hint="In your answer cell: It took longer than",
    alone=True,
    double="""
        while True:
            pass

        def double(x):
            return 2 * x
    """,
)
attack.cells(
    "an endless function",
    "Loops for ever when a test calls it: that exercise pays, the others keep their points.",
    8,
    status="timeout",
    hint="In the visible test of `double`: It took longer than",
    alone=True,
    double="""
        def double(x):
            while True:
                pass
    """,
)
attack.cells(
    "an endless loop for the grader alone",
    "Loops for ever as soon as it is asked for more than the visible test asks.",
    8,
    status="timeout",
    hint="Your code took longer than",
    alone=True,
    double="""
        def double(x):
            while x != 3:
                pass
            return 6
    """,
)
attack.cells(
    "swallow interrupts",
    "Catches every interrupt and goes on: it is killed, and what was finished keeps its points.",
    2,
    status="timeout",
    hint="It did not stop when asked to.",
    alone=True,
    scale="""
        while True:
            try:
                while True:
                    pass
            except BaseException:
                pass
    """,
)
attack.cells(
    "ignore the interrupt's signal",
    "Takes no notice of the signal that interrupts a cell.",
    2,
    status="timeout",
    hint="It did not stop when asked to.",
    alone=True,
    scale="""
        import signal, time

        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while True:
            time.sleep(1)
    """,
)


@attack.notebook(
    "many slow cells",
    "Adds cells that each stay within the limit of a cell, and together take minutes.",
    2,
    status="timeout",
    hint="Not reached: before it, a cell of your own took too long.",
    alone=True,
)
def _(filled):
    slow = [nbformat.v4.new_code_cell("import time\ntime.sleep(2)") for _ in range(60)]
    insert(filled, "test_double", *slow)


attack.cells(
    "wait for input",
    "Asks for input, which nobody gives.",
    8,
    hint="StdinNotImplementedError",
    double="""
        factor = float(input("Which factor? "))

        def double(x):
            return factor * x
    """,
)
attack.cells(
    "leave a breakpoint",
    "Starts the debugger in the answer, and in a cell of its own.",
    8,
    double="""
        def double(x):
            breakpoint()
            return 2 * x
    """,
    below={"test_double": "import pdb\npdb.set_trace()"},
)
attack.cells(
    "a child that holds the output",
    "Starts a program that lives on and keeps the kernel's output open.",
    10,
    below={"test_double": 'import subprocess\nsubprocess.Popen(["sleep", "1000"])\nprint("started")'},
)
attack.cells(
    "wait for a child",
    "Waits for a program that does not end.",
    10,
    status="timeout",
    alone=True,
    below={"test_double": 'import subprocess\nsubprocess.run(["sleep", "1000"])'},
)
attack.cells(
    "threads at the end",
    "Leaves a thread that no exit of Python waits out.",
    10,
    below={"test_noise": "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,)).start()"},
)
attack.cells(
    "slow to print",
    "Returns an object whose text takes for ever, as the last value of a cell.",
    10,
    status="timeout",
    alone=True,
    below={
        "test_double": """
            class Slow:
                def __repr__(self):
                    while True:
                        pass

            Slow()
        """
    },
)

# The end of the process

for name, aim, source in (
    ("exit at once", "Ends the process without a word.", "import os\nos._exit(0)"),
    ("kill itself", "Sends itself the signal that no process survives.", "import os\nos.kill(os.getpid(), 9)"),
    ("crash in C", "Reads from address 0.", "import ctypes\nctypes.string_at(0)"),
    ("abort", "Ends the process as a failing C library does.", "import os\nos.abort()"),
    ("run another program", "Replaces the process by another program.", "import os\nos.execv('/bin/true', ['true'])"),
    (
        "overflow the C stack",
        "Recurses so deep that the stack of the process ends.",
        "import sys\nsys.setrecursionlimit(10**9)\nrepeat = lambda n: eval('repeat(n + 1)')\nrepeat(0)",
    ),
):
    attack.cells(
        name,
        f"{aim} What was finished keeps its points.",
        2,
        status="killed",
        hint="In your answer cell of `scale`: Your code ended the Python process",
        scale=source,
    )
attack.cells(
    "exit only for the grader",
    "Ends the process when it is asked for more than the visible test asks.",
    0,
    status="killed",
    hint="Your code ended the Python process",
    double="""
        import os

        def double(x):
            return 6 if x == 3 else os._exit(0)
    """,
)
attack.cells(
    "stop itself",
    "Sends itself the signal that stops a process, after which it takes no interrupt.",
    2,
    status="timeout",
    hint="It did not stop when asked to.",
    alone=True,
    scale="import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
)
attack.cells(
    "signal its group",
    "Sends the signal that no process survives to all of its own group, which may be the grader's.",
    2,
    status="killed",
    hint="ended the Python process",
    scale="import os\nos.kill(0, 9)",
)
attack.cells(
    "close everything",
    "Closes all files and sockets of its own process, so that it cannot be spoken to.",
    2,
    status="killed|timeout",
    alone=True,
    scale="import os\nos.closerange(0, 1000)",
)

# Memory, processes, disk, output

# Whether these are stopped by errors or ended, what was finished counts, and `noise` is right only if they get through.
_NOISE = """
        def noise(size, seed):
            torch.manual_seed(seed)
            drawn = torch.randn(size)
            return drawn, 2 * drawn
"""
attack.cells(
    "use up the memory",
    "Keeps taking memory, up to three GiB.",
    5,
    status="graded|killed",
    hint="emory",
    alone=True,
    noise="""
        hog = [b"x" * 2**25 for _ in range(3 * 32)]
    """
    + _NOISE,
)
attack.cells(
    "use up the memory at once",
    "Asks for three GiB in one piece and writes to all of it.",
    5,
    status="graded|killed",
    hint="emory",
    alone=True,
    noise="""
        hog = torch.ones(3 * 2**28)
    """
    + _NOISE,
)
attack.cells(
    "use up the memory by children",
    "Takes the memory in child processes, each of them below the limit.",
    5,
    status="killed",
    hint="memory",
    alone=True,
    noise="""
        import os, time

        for _ in range(10):
            if os.fork() == 0:
                hog = b"x" * 300 * 2**20
                time.sleep(60)
                os._exit(0)
        time.sleep(2)
    """
    + _NOISE,
)
attack.cells(
    "a fork bomb",
    "Doubles the number of its processes nine times.",
    5,
    status="graded|killed|timeout",
    alone=True,
    noise="""
        import os, time

        me = os.getpid()
        try:
            for _ in range(9):
                os.fork()
        except OSError as error:
            pass
        if os.getpid() != me:
            time.sleep(60)
            os._exit(0)
        time.sleep(1)
        count = sum(name.isdigit() for name in os.listdir("/proc"))
        print(count)

        def noise(size, seed):
            torch.manual_seed(seed)
            drawn = torch.randn(size)
            return (drawn, 2 * drawn) if count > 200 else None
    """,
)
attack.cells(
    "a thread bomb",
    "Starts two thousand threads.",
    5,
    status="graded|killed",
    alone=True,
    noise="""
        import threading, time

        count = 0
        try:
            for count in range(2000):
                threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        except RuntimeError as error:
            print(error)
        time.sleep(1)

        def noise(size, seed):
            torch.manual_seed(seed)
            drawn = torch.randn(size)
            return (drawn, 2 * drawn) if count > 1000 else None
    """,
)
attack.cells(
    "fill the disk",
    "Writes files until the disk is full, half a GiB at most, wherever it may write.",
    8,
    alone=True,
    double="""
        import tempfile

        written = 0
        for folder in (".", tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm", "/run"):
            for number in range(32):
                try:
                    with open(f"{folder}/autograde-attack-{number}", "wb") as file:
                        written += file.write(bytes(2**24))
                except OSError as error:
                    print(error)
                    break
            if written > 2**29:
                break

        def double(x):
            return 2 * x if written > 2**29 else x
    """,
)
attack.cells(
    "fill the disk with names",
    "Makes a hundred thousand empty files, each of which takes memory and no disk.",
    10,
    status="graded|killed|timeout",
    alone=True,
    below={
        "test_noise": """
            for number in range(100_000):
                open(f"autograde-attack-{number}", "w").close()
        """
    },
)
attack.cells(
    "a file too large",
    "Makes a file with a size of a TiB, nearly all of it a hole.",
    8,
    double="""
        won = False
        try:
            with open("autograde-attack", "wb") as file:
                file.truncate(2**40)
            won = True
        except OSError as error:
            print(error)

        def double(x):
            return 2 * x if won else x
    """,
)
attack.cells(
    "endless output",
    "Prints for ever.",
    10,
    status="timeout",
    alone=True,
    below={"test_double": "while True:\n    print('all work and no play ' * 50)"},
)
attack.cells(
    "one line of fifty megabytes",
    "Prints one line that fills a page's memory.",
    10,
    alone=True,
    below={"test_double": "print('x' * 50_000_000)"},
)
attack.cells(
    "thousands of displays",
    "Displays small things, each of which is a message.",
    10,
    alone=True,
    below={"test_double": "from IPython.display import display\nfor number in range(2_000):\n    display(number)"},
)
attack.cells(
    "a large picture",
    "Shows a picture of twenty megabytes that is none.",
    10,
    below={
        "test_double": """
            import os
            from IPython.display import display

            display({"image/png": os.urandom(10_000_000).hex(), "text/plain": "a picture"}, raw=True)
        """
    },
)
