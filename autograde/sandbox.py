"""A sandbox that bubblewrap makes and a forked process enters.

Starting an interpreter inside a sandbox would import torch anew for each submission. So bubblewrap starts something
small in it, an *anchor* that waits, and the process that has torch already joins the anchor's namespaces. In order:

1. bubblewrap makes the namespaces and the mounts, and its anchor says that they stand;
2. the process joins them: the user namespace that owns the mounts, then ipc, uts, net, pid, mnt, and the innermost
   user namespace (:meth:`Door.join`);
3. it forks, for only a child is born into the joined pid namespace, and the child gives up every privilege
   (:func:`give_up_privileges`).

A process that joined and did not fork stays outside of the pid namespace: nothing in the sandbox can see it, and it
can see everything there. Linux only.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograde import seccomp

#: Who the student is inside, and where: all that can be written lies in one file system.
USER, WRITABLE, HOME = 1000, "/tmp", "/tmp/student"
#: Who the student is outside when root grades: a user that nobody is, so that limits count.
_NOBODY = 65530
_NEW_USER = 0x10000000
_NS_GET_USERNS = 0xB701
#: In the order in which they can be joined.
_KINDS = ("ipc", "uts", "net", "pid", "mnt")
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_CHILD_SUBREAPER = 1, 4, 24, 36
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
#: What programs look up outside of /usr; the rest of /etc is this machine's own business.
_ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "fonts", "mime.types", "nsswitch.conf")
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
#: Bytes of shared memory, which worker processes of a data loader pass batches through.
_SHARED = 64 * 2**20
#: The anchor: says that the mounts stand, and lives until its input ends.
_ANCHOR = ("/bin/sh", "-c", "echo; read wait")
_GPU_DEVICES = ("nvidia*", "nvidia-caps/*")

HOW_TO_GET_IT = (
    "install bubblewrap (apt-get install bubblewrap) on a Linux that allows user namespaces "
    "(`autograde doctor` says how), or grade only what you trust with --sandbox none"
)


class SandboxError(Exception):
    """No sandbox can be made here; the text is one sentence that says why."""


@dataclass(frozen=True)
class Sandbox:
    """What there is in a sandbox, beside the system's read-only folders.

    Attributes:
        readable: files and folders to show, read-only, at their own paths.
        hidden: folders to hide, should they lie in one that is shown.
        disk: bytes that all files written in the sandbox may take together.
        gpu: whether the NVIDIA devices are there.
        program: the path of bubblewrap; looked for when it is empty.
    """

    readable: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    disk: int = 256 * 2**20
    gpu: bool = False
    program: str = ""

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Sandbox:
        """Return the sandbox that a mapping from JSON describes."""
        lists = {k: tuple(plain[k]) for k in ("readable", "hidden")}
        return cls(**{**plain, **lists})

    def arguments(self, *, user_namespace: int | None, information: int, filtered: int | None) -> list[str]:
        """Return bubblewrap's options.

        Args:
            user_namespace: a file descriptor of the user namespace to use, or None to make one.
            information: a file descriptor that bubblewrap writes its child's number to.
            filtered: a file descriptor to read the system call filter from, if there is one.
        """
        who = ["--unshare-user", "--uid", str(USER), "--gid", str(USER)]
        if user_namespace is not None:
            who = ["--userns", str(user_namespace)]
        words = [*who, "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
        words += ["--unshare-cgroup-try", "--hostname", "sandbox", "--die-with-parent", "--new-session"]
        words += ["--info-fd", str(information)]
        if filtered is not None:
            words += ["--seccomp", str(filtered)]
        words += ["--proc", "/proc", "--dev", "/dev"]
        # A process of root's number may write there without any capability, and bubblewrap leaves it open.
        words += ["--ro-bind", "/proc/sys", "/proc/sys"]
        for name in ("sysrq-trigger", "kcore", "keys"):
            if Path(f"/proc/{name}").exists():
                words += ["--ro-bind", "/dev/null", f"/proc/{name}"]
        # The two places that can be written, each of a bounded size; what is shown below /tmp comes after it.
        words += ["--perms", "1777", "--size", str(self.disk), "--tmpfs", WRITABLE]
        shown = [*_SYSTEM, "/sys/devices/system/cpu", *self._shown()]
        for folder in sorted({p for path in [*shown, "/etc/x", "/var/tmp"] for p in _above(path)} - {WRITABLE}):
            words += ["--perms", "0755", "--dir", folder]
        words += ["--perms", "1777", "--size", str(min(self.disk, _SHARED)), "--tmpfs", "/dev/shm"]
        words += ["--symlink", WRITABLE, "/var/tmp"]
        for name in _SYSTEM:
            words += _as_it_is(name)
        for name in _ETC:
            words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
        words += ["--ro-bind-try", "/sys/devices/system/cpu", "/sys/devices/system/cpu"]
        if self.gpu:
            words += self._devices()
        for path in self._shown():
            words += _as_it_is(path)
        words += self._masks()
        return [*words, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]

    def _shown(self) -> list[str]:
        """Return what is shown beside the system's folders, links and what they lead to."""
        return sorted({os.path.realpath(p) for p in self.readable} | set(self.readable))

    def _masks(self) -> list[str]:
        """Cover what must not be seen and lies in something that is shown; what is shown below it stays."""
        words = []
        shown = [os.path.realpath(p) for p in (*_SYSTEM, *self.readable)]
        for hidden in sorted({os.path.realpath(p) for p in self.hidden}):
            above = [s for s in shown if _lies_in(hidden, s)]
            if not above:
                continue
            words += ["--perms", "0755", "--tmpfs", hidden]
            # A tmpfs covers what was shown below it: show that once more.
            for path in sorted(s for s in shown if s != hidden and _lies_in(s, hidden)):
                words += ["--ro-bind", path, path]
            words += ["--remount-ro", hidden]
        return words

    @staticmethod
    def _devices() -> list[str]:
        words = ["--ro-bind", "/sys", "/sys"]
        for pattern in _GPU_DEVICES:
            for path in sorted(Path("/dev").glob(pattern)):
                if not path.is_dir():
                    words += ["--dev-bind", str(path), str(path)]
        return words


def _above(path: str) -> list[str]:
    """Return the folders that a path lies in, without the root."""
    return [str(p) for p in Path(path).parents if str(p) not in ("/", "/proc", "/dev")]


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _as_it_is(path: str) -> list[str]:
    """Show a file or folder read-only; a symbolic link stays one."""
    if Path(path).is_symlink():
        return ["--symlink", os.readlink(path), path]  # noqa: PTH115 (the text itself, not a Path of it)
    return ["--ro-bind", path, path] if Path(path).exists() else []


@dataclass(frozen=True)
class Door:
    """The way into a sandbox: descriptors of its namespaces, which can be sent to another process.

    Attributes:
        rooted: whether root made it, so that whoever enters must still change the user.
        descriptors: of the innermost user namespace, then of ``ipc``, ``uts``, ``net``, ``pid`` and ``mnt``.
    """

    rooted: bool
    descriptors: tuple[int, ...]

    #: How many descriptors there are.
    WIDTH = 1 + len(_KINDS)

    @classmethod
    def to(cls, process: int, rooted: bool) -> Door:
        """Open the namespaces of a process."""
        kinds = ("user", *_KINDS)
        return cls(rooted, tuple(os.open(f"/proc/{process}/ns/{k}", os.O_RDONLY | os.O_CLOEXEC) for k in kinds))

    @property
    def processes(self) -> int:
        """The descriptor of the pid namespace."""
        return self.descriptors[1 + _KINDS.index("pid")]

    def join(self, born_inside: bool = False) -> None:
        """Enter all namespaces; only children of this process will be inside the pid namespace.

        The process must have one thread.

        Args:
            born_inside: whether this process is in the pid namespace already.

        Raises:
            OSError: when the kernel refuses.
        """
        inner, *others = self.descriptors
        current, inmost = Path("/proc/self/ns/user").stat().st_ino, os.fstat(inner).st_ino
        # bubblewrap mounts before it maps the user: its mounts belong to an outer user namespace, except to root's.
        outer = fcntl.ioctl(others[-1], _NS_GET_USERNS)
        if os.fstat(outer).st_ino != current:
            _set_namespace(outer, "the user namespace of the mounts")
        for kind, descriptor in zip(_KINDS, others, strict=True):
            if kind != "pid" or not born_inside:
                _set_namespace(descriptor, kind)
        if inmost != os.fstat(outer).st_ino:
            _set_namespace(inner, "user")
        os.close(outer)

    def close(self) -> None:
        """Close the descriptors."""
        for descriptor in self.descriptors:
            os.close(descriptor)


@dataclass
class Namespaces:
    """A sandbox that stands, seen by the process that made it.

    Attributes:
        anchor: the process of bubblewrap.
        init: the number of the first process inside, whose end ends everything inside.
        door: the way into it.
    """

    anchor: subprocess.Popen[bytes]
    init: int
    door: Door

    def end(self) -> None:
        """Kill everything inside, and wait until it is gone."""
        with contextlib.suppress(OSError):
            os.kill(self.init, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self.anchor.kill()
        with contextlib.suppress(Exception):
            self.anchor.wait(10)


def program() -> str:
    """Return the path of bubblewrap.

    Raises:
        SandboxError: when there is none.
    """
    found = shutil.which("bwrap")
    if found is None or not sys.platform.startswith("linux"):
        raise SandboxError("There is no bubblewrap here")
    return found


def make(sandbox: Sandbox) -> Namespaces:
    """Start bubblewrap and wait until its mounts stand.

    Raises:
        SandboxError: when it does not work, with what bubblewrap says.
    """
    path = sandbox.program or program()
    own_user = _user_namespace() if os.geteuid() == 0 else None
    reading, writing = os.pipe()
    passed = [writing]
    if own_user is not None:
        passed.append(own_user)
    code, filtered = seccomp.program(), None
    if code is not None:
        # Read by bubblewrap at its start; it is far smaller than a pipe's buffer.
        filtered, end = os.pipe()
        os.write(end, code)
        os.close(end)
        passed.append(filtered)
    words = sandbox.arguments(user_namespace=own_user, information=writing, filtered=filtered)
    # Not on the command line, which everybody inside can read.
    arguments = os.memfd_create("arguments")
    os.write(arguments, b"".join(w.encode() + b"\0" for w in words))
    os.lseek(arguments, 0, os.SEEK_SET)
    try:
        anchor = subprocess.Popen(
            [path, "--args", str(arguments), "--", *_ANCHOR],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[*passed, arguments],
            close_fds=True,
            env={"PATH": os.defpath},
        )
    except OSError as error:
        os.close(reading)
        raise SandboxError(f"{path} does not start: {error.strerror}") from None
    finally:
        os.close(writing)
        os.close(arguments)
        if filtered is not None:
            os.close(filtered)
    stands = anchor.stdout.read(1) == b"\n"
    with os.fdopen(reading, "rb") as information:
        told = information.read() if stands else b""
    if not stands:
        anchor.kill()
        _, words = anchor.communicate()
        lines = words.decode(errors="replace").strip().splitlines()
        raise SandboxError(f"bubblewrap makes no sandbox here ({lines[-1] if lines else 'it says nothing'})")
    if own_user is not None:
        os.close(own_user)
    try:
        init = json.loads(told)["child-pid"]
        return Namespaces(anchor, init, Door.to(init, rooted=own_user is not None))
    except (OSError, ValueError, KeyError) as error:
        anchor.kill()
        anchor.communicate()
        raise SandboxError(f"The sandbox cannot be entered here ({type(error).__name__}: {error})") from None


def check() -> None:
    """Try whether a sandbox can be made here.

    Raises:
        SandboxError: when it cannot, with one sentence that says why.
    """
    if not sys.platform.startswith("linux"):
        raise SandboxError(f"Sandboxes need Linux, and this is {sys.platform}")
    namespaces = make(Sandbox())
    try:
        problem = _try_to_enter(namespaces.door)
    finally:
        namespaces.end()
        namespaces.door.close()
    if problem:
        raise SandboxError(f"The sandbox cannot be entered here ({problem})")


def _try_to_enter(door: Door) -> str:
    """Enter a sandbox in a process of its own; return what went wrong, or nothing."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            door.join()
            inside = os.fork()
            if inside == 0:
                give_up_privileges(door.rooted)
                os._exit(0)
            os._exit(os.waitstatus_to_exitcode(os.waitpid(inside, 0)[1]) and 1)
        except OSError as error:
            os.write(writing, str(error).encode()[:500])
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as said:
        words = said.read().decode(errors="replace")
    failed = os.waitpid(child, 0)[1] != 0
    return words or ("it says nothing" if failed else "")


def give_up_privileges(rooted: bool) -> None:
    """Become the student for good: no capability, no way to one, the system call filter, nobody's groups.

    Args:
        rooted: whether the sandbox was made by root, whose processes must still change their user.

    Raises:
        OSError: when the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    for capability in range(last + 1):
        _call(libc.prctl, _PR_CAPBSET_DROP, capability, 0, 0, 0)
    _call(libc.prctl, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    Path(HOME).mkdir(0o700)
    if rooted:
        os.chown(HOME, USER, USER)
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
    # struct __user_cap_header_struct (version 3, this process), then two of __user_cap_data_struct, all zero.
    header, nothing = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    _call(libc.capset, ctypes.addressof(header), ctypes.addressof(nothing))
    # Changing the user made this process's memory unreadable to the process that watches it.
    _call(libc.prctl, _PR_SET_DUMPABLE, 1, 0, 0, 0)
    seccomp.apply()


def set_limits(*, memory: int | None, processes: int, disk: int) -> None:
    """Bound what one process of the sandbox may use; children inherit it.

    Args:
        memory: bytes of data beyond what this process has now, or None for no bound on a process of its own.
        processes: how many processes and threads there may be in the sandbox.
        disk: bytes of one file.
    """
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: disk,
        resource.RLIMIT_NOFILE: 1024,
        resource.RLIMIT_STACK: 8 * 2**20,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    if counts_by_namespace():
        # The kernel's own threads come on top of what the student may start.
        limits[resource.RLIMIT_NPROC] = processes
    if memory is not None:
        limits[resource.RLIMIT_DATA] = _data() + memory
    for which, value in limits.items():
        _, hard = resource.getrlimit(which)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (value, value))


def adopt_orphans() -> None:
    """Become the parent of what children of this process's children leave behind."""
    _call(ctypes.CDLL(None, use_errno=True).prctl, _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with_parent() -> None:
    """Have this process killed when its parent ends."""
    _call(ctypes.CDLL(None, use_errno=True).prctl, _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def forks_into(door: Door | None) -> bool:
    """Whether this process can fork straight into a sandbox, which takes root's rights over pid namespaces."""
    return door is not None and door.rooted


def fork_into(door: Door) -> int:
    """Fork; the child is born in the sandbox's pid namespace and has joined nothing else yet.

    Returns:
        The child's number, or 0 in the child.
    """
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    child = None
    try:
        _set_namespace(door.processes, "pid")
        child = os.fork()
    finally:
        if child != 0:  # the child could not go back, and need not
            _set_namespace(own, "its own pid namespace")
        os.close(own)
    return child


def counts_by_namespace() -> bool:
    """Whether this Linux counts a user's processes in each user namespace by itself (since 5.14)."""
    numbers = os.uname().release.split(".")
    try:
        return (int(numbers[0]), int("".join(c for c in numbers[1] if c.isdigit()))) >= (5, 14)
    except (IndexError, ValueError):
        return False


def _data() -> int:
    """Return the bytes of this process that RLIMIT_DATA counts."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0


def _user_namespace() -> int | None:
    """Return a user namespace in which root makes the mounts and a user that nobody is runs the student's code.

    None where this root is not free to map users, as in a container without privileges of its own: there bubblewrap
    makes one as it does for everybody.
    """
    ready, told = os.pipe()
    wait, go = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _unshare(_NEW_USER)
            os.write(told, b"1")
            os.close(go)
            os.read(wait, 1)
        finally:
            os._exit(0)
    os.close(told)
    os.close(wait)
    namespace = None
    try:
        if os.read(ready, 1) == b"1":
            for kind in ("uid", "gid"):
                Path(f"/proc/{child}/{kind}_map").write_text(f"0 0 1\n{USER} {_NOBODY} 1\n")
            namespace = os.open(f"/proc/{child}/ns/user", os.O_RDONLY)
    except OSError:
        namespace = None
    finally:
        os.close(ready)
        os.close(go)
        os.waitpid(child, 0)
    return namespace


def _unshare(flags: int) -> None:
    _call(ctypes.CDLL(None, use_errno=True).unshare, flags)


def _set_namespace(descriptor: int, what: str) -> None:
    try:
        _call(ctypes.CDLL(None, use_errno=True).setns, descriptor, 0)
    except OSError as error:
        raise OSError(error.errno, f"cannot join {what}: {os.strerror(error.errno)}") from None


def _call(function: object, *arguments: int) -> None:
    """Call a function of the C library that says -1 when it fails."""
    if function(*(ctypes.c_ulong(a) for a in arguments)) == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{function.__name__}: {errno.errorcode.get(number, number)}")


def processes() -> Iterator[int]:
    """Yield the numbers of the processes of the sandbox that this process has joined."""
    return (int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208 (names alone, and fast)


def exposed(paths: Iterable[str | Path]) -> tuple[str, ...]:
    """Return paths as a sandbox's ``readable`` wants them: absolute, and each once."""
    return tuple(dict.fromkeys(str(Path(p).absolute()) for p in paths))


def interpreter() -> Sequence[str]:
    """Return the folders that this Python lives in, for those that lie outside of the system's."""
    roots = dict.fromkeys([sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix])
    return [r for r in roots if not any(_lies_in(os.path.realpath(r), s) for s in _SYSTEM)]
