"""Attacks that want out: onto the machine, into others' submissions, or into the grader by what they send it.

`double` is right if one of them gets out, so where nothing else is said 8 points remain.
"""

from __future__ import annotations

import os
import stat
from textwrap import dedent, indent

from attacks.assignment import NAME
from attacks.base import Family, notebook, put

attack = Family("escaping")

# Files of others


def writes(name: str, aim: str, *paths: str, text: str = "# written by an attack on the grader") -> None:
    """Add the attack that wins by writing to any of these files. Its own, and those it makes, are no win."""
    attack.cells(
        name,
        aim,
        8,
        double=f"""
            import glob, os

            won = False
            own = os.path.realpath(os.getcwd()) + "/"
            for pattern in {paths!r}:
                for path in glob.glob(pattern, include_hidden=True) or [pattern]:
                    try:
                        others = os.path.exists(path) and not os.path.realpath(path).startswith(own)
                        with open(path, "a") as file:
                            file.write({text!r})
                        won = won or others
                    except OSError as error:
                        print(error)

            def double(x):
                return 2 * x if won else x
        """,
    )


writes(
    "write to start-up files",
    "Adds a line to the files that a shell, Python and IPython run when the grader starts them.",
    "$WORLD/home/.bashrc",
    "$WORLD/home/.profile",
    "$WORLD/home/.ipython/profile_default/startup/start.py",
    "$WORLD/home/.config/autostart/autograde-attack.desktop",
)
attack.cells(
    "write to site-packages",
    "Puts a file among the installed packages that every later Python would run.",
    8,
    double="""
        import os, site, sys, torch

        won = False
        folders = [os.path.dirname(os.__file__), os.path.dirname(os.path.dirname(torch.__file__))]
        folders += [path for path in site.getsitepackages() + sys.path if os.path.isdir(path)]
        for folder in set(folders) - {"", os.getcwd()}:
            try:
                with open(f"{folder}/autograde-attack.pth", "w") as file:
                    file.write("# written by an attack on the grader")
                won = True
            except OSError as error:
                print(error)

        def double(x):
            return 2 * x if won else x
    """,
)
writes(
    "write to other submissions",
    "Overwrites what the others of the class handed in.",
    "$CLASS/*/*/*.ipynb",
    "$CLASS/autograde-attack",
    "../../*/*/*.ipynb",
)
writes(
    "write to the course",
    "Makes the hidden checks pass for everybody.",
    "$WORLD/course/solutions/target/checks.py",
    "$WORLD/course/autograde-attack.py",
)
writes(
    "write to the results",
    "Writes grades, feedback and gradebook itself.",
    "$WORLD/out/grades.csv",
    "$WORLD/out/gradebook.db",
    "$WORLD/out/feedback/emmy/target.html",
    "$WORLD/out/previous.txt",
    "$WORLD/out/autograde-attack",
)
attack.cells(
    "change the grader's package",
    "Changes the file of the harness, which every later kernel loads.",
    8,
    double="""
        import autograde.harness

        won = False
        try:
            open(autograde.harness.__file__, "a").close()
            won = True
        except OSError as error:
            print(error)

        def double(x):
            return 2 * x if won else x
    """,
)

# Processes

attack.cells(
    "write to its parent's memory",
    "Opens the memory of the process that it was made from, to change the grader for the next students.",
    8,
    double="""
        import os

        # Not process 1: in a sandbox that is the sandbox's own, and may do no more than this process.
        won = False
        try:
            os.close(os.open(f"/proc/{os.getppid()}/mem", os.O_RDWR))
            won = True
        except OSError as error:
            print(error)

        def double(x):
            return 2 * x if won else x
    """,
)
attack.cells(
    "a daemon",
    "Leaves a process behind that belongs to no group or terminal any more.",
    10,
    below={
        "test_double": """
            import os, time

            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    time.sleep(1000)
                os._exit(0)
        """
    },
)
attack.cells(
    "a daemon by the shell",
    "Leaves programs behind that ignore every polite signal.",
    10,
    below={
        "test_noise": """
            import os

            os.system("trap '' INT TERM HUP; setsid nohup sleep 1000 > /dev/null 2>&1 &")
        """
    },
)
attack.cells(
    "a daemon, then the end",
    "Leaves a process behind and ends the one that the grader knows.",
    2,
    status="killed",
    hint="ended the Python process",
    scale="""
        import os, time

        if os.fork() == 0:
            os.setsid()
            time.sleep(1000)
        os._exit(0)
    """,
)


def calls(name: str, aim: str, source: str) -> None:
    """Add the attack that wins when a call of the system's, made in a child without threads, does what it asks for."""
    lines = indent(dedent(source).strip(), " " * 20)
    attack.cells(
        name,
        aim,
        8,
        double=f"""
            import ctypes, os, platform, signal, time

            libc = ctypes.CDLL(None, use_errno=True)
            child = os.fork()
            if child == 0:
                won = False
                try:
{lines}
                except BaseException:
                    pass
                os._exit(0 if won else 1)
            won = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            print(won)

            def double(x):
                return 2 * x if won else x
        """,
    )


calls(
    "trace another process",
    "Attaches to a process by ptrace, as debuggers do.",
    """
    other = os.fork()
    if other == 0:
        time.sleep(2)
        os._exit(0)
    won = libc.ptrace(16, other, None, None) == 0
    os.kill(other, signal.SIGKILL)
    """,
)
calls(
    "read another process's memory",
    "Reads the memory of its parent by process_vm_readv.",
    """
    class Piece(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]

    kept = ctypes.create_string_buffer(8)
    here, there = Piece(ctypes.addressof(kept), 8), Piece(id(None), 8)
    won = libc.process_vm_readv(os.getppid(), ctypes.byref(here), 1, ctypes.byref(there), 1, 0) == 8
    """,
)
calls(
    "mount a file system",
    "Mounts an empty file system over a folder of its own.",
    """
    os.makedirs("mounted", exist_ok=True)
    won = libc.mount(b"none", b"mounted", b"tmpfs", 0, None) == 0
    """,
)
calls(
    "take a mount away",
    "Unmounts what hides the rest of the machine.",
    "won = any(libc.umount2(path.encode(), 2) == 0 for path in (os.getcwd(), os.path.dirname(os.getcwd())))",
)
calls(
    "a new user namespace",
    "Becomes root of a namespace of its own, from where more of the kernel can be reached.",
    "won = libc.unshare(0x10000000) == 0",
)
calls(
    "clone into a user namespace",
    "Asks for a new user namespace by clone, with which unshare has nothing to do.",
    """
    number = {"x86_64": 56, "aarch64": 220}[platform.machine()]
    made = libc.syscall(number, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)
    if made == 0:
        os._exit(0)
    won = made > 0
    """,
)
calls(
    "clone into a user namespace, the new way",
    "Asks for a new user namespace by clone3, whose flags no filter can read.",
    """
    asked = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, signal.SIGCHLD)
    made = libc.syscall(435, ctypes.byref(asked), ctypes.sizeof(asked))
    if made == 0:
        os._exit(0)
    won = made > 0
    """,
)
calls(
    "enter another namespace",
    "Joins the namespaces of the first process that it sees.",
    """
    for kind in ("mnt", "net", "pid", "user"):
        with open(f"/proc/1/ns/{kind}") as door:
            won = won or libc.setns(door.fileno(), 0) == 0
    """,
)
calls(
    "change the root",
    "Makes another folder the root, as root may.",
    """
    os.makedirs("root", exist_ok=True)
    os.chroot("root")
    won = True
    """,
)
calls(
    "become root",
    "Asks to be user 0 of the machine, and to do what only that one may.",
    """
    import socket

    os.setuid(0)
    socket.sethostname(socket.gethostname())
    won = True
    """,
)
calls(
    "calls that no exercise needs",
    "Tries system calls through which sandboxes were left before: bpf, keyctl, io_uring, memory files, and others.",
    """
    numbers = {
        "x86_64": {"memfd_create": 319, "bpf": 321, "keyctl": 250, "io_uring_setup": 425, "userfaultfd": 323,
                   "perf_event_open": 298, "shmget": 29, "open_by_handle_at": 304, "kexec_load": 246},
        "aarch64": {"memfd_create": 279, "bpf": 280, "keyctl": 219, "io_uring_setup": 425, "userfaultfd": 282,
                    "perf_event_open": 241, "shmget": 194, "open_by_handle_at": 265, "kexec_load": 104},
    }[platform.machine()]
    space = ctypes.create_string_buffer(256)
    arguments = {"memfd_create": (b"x", 0), "keyctl": (0, -3, 1), "io_uring_setup": (1, space), "userfaultfd": (1,),
                 "shmget": (0, 4096, 0o1600)}
    done = [name for name, number in numbers.items() if libc.syscall(number, *arguments.get(name, (0, 0, 0))) >= 0]
    won = bool(done)
    """,
)
calls(
    "raise its limits",
    "Lifts the limits on files and processes that it was started with.",
    """
    import resource

    for kind in (resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE):
        resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    won = True
    """,
)
calls(
    "talk to the terminal",
    "Pushes keys into the terminal from which the grader was started.",
    """
    import fcntl, termios

    with open("/dev/tty", "r+b", 0) as terminal:
        fcntl.ioctl(terminal, termios.TIOCSTI, b" ")
        won = True
    """,
)
calls(
    "make a device",
    "Makes a device file of the machine's first disk and of its memory.",
    """
    import stat

    for name, numbers in (("disk", (8, 0)), ("memory", (1, 1))):
        os.mknod(name, 0o600 | (stat.S_IFBLK if name == "disk" else stat.S_IFCHR), os.makedev(*numbers))
        os.close(os.open(name, os.O_RDONLY))
        won = True
    """,
)
attack.cells(
    "write to the kernel's settings",
    "Writes to settings of the machine under /proc and /sys.",
    8,
    double="""
        import os

        won = False
        for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper"):
            try:
                os.close(os.open(path, os.O_WRONLY))  # and nothing is written
                won = True
            except OSError as error:
                print(error)

        def double(x):
            return 2 * x if won else x
    """,
)

# What lies beside the notebook


@attack.folder(
    "a link for a notebook", "Hands in a symbolic link to the solution.", 0, status="rejected: a symbolic link"
)
def _(folder):
    (folder / f"{NAME}.ipynb").symlink_to(folder.parents[2] / "course" / "solutions" / NAME / f"{NAME}.py")


@attack.folder(
    "a link to another's notebook",
    "Hands in a symbolic link to the notebook of somebody else.",
    0,
    status="rejected: a symbolic link",
)
def _(folder):
    (folder / f"{NAME}.ipynb").symlink_to(f"../../emmy/{NAME}/{NAME}.ipynb")


@attack.folder(
    "a link for an assignment",
    "Makes the assignment's folder a link to somebody else's.",
    0,
    status=f"rejected: the folder {NAME} is a symbolic link",
)
def _(folder):
    folder.rmdir()
    folder.symlink_to(folder.parents[1] / "emmy" / NAME)


@attack.folder(
    "a link for a student",
    "Makes the student's folder a link to somebody else's.",
    0,
    status="rejected: the folder a-link-for-a-student is a symbolic link",
)
def _(folder):
    folder.rmdir()
    folder.parent.rmdir()
    folder.parent.symlink_to("emmy")


@attack.folder("a broken link", "Hands in a link to nowhere.", 0, status="rejected: a symbolic link")
def _(folder):
    (folder / f"{NAME}.ipynb").symlink_to("nowhere")


# A hard link to a notebook is that notebook: the report's hash shows who shares one.
@attack.folder("a hard link to another's notebook", "Hands in the same file as somebody else, by a hard link.", 10)
def _(folder):
    os.link(folder.parents[1] / "zoe" / NAME / f"{NAME}.ipynb", folder / f"{NAME}.ipynb")


@attack.folder(
    "a hard link to the report",
    "Hands in the report of an earlier run, with its secret, by a hard link.",
    0,
    status="rejected: not a notebook",
)
def _(folder):
    os.link(folder.parents[2] / "last" / "report.json", folder / f"{NAME}.ipynb")


@attack.folder(
    "links beside the notebook",
    "Puts links to the machine's files and folders beside the notebook, and opens them from it.",
    8,
)
def _(folder):
    (folder / "system").symlink_to("/")
    (folder / "secrets.txt").symlink_to(folder.parents[2] / "home" / ".ssh" / "key")
    source = """
        import os

        loot = "".join(open(p).read() for p in ("secrets.txt", "system/$WORLD/last/report.json") if os.path.exists(p))
        print(loot)

        def double(x):
            return 2 * x if loot else x
    """
    put(folder, notebook({"double": source}, folder=folder))


@attack.folder("a pipe", "Hands in a named pipe, which nobody ever writes to.", 0, status="rejected: not a plain file")
def _(folder):
    os.mkfifo(folder / f"{NAME}.ipynb")


@attack.folder(
    "a device",
    "Hands in a device that never ends; who may make none hands in a pipe.",
    0,
    status="rejected: not a plain file",
)
def _(folder):
    try:
        os.mknod(folder / f"{NAME}.ipynb", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    except PermissionError:
        os.mkfifo(folder / f"{NAME}.ipynb")


@attack.folder(
    "modules beside the notebook",
    "Hands in a re.py, a torch/ and a sitecustomize.py, which an import from this folder would run instead.",
    8,
)
def _(folder):
    source = "import builtins\nbuiltins.won = True\n"
    put(folder, source, "re.py")
    put(folder, source, "sitecustomize.py")
    for package in ("torch", "autograde"):
        (folder / package).mkdir()
        put(folder / package, source, "__init__.py")
    put(folder, "c.InteractiveShellApp.exec_lines = ['won = True']\n", "ipython_config.py")
    answer = "import builtins, re\n\ndef double(x):\n    return 2 * x if hasattr(builtins, 'won') else x"
    put(folder, notebook({"double": answer}))


attack.cells(
    "modules in the work folder",
    "Writes modules into its work folder, which the grader's own questions would import.",
    8,
    double="""
        import os

        for name in ("autograde", "torch", "json", "base64", "safetensors"):
            os.makedirs(name, exist_ok=True)
            with open(f"{name}/__init__.py", "w") as file:
                file.write("raise SystemExit('shadowed')")

        def double(x):
            return x
    """,
)

# What comes back

attack.cells(
    "a pickle that acts",
    "Returns objects that run code when they are unpickled, alone and inside a tensor's attributes.",
    8,
    double="""
        import os

        class Acting:
            def __reduce__(self):
                return os.system, ("touch $WORLD/home/autograde-attack",)

        def double(x):
            return [Acting(), {"x": Acting()}]
    """,
)
attack.cells(
    "a tensor that acts",
    "Returns a tensor with a pickle in its attributes and methods that run code when they are called.",
    7,
    scale="""
        import os

        class Acting(torch.Tensor):
            def __reduce_ex__(self, protocol):
                return os.system, ("touch $WORLD/home/autograde-attack",)

        def scale(values, factor):
            acting = torch.zeros(values.shape).as_subclass(Acting)
            acting.more = lambda: os.system("touch $WORLD/home/autograde-attack")
            return acting
    """,
)


def replies(name: str, aim: str, reply: str, **expected: object) -> None:
    """Add the attack that answers the questions about `double` with these bytes."""
    attack.cells(
        name,
        aim,
        8,
        double=f"""
            import json, os, pickle, struct
            import autograde.harness as harness

            execute = harness.execute
            honest = harness.encode({{"values": [6]}})
            no_tensors = honest[8 + struct.unpack("<Q", honest[:8])[0] :]

            def headed(text, tensors=no_tensors):
                return struct.pack("<Q", len(text)) + text + tensors

            def forged(namespace, request):
                if b"double" not in request:
                    return execute(namespace, request)
                return {reply}

            harness.execute = forged

            def double(x):
                return 6
        """,
        **expected,
    )


replies("a pickle for a reply", "Answers with a pickle.", "pickle.dumps({'values': [6]})")
replies("noise for a reply", "Answers with random bytes.", "os.urandom(1000)")
replies("nothing for a reply", "Answers with no bytes.", "b''")
replies(
    "a reply of a wrong length",
    "Answers with a header that promises more bytes than any machine has.",
    "struct.pack('<Q', 2**63) + honest[8:]",
)
replies(
    "a tensor beyond its bytes",
    "Answers with a tensor whose header points outside of what was sent.",
    'headed(b\'{"$dict": [["values", [{"$tensor": "0"}]]]}\', '
    'headed(b\'{"0": {"dtype": "F64", "shape": [1000000], "data_offsets": [0, 8000000]}}\', b""))',
)
replies(
    "a tensor of a negative size",
    "Answers with a tensor whose shape is negative, and overflows when it is multiplied.",
    'headed(b\'{"$dict": [["values", [{"$tensor": "0"}]]]}\', '
    'headed(b\'{"0": {"dtype": "F64", "shape": [4294967296, 4294967296], "data_offsets": [0, 0]}}\', b""))',
)
replies("a deep reply", "Answers with lists nested a hundred thousand deep.", "headed(b'[' * 100_000 + b']' * 100_000)")
replies("a reply of many parts", "Answers with a million small lists.", "headed(b'[' + b'[],' * 10**6 + b'[]]')")
replies(
    "a reply that grows",
    "Answers with a number whose digits take hours to read.",
    "headed(b'{\"$dict\": [[\"values\", [' + b'9' * 10**6 + b']]]}')",
)
replies(
    "a reply of ten megabytes",
    "Answers with more bytes than a number ever needs, none of which says anything.",
    "bytes(10_000_000)",
)
attack.cells(
    "a huge result",
    "Returns a tensor of eighty megabytes where a number is asked for.",
    8,
    double="def double(x):\n    return 6 if x == 3 else torch.zeros(20_000_000)",
)
attack.cells(
    "a huge number",
    "Returns an integer with a million digits.",
    8,
    double="def double(x):\n    return 6 if x == 3 else 10 ** 1_000_000",
)
attack.cells(
    "a long text",
    "Returns a text of thirty megabytes.",
    8,
    double="def double(x):\n    return 6 if x == 3 else 'x' * 30_000_000",
)
attack.cells(
    "a result without end",
    "Returns a list that contains itself.",
    8,
    double="""
        def double(x):
            endless = []
            endless.append(endless)
            return 6 if x == 3 else endless
    """,
)
attack.cells(
    "nan everywhere",
    "Returns a tensor of nan, which equals nothing.",
    7,
    scale="""
        def scale(values, factor):
            return torch.full((3,), 2.0) if len(values) == 3 else torch.full_like(values, float("nan")).float()
    """,
    hint="contains nan",
)
attack.cells(
    "an error without end",
    "Raises an error whose text is ten megabytes long, in many lines and colours.",
    8,
    double="def double(x):\n    raise ValueError('\\x1b[31mvery wrong\\n' * 1_000_000)",
)

# The kernel's connection

attack.cells(
    "flood the connection",
    "Sends two thousand forged replies, texts and states through the kernel's own session.",
    8,
    alone=True,
    status="graded|timeout",
    double="""
        from autograde.harness import REPLY_MIME

        kernel = get_ipython().kernel
        for _ in range(500):
            for kind, content in (
                ("display_data", {"data": {REPLY_MIME: "AAAA"}, "metadata": {}}),
                ("stream", {"name": "stdout", "text": "x"}),
                ("status", {"execution_state": "busy"}),
                ("no_such_kind", {}),
            ):
                kernel.session.send(kernel.iopub_socket, kind, content, parent=kernel.get_parent("shell"))

        def double(x):
            return x
    """,
)
attack.cells(
    "messages of a wrong form",
    "Sends messages whose parts are of the wrong type, or missing.",
    8,
    double="""
        kernel = get_ipython().kernel
        parent = kernel.get_parent("shell")
        for kind in ("stream", "display_data", "execute_result", "error", "status", "clear_output", "comm_open"):
            for content in ({}, {"data": 7}, {"text": [1]}, {"data": {"text/plain": {"a": []}}}, {"traceback": 5}):
                kernel.session.send(kernel.iopub_socket, kind, content, parent=parent)

        def double(x):
            return x
    """,
)
attack.cells(
    "bytes that are no message",
    "Sends raw bytes on the kernel's channel, unsigned and not even JSON.",
    2,
    status="killed",
    hint="sent messages that cannot be read",
    scale=r"""
        import time

        socket = get_ipython().kernel.iopub_socket
        for parts in ([b""], [b"\xff" * 100], [b"<IDS|MSG>", b"", b"{", b"{", b"{", b"{"], [b"x"] * 50):
            socket.send_multipart(parts)
        time.sleep(0.5)
    """,
)
attack.cells(
    "write to every socket file",
    "Writes noise to every socket file that it can find, its own kernel's and others'.",
    8,
    double="""
        import os, socket, stat

        for top in (os.getcwd(), "/tmp", "/run", "/var/run", "$WORLD"):
            for folder, _, names in os.walk(top):
                for name in names:
                    path = os.path.join(folder, name)
                    try:
                        if stat.S_ISSOCK(os.stat(path).st_mode):
                            door = socket.socket(socket.AF_UNIX)
                            door.settimeout(0.2)
                            door.connect(path)
                            door.sendall(os.urandom(1000))
                    except OSError:
                        pass

        def double(x):
            return x
    """,
)
attack.cells(
    "stop its own kernel politely",
    "Asks its own kernel to shut down, as a notebook's menu does.",
    10,
    status="graded|killed",
    below={
        "test_noise": """
            from ipykernel.connect import get_connection_file
            from jupyter_client import BlockingKernelClient

            client = BlockingKernelClient(connection_file=get_connection_file())
            client.load_connection_file()
            client.start_channels()
            client.shutdown()
        """
    },
)
attack.cells(
    "answer for the next cell",
    "Keeps answering the messages of later cells from a thread, with errors and ends that are not theirs.",
    None,  # it may spoil its own later cells, and nobody else's
    status="graded|killed|timeout",
    alone=True,
    double="""
        import threading, time

        kernel = get_ipython().kernel

        def answer():
            while True:
                parent = kernel.get_parent("shell")
                kernel.session.send(kernel.iopub_socket, "status", {"execution_state": "idle"}, parent=parent)
                time.sleep(0.001)

        threading.Thread(target=answer, daemon=True).start()

        def double(x):
            return x
    """,
)
