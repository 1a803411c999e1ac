"""The sandbox, its system call filter, and the kernels that are forked into it or beside it."""

import asyncio
import contextlib
import errno
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient

from autograde import parent, sandbox, seccomp
from autograde.host import BUBBLEWRAP, NONE, Host, Limits
from autograde.kernel import Kernel, KernelStudent
from autograde.parent import WarmParent, WarmParentError
from autograde.sandbox import Sandbox, SandboxError
from autograde.student import StudentStopped

try:
    sandbox.check()
    WHY_NOT = ""
except SandboxError as error:
    WHY_NOT = str(error)
needs_sandbox = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
needs_fork = pytest.mark.skipif(not parent.available(), reason="kernels cannot be forked on this system")


# The filter --------------------------------------------------------------------------------------------

ALLOW, KILL = "allow", "kill"
ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def verdict(machine, number, *arguments, arch=None):
    """Run the filter as the kernel would, by the meaning of classic BPF, and say what it answers."""
    data = struct.pack("=iIQ6Q", number, arch or ARCHES[machine], 0, *(*arguments, *[0] * 6)[:6])
    code = list(struct.iter_unpack("=HBBI", seccomp.program(machine)))
    accumulator = at = 0
    while True:
        operation, yes, no, k = code[at]
        at += 1
        if operation == 0x20:  # ld [k]
            (accumulator,) = struct.unpack_from("=I", data, k)
        elif operation == 0x06:  # ret k
            action, detail = k & 0xFFFF0000, k & 0xFFFF
            return {0x7FFF0000: ALLOW, 0x80000000: KILL}.get(action) or errno.errorcode[detail]
        else:
            taken = {0x15: accumulator == k, 0x35: accumulator >= k, 0x45: bool(accumulator & k)}[operation]
            at += yes if taken else no


#: Numbers of calls that every program makes: read, write, openat, mmap, futex, execve, exit_group.
COMMON = {"x86_64": (0, 1, 257, 9, 202, 59, 231), "aarch64": (63, 64, 56, 222, 98, 221, 94)}
CLONE, SOCKET, IOCTL = {"x86_64": 56, "aarch64": 220}, {"x86_64": 41, "aarch64": 198}, {"x86_64": 16, "aarch64": 29}


@pytest.mark.parametrize("machine", ARCHES)
def test_the_filter_denies_what_it_says_and_nothing_else(machine):
    numbers = seccomp._MACHINES[machine][1]
    for name, number in numbers.items():
        wanted = ALLOW if name in ("clone", "ioctl") else "EPERM"
        if name in ("clone3", "io_uring_setup", "io_uring_enter", "io_uring_register"):
            wanted = "ENOSYS"
        if name != "socket":
            assert verdict(machine, number) == wanted, name
    assert {verdict(machine, n) for n in COMMON[machine]} == {ALLOW}
    allowed = [n for n in range(500) if n not in numbers.values()]
    assert {verdict(machine, n) for n in allowed} == {ALLOW}
    assert verdict(machine, 0, arch=0x40000003) == KILL, "the calls of 32-bit programs have other numbers"
    assert verdict(machine, 0x40000000) == "ENOSYS"


@pytest.mark.parametrize("machine", ARCHES)
def test_the_filter_looks_at_arguments(machine):
    thread, fork = 0x3D0F00, 0x01200011  # what glibc passes for a thread and for fork
    assert verdict(machine, CLONE[machine], thread) == verdict(machine, CLONE[machine], fork) == ALLOW
    for flag in (0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert verdict(machine, CLONE[machine], flag | 17) == "EPERM", hex(flag)
    for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, 16):
        assert verdict(machine, SOCKET[machine], family) == ALLOW
    for family in (17, 38, 40, 0, 3):  # packets, the kernel's cryptography, virtual machines, none, radio
        assert verdict(machine, SOCKET[machine], family) == "EAFNOSUPPORT"
    assert (
        verdict(machine, IOCTL[machine], 0, 0x5412) == "EPERM" and verdict(machine, IOCTL[machine], 0, 0x5401) == ALLOW
    )


def test_the_numbers_are_this_systems():
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if not header.exists():
        pytest.skip("no kernel headers here")
    system = {
        w[1].removeprefix("__NR_"): int(w[2])
        for w in map(str.split, header.open())
        if w[:1] == ["#define"] and len(w) == 3
    }
    assert {n: system.get(n) for n in seccomp._MACHINES["x86_64"][1] if n in system} == {
        n: v for n, v in seccomp._MACHINES["x86_64"][1].items() if n in system
    }
    assert len(set(seccomp._MACHINES["x86_64"][1]) - set(system)) < 4


def test_a_machine_that_is_not_known_has_no_filter():
    assert seccomp.program("riscv64") is None


# What is shown -----------------------------------------------------------------------------------------


def words(box):
    return " ".join(box.arguments(user_namespace=None, information=3, filtered=None))


def test_what_lies_in_a_shown_folder_can_be_hidden(tmp_path):
    course, packages = tmp_path / "course", tmp_path / "course" / "packages"
    packages.mkdir(parents=True)
    line = words(Sandbox(readable=(str(tmp_path), str(packages)), hidden=(str(course),)))
    assert f"--perms 0755 --tmpfs {course} --ro-bind {packages} {packages} --remount-ro {course}" in line
    # What nobody shows need not be hidden.
    assert f"--tmpfs {course}" not in words(Sandbox(readable=(str(packages),), hidden=(str(course),)))


def test_nothing_else_of_the_system_is_shown():
    shown = words(Sandbox()).split()
    sources = {shown[i + 1] for i, w in enumerate(shown) if w.startswith("--ro-bind") or w == "--bind"}
    assert not [s for s in sources if s.startswith(("/home", "/root", "/var", "/run", "/srv", "/opt", "/tmp"))]
    assert "/etc" not in sources and "/etc/passwd" not in sources and "--share-net" not in shown


def test_without_bubblewrap_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="no bubblewrap"):
        sandbox.check()
    (tmp_path / "bwrap").write_text("#!/bin/sh\necho 'setting up uid map: Permission denied' >&2\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    with pytest.raises(SandboxError, match=r"makes no sandbox here \(setting up uid map"):
        sandbox.check()


# Inside ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    secret = tmp_path_factory.mktemp("course")
    (secret / "solution.py").write_text("the answer")
    with Host(Limits(cell=10, grace=1, memory=2**29, processes=40), BUBBLEWRAP, hidden=[secret]) as entered:
        yield entered


def ask(host, code, returns="x", files=None):
    """Run code in a new kernel and return what it leaves in ``x``."""

    async def main():
        async with Kernel(host, files or {}) as kernel:
            student = KernelStudent(kernel, {}, asyncio.get_running_loop())
            return await asyncio.to_thread(student.run, code, returns)

    return asyncio.run(main())


TRY = """
import ctypes, errno, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def tried(name, *arguments):
    ctypes.set_errno(0)
    return errno.errorcode.get(ctypes.get_errno(), 'done') if getattr(libc, name)(*arguments) == -1 else 'done'
"""


@needs_sandbox
def test_the_kernel_of_the_system_refuses(host):
    code = (
        TRY
        + """
x = {
    'mount': tried('mount', b'none', b'/tmp', b'tmpfs', 0, None),
    'unshare': tried('unshare', 0x10000000),
    'ptrace': tried('ptrace', 0, 0, 0, 0),
    'memory': tried('memfd_create', b'x', 0),
    'shared': tried('shmget', 1, 4096, 0o1600),
    'namespace': tried('setns', 0, 0),
    'keys': tried('syscall', 250, 0, 0),
}
try:
    socket.socket(40, socket.SOCK_STREAM)
except OSError as error:
    x['vsock'] = errno.errorcode[error.errno]
"""
    )
    assert ask(host, code) == {
        **dict.fromkeys(("mount", "unshare", "ptrace", "memory", "shared", "namespace", "keys"), "EPERM"),
        "vsock": "EAFNOSUPPORT",
    }


@needs_sandbox
def test_who_and_what_is_inside(host):
    code = """
import os
from pathlib import Path
status = dict(l.split(':\\t', 1) for l in Path('/proc/self/status').read_text().splitlines())
x = {
    'ids': [os.getuid(), os.geteuid(), os.getgid()],
    'capabilities': {status[k] for k in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb')} == {'0' * 16},
    'no new privileges': status['NoNewPrivs'], 'filter': status['Seccomp'],
    'processes': sorted(int(p) for p in os.listdir('/proc') if p.isdigit())[:3],
    'descriptors': [os.readlink(f'/proc/self/fd/{d}') for d in os.listdir('/proc/self/fd')
                    if os.path.lexists(f'/proc/self/fd/{d}')],
    'environment': Path('/proc/self/environ').read_text().split('\\0'),
    'network': sorted(os.listdir('/sys/class/net')) if os.path.exists('/sys/class/net') else [],
    'interfaces': [l.split(':')[0].strip() for l in Path('/proc/net/dev').read_text().splitlines()[2:]],
    'writable': [p for p in ('/', '/usr', '/dev', '/etc', '/proc/sys/kernel', '/tmp', '/dev/shm', '/tmp/student')
                 if os.access(p, os.W_OK)],
    'home': os.path.expanduser('~'), 'files': sorted(os.listdir(os.path.expanduser('~'))),
    'homes': [p for p in ('/home', '/root', '/srv', '/run', '/mnt') if os.path.exists(p) and os.listdir(p)],
}
"""
    seen = ask(host, code, files={"sums.ipynb": "{}"})
    assert seen["ids"] == [1000, 1000, 1000] and seen["capabilities"]
    assert seen["no new privileges"] == "1" and seen["filter"] == "2"
    assert seen["processes"][:2] == [1, 2] and len(seen["processes"]) == 3
    assert seen["interfaces"] == ["lo"] and seen["network"] in ([], ["lo"])
    assert seen["writable"] == ["/tmp", "/dev/shm", "/tmp/student"]
    assert set(seen["files"]) - {".ipython", ".cache", ".config"} == {"sums.ipynb"}
    names = {line.split("=")[0] for line in seen["environment"] if line}
    assert names <= {*parent.environment(), "HOME"}, "what the warm parent was started with shows here"
    # Nothing but its own sockets and pipes, and nothing.
    assert {d.split(":")[0] for d in seen["descriptors"]} <= {"socket", "pipe", "anon_inode", "/dev/null"}, seen[
        "descriptors"
    ]
    # Only the folders on the way to a Python that lives there.
    roots = {Path(p).parts[1] for p in sandbox.interpreter()}
    assert {p.strip("/") for p in seen["homes"]} <= roots


@needs_sandbox
def test_memory_of_many_processes_counts_together(host):
    code = """
import os, time
for _ in range(4):
    if os.fork() == 0:
        held = bytearray(os.urandom(1) * (200 * 2**20))
        time.sleep(30)
        os._exit(0)
time.sleep(30)
"""
    with pytest.raises(StudentStopped, match="used more than 512 MiB of memory") as stop:
        ask(host, code, ())
    assert stop.value.status == "killed"


@needs_sandbox
def test_memory_of_one_process_ends_in_an_exception(host):
    code = """
import torch
try:
    torch.zeros(2**30)
    x = 'allocated'
except (RuntimeError, MemoryError) as error:
    x = type(error).__name__
"""
    assert ask(host, code) in ("RuntimeError", "MemoryError")


@needs_sandbox
def test_files_are_bounded_in_size_and_number(host):
    code = """
import os
from pathlib import Path
x = 0
try:
    for i in range(9):
        for folder in ('/tmp', '/dev/shm'):
            with open(f'{folder}/{i}', 'wb') as file:
                while True:
                    x += file.write(b'x' * 2**20)
except OSError as error:
    reason = error.strerror
try:
    while True:
        with open(f'/dev/shm/{i}', 'ab') as file:
            x += file.write(b'x' * 2**20)
except OSError:
    pass
x //= 2**20
"""
    assert 200 <= ask(host, code) <= 321
    many = "import os\nfor i in range(10**6): os.close(os.open(f'/tmp/{i}', os.O_CREAT))"
    with pytest.raises(StudentStopped, match="more than 50,000 files"):
        ask(host, many, ())


@needs_sandbox
def test_processes_are_bounded(host):
    code = """
import os, time
x = 0
try:
    while x < 500:
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
        x += 1
except BlockingIOError:
    pass
"""
    assert 10 <= ask(host, code) <= 64


# Other programs ----------------------------------------------------------------------------------------


def run_notebook(*sources, **options):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])
    NotebookClient(notebook, kernel_name="warm", timeout=120, **options).execute()
    return notebook.cells


@pytest.fixture
def installed():
    """The kernelspec, where it is installed."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        KernelSpecManager().get_kernel_spec("warm")
    except NoSuchKernel:
        pytest.skip("the kernel `warm` is not installed; `make setup` does it")


def test_nbclient_finds_the_warm_kernel(installed, tmp_path):
    (tmp_path / "beside.py").write_text("value = 7")
    cells = run_notebook(
        "import sys; loaded = 'torch' in sys.modules; import beside; (loaded, beside.value)",
        "import matplotlib.pyplot as plt; plt.plot([1, 2]);",
        "import os; os.environ['MARK'] = 'x'; __import__('torch').randn(1)",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    assert cells[0].outputs[0].data["text/plain"] == f"({parent.available()}, 7)"
    assert "image/png" in cells[1].outputs[-1].data
    assert "MARK" not in os.environ


@needs_fork
def test_a_warm_kernel_is_interrupted_restarted_and_ended(installed):
    manager, client = start_new_kernel(kernel_name="warm")
    try:
        first = manager.provisioner.pid
        client.execute("import time; time.sleep(60)")
        time.sleep(0.5)
        manager.interrupt_kernel()
        assert client.get_shell_msg(timeout=10)["content"]["ename"] == "KeyboardInterrupt"
        manager.restart_kernel(now=True)
        client.wait_for_ready(timeout=30)
        assert manager.provisioner.pid != first and manager.is_alive()
        client.execute_interactive("import subprocess; p = subprocess.Popen(['sleep', '77.7'], start_new_session=True)")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
    left = [p for p in Path("/proc").glob("[0-9]*/cmdline") if b"77.7" in _read(p)]
    assert not left, "what the kernel started goes with it"


@needs_fork
def test_no_other_program_can_take_a_kernels_ports(monkeypatch, installed):
    fork, taken, tried = WarmParent.fork, [], []

    def steal_first(self, request, listening=()):
        for channel in ("shell", "iopub", "stdin", "control"):
            thief = socket.socket()
            tried.append(thief)
            with contextlib.suppress(OSError):
                thief.bind((request["connection"]["ip"], request["connection"][f"{channel}_port"]))
                thief.listen()
                taken.append(channel)
        return fork(self, request, listening)

    monkeypatch.setattr(WarmParent, "fork", steal_first)
    try:
        assert run_notebook("6 * 7")[0].outputs[0].data["text/plain"] == "42"
    finally:
        for thief in tried:
            thief.close()
    assert (len(tried), taken) == (4, [])


def _read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_where_kernels_cannot_be_forked_an_ordinary_one_starts(monkeypatch, installed):
    from autograde import provisioner

    monkeypatch.setattr(provisioner, "available", lambda: False)
    assert run_notebook("import sys; 'torch' in sys.modules")[0].outputs[0].data["text/plain"] == "False"


@needs_fork
def test_a_parent_that_does_not_start_says_why(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    (tmp_path / "python").write_text("#!/bin/sh\necho 'no torch here' >&2\nexit 3\n")
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(WarmParentError, match="no torch here"):
        WarmParent(parent.environment()).prepare()


@needs_fork
def test_modules_that_are_not_there_are_named_and_do_no_harm():
    with Host(sandbox=NONE) as entered:
        assert entered._parent.prepare(["json", "no_such_module"]) == ["no_such_module"]


@needs_fork
def test_the_parents_own_end_ends_the_kernels_and_the_folder():
    """As when the grader is killed: its end of the socket closes."""
    code = (
        "import asyncio, os, sys\n"
        "from autograde.host import Host\n"
        "from autograde.kernel import Kernel\n"
        "async def main(host):\n"
        "    async with Kernel(host) as kernel:\n"
        "        print(host.root, kernel._manager.provisioner.pid, flush=True)\n"
        "        os.kill(os.getpid(), 9)\n"
        "with Host() as host: asyncio.run(main(host))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    root, pid = done.stdout.split()
    for _ in range(100):
        if not Path(root).exists() and not Path(f"/proc/{pid}").exists():
            break
        time.sleep(0.1)
    assert not Path(root).exists() and not Path(f"/proc/{pid}").exists()


def test_no_kernel_starts_outside_of_a_sandbox_that_was_asked_for(monkeypatch):
    monkeypatch.setattr(parent, "take", lambda: (Path(tempfile.mkdtemp(prefix="autograde-")), None))
    monkeypatch.setattr(sandbox, "check", lambda: None)
    with pytest.raises(SandboxError, match="cannot be forked here"), Host(sandbox=BUBBLEWRAP):
        pass
