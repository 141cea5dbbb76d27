# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What a decoding process may do to this machine: bounds on memory, time and files; no network, no programs.

Linux's seccomp filter refuses the system calls that a decoder never makes. Where it is not to be had (other systems
and processors) the bounds of `setrlimit` remain, as far as the system keeps them.
"""

import contextlib
import ctypes
import errno
import os
import platform
import resource
import signal
import struct
import sys
from pathlib import Path

OPEN_FILES = 16
WORST_CHOICE = "1000"  # for the kernel, when it must end a process for its memory
CLONE_THREAD, CLONE_NEWUSER, CLONE_NEWNET = 0x10000, 0x10000000, 0x40000000
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 1, 38, 22, 2
ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000  # REFUSE | errno
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # of classic BPF
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # offsets in `seccomp_data`; an argument has 8 bytes
X32 = 0x40000000
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class _Calls:
    """The numbers of one architecture's system calls.

    Attributes:
        audit: the architecture's number. clone, clone3, openat, openat2: calls that are looked at more closely.
        legacy_open: the older call for it, if there is one.
        refused: connections, programs and processes; other processes' memory and signals; changes of files; parts of
            the kernel that no decoder needs.
    """

    def __init__(self, audit: int, clone: int, openat: int, legacy_open: int | None, refused: tuple[int, ...]):
        self.audit, self.clone, self.openat, self.legacy_open, self.refused = (
            audit,
            clone,
            openat,
            legacy_open,
            refused,
        )
        self.clone3, self.openat2 = 435, 437


COMMON = (424, 425, 434, 438)  # pidfd_send_signal, io_uring_setup, pidfd_open, pidfd_getfd
CALLS = {
    "x86_64": _Calls(
        0xC000003E,
        56,
        257,
        2,
        (
            *(41, 42, 43, 49, 50, 53, 288),  # socket, connect, accept, bind, listen, socketpair, accept4
            *(57, 58, 59, 322),  # fork, vfork, execve, execveat
            *(62, 200, 234, 129, 297, 101, 310, 311),  # kill, tkill, tgkill, sigqueueinfo, ptrace, process_vm
            *(76, 82, 83, 84, 85, 86, 87, 88, 90, 92, 94, 133),  # truncate, rename, mkdir, unlink, chmod, mknod, ...
            *(258, 259, 260, 263, 264, 265, 266, 268, 316),  # the same by directory
            *(165, 248, 249, 250, 272, 304, 308, 321, 323),  # mount, keys, unshare, handles, setns, bpf, userfaultfd
            *COMMON,
        ),
    ),
    "aarch64": _Calls(
        0xC00000B7,
        220,
        56,
        None,
        (
            *(198, 199, 200, 201, 202, 203, 242),
            *(221, 281),
            *(129, 130, 131, 138, 240, 117, 270, 271),
            *(33, 34, 35, 36, 37, 38, 45, 53, 54, 276),
            *(40, 217, 218, 219, 97, 265, 268, 280, 282),
            *COMMON,
        ),
    ),
}


def confine(memory_bytes: int) -> None:
    """Bounds this process for good; it must have one thread.

    Args:
        memory_bytes: beyond what it holds now.
    """
    for kind, bound in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),  # no file can be written
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_DATA, _data_bytes() + memory_bytes),
    ):
        _, hard = resource.getrlimit(kind)
        bound = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        with contextlib.suppress(ValueError, OSError):  # a system that has no such bound
            resource.setrlimit(kind, (bound, bound))
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(WORST_CHOICE)
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if not _filter_calls(libc):
            libc.unshare(CLONE_NEWUSER | CLONE_NEWNET)  # no network, where the system lets anybody do without


def bound_processor_time(seconds: float) -> None:
    """Lets the kernel end this process (SIGXCPU) after so much processor time from now on, rounded up."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + seconds) + 1, hard))


def _data_bytes() -> int:
    """Private memory that this process may write to."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return 1 << 30
    return 1024 * int(text.partition("VmData:")[2].split()[0])


def _filter_calls(libc: ctypes.CDLL) -> bool:
    """Whether the kernel took the filter."""
    calls = CALLS.get(platform.machine())
    if calls is None or struct.calcsize("P") != 8:
        return False
    program = b"".join(struct.pack("<HBBI", *step) for step in _program(calls))
    steps = ctypes.create_string_buffer(program, len(program))
    given = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(steps)))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(given), 0, 0) == 0


def _program(calls: _Calls) -> list[tuple[int, int, int, int]]:
    """The filter: (operation, steps to jump if true, if false, value)."""
    forbidden, missing = REFUSE | errno.EPERM, REFUSE | errno.ENOSYS
    steps = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, calls.audit),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, KILL),
    ]
    for number in calls.refused:
        steps += [(EQUAL, 0, 1, number), (RETURN, 0, 0, forbidden)]
    for number in (calls.clone3, calls.openat2):  # whose arguments a filter does not see: libraries use the older ones
        steps += [(EQUAL, 0, 1, number), (RETURN, 0, 0, missing)]
    opens = [(calls.openat, 2)] + ([] if calls.legacy_open is None else [(calls.legacy_open, 1)])
    for number, argument in opens:
        steps += [(EQUAL, 0, 4, number), (LOAD, 0, 0, ARGUMENTS + 8 * argument), (ANY_BIT, 0, 1, WRITES)]
        steps += [(RETURN, 0, 0, forbidden), (RETURN, 0, 0, ALLOW)]
    steps += [(EQUAL, 0, 4, calls.clone), (LOAD, 0, 0, ARGUMENTS), (ANY_BIT, 1, 0, CLONE_THREAD)]
    steps += [(RETURN, 0, 0, forbidden), (RETURN, 0, 0, ALLOW)]
    return [*steps, (RETURN, 0, 0, ALLOW)]
