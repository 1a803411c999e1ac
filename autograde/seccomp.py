"""The system calls that a student's process may not make, as a seccomp filter.

Namespaces take the network, other processes and the disk away. This filter takes away what would be left of the
kernel to play with: making new namespaces and mounts, tracing, loading code into the kernel, memory that belongs to
no process, and socket families that know no network namespace. What is denied fails with an error that Python raises
as an ``OSError``; nothing is killed for trying.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import socket
import struct

# struct seccomp_data: int nr; __u32 arch; __u64 instruction_pointer; __u64 args[6].
_NUMBER, _ARCH, _ARGUMENT = 0, 4, 16
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
#: The x86_64 kernel's second set of numbers, for programs with short pointers.
_SHORT_POINTERS = 0x40000000
#: CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
_NEW_NAMESPACES = 0x80 | 0x20000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
#: Of ioctl: put characters into the terminal (TIOCSTI), as if somebody had typed them.
_TYPE_FOR_ME = 0x5412
_FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, getattr(socket, "AF_NETLINK", 16))

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2

#: By machine: the audit architecture, and each call's number (arch/x86/entry/syscalls/syscall_64.tbl and
#: include/uapi/asm-generic/unistd.h of Linux). Numbers from 424 on are the same everywhere.
_SINCE_424 = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "clone3": 435,
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "memfd_secret": 447,
}
_MACHINES: dict[str, tuple[int, dict[str, int]]] = {
    "x86_64": (
        0xC000003E,
        {
            "shmget": 29,
            "socket": 41,
            "clone": 56,
            "msgget": 68,
            "ioctl": 16,
            "ptrace": 101,
            "syslog": 103,
            "personality": 135,
            "pivot_root": 155,
            "adjtimex": 159,
            "acct": 163,
            "settimeofday": 164,
            "mount": 165,
            "umount2": 166,
            "swapon": 167,
            "swapoff": 168,
            "reboot": 169,
            "iopl": 172,
            "ioperm": 173,
            "init_module": 175,
            "delete_module": 176,
            "quotactl": 179,
            "clock_settime": 227,
            "kexec_load": 246,
            "add_key": 248,
            "request_key": 249,
            "keyctl": 250,
            "unshare": 272,
            "perf_event_open": 298,
            "fanotify_init": 300,
            "name_to_handle_at": 303,
            "open_by_handle_at": 304,
            "clock_adjtime": 305,
            "setns": 308,
            "process_vm_readv": 310,
            "process_vm_writev": 311,
            "kcmp": 312,
            "finit_module": 313,
            "memfd_create": 319,
            "kexec_file_load": 320,
            "bpf": 321,
            "userfaultfd": 323,
            **_SINCE_424,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "ioctl": 29,
            "umount2": 39,
            "mount": 40,
            "pivot_root": 41,
            "quotactl": 60,
            "acct": 89,
            "personality": 92,
            "unshare": 97,
            "kexec_load": 104,
            "init_module": 105,
            "delete_module": 106,
            "clock_settime": 112,
            "syslog": 116,
            "ptrace": 117,
            "reboot": 142,
            "settimeofday": 170,
            "adjtimex": 171,
            "msgget": 186,
            "shmget": 194,
            "socket": 198,
            "add_key": 217,
            "request_key": 218,
            "keyctl": 219,
            "clone": 220,
            "swapon": 224,
            "swapoff": 225,
            "perf_event_open": 241,
            "fanotify_init": 262,
            "name_to_handle_at": 264,
            "open_by_handle_at": 265,
            "clock_adjtime": 266,
            "setns": 268,
            "process_vm_readv": 270,
            "process_vm_writev": 271,
            "kcmp": 272,
            "finit_module": 273,
            "memfd_create": 279,
            "bpf": 280,
            "userfaultfd": 282,
            "kexec_file_load": 294,
            **_SINCE_424,
        },
    ),
}
#: Looked at by their arguments; every other call of the tables is denied whatever it asks for.
_BY_ARGUMENT = ("socket", "clone", "ioctl")
#: As on a system that does not have them: glibc and libraries then take another way.
_ABSENT = ("clone3", "io_uring_setup", "io_uring_enter", "io_uring_register")


def program(machine: str | None = None) -> bytes | None:
    """Return the filter as the kernel's ``struct sock_filter`` array, or None on a machine it does not know.

    Args:
        machine: ``"x86_64"`` or ``"aarch64"``; by default this one.
    """
    try:
        arch, numbers = _MACHINES[machine or platform.machine()]
    except KeyError:
        return None
    code = [
        (_LOAD, 0, 0, _ARCH),
        (_JUMP_EQUAL, 1, 0, arch),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_AT_LEAST, 0, 1, _SHORT_POINTERS),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
    ]
    for name, number in numbers.items():
        if name not in _BY_ARGUMENT:
            answer = errno.ENOSYS if name in _ABSENT else errno.EPERM
            code += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | answer)]
    code += [
        # clone: no new namespaces. The flags are the first argument on both machines.
        (_JUMP_EQUAL, 0, 4, numbers["clone"]),
        (_LOAD, 0, 0, _ARGUMENT),
        (_JUMP_ANY_BIT, 0, 1, _NEW_NAMESPACES & ~0x80),  # the lowest byte of clone's flags is a signal
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
        # ioctl: the request is the second argument.
        (_JUMP_EQUAL, 0, 4, numbers["ioctl"]),
        (_LOAD, 0, 0, _ARGUMENT + 8),
        (_JUMP_EQUAL, 0, 1, _TYPE_FOR_ME),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
        # socket: only families that a network namespace contains.
        (_JUMP_EQUAL, 0, 3 + len(_FAMILIES), numbers["socket"]),
        (_LOAD, 0, 0, _ARGUMENT),
        *((_JUMP_EQUAL, len(_FAMILIES) - i, 0, int(family)) for i, family in enumerate(_FAMILIES)),
        (_RETURN, 0, 0, _ERRNO | errno.EAFNOSUPPORT),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def apply() -> bool:
    """Put the filter on this process and all that it starts, for good; return whether there is one for this machine.

    Sets no_new_privs too, without which an ordinary user may set no filter.

    Raises:
        OSError: when the kernel refuses.
    """
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    code = program()
    if code is None:
        return False
    instructions = ctypes.create_string_buffer(code, len(code))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    whole = Program(len(code) // 8, ctypes.addressof(instructions))
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(whole))
    return True


def _prctl(option: int, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    values = [ctypes.c_ulong(a) for a in (*arguments, 0, 0, 0, 0)[:4]]
    if libc.prctl(option, *values) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {errno.errorcode.get(number, number)}")
