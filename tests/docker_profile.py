"""Execute a command as in a container of Docker: its default seccomp profile, and its capabilities.

    python docker_profile.py [--cap-add NAME] [--rule JSON] [--errno N] -- COMMAND [ARGUMENT ...]

Of the profile only what it says of calls that place pages, or look at them, is here; all others are allowed.
No filter can be taken off again, so it is a process of its own. As root, it drops the capabilities that a
container does not have.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import struct
import sys

#: Calls of profiles/seccomp/default.json of moby, and the capabilities with which it allows them.
PROFILE: dict[str, tuple[str, ...]] = {
    "get_mempolicy": ("SYS_NICE",),
    "mbind": ("SYS_NICE",),
    "set_mempolicy": ("SYS_NICE",),
    "set_mempolicy_home_node": ("SYS_NICE",),
    "perf_event_open": ("SYS_ADMIN", "PERFMON"),
    "migrate_pages": (),
    "move_pages": (),
    "userfaultfd": (),
}
#: Their numbers (asm/unistd.h).
NUMBERS = {
    "x86_64": {
        "mbind": 237, "set_mempolicy": 238, "get_mempolicy": 239, "migrate_pages": 256, "move_pages": 279,
        "perf_event_open": 298, "userfaultfd": 323, "set_mempolicy_home_node": 450,
    },
    "aarch64": {
        "mbind": 235, "get_mempolicy": 236, "set_mempolicy": 237, "migrate_pages": 238, "move_pages": 239,
        "perf_event_open": 241, "userfaultfd": 282, "set_mempolicy_home_node": 450,
    },
}  # fmt: skip
#: Of a container (moby's oci/caps/defaults.go), and those that may be added.
DEFAULT = {0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31}
CAPABILITIES = {"IPC_LOCK": 14, "SYS_PTRACE": 19, "SYS_ADMIN": 21, "SYS_NICE": 23, "PERFMON": 38}
LAST_CAPABILITY = 40

PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 22, 24, 38
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000


class Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def denied_calls(capabilities: list[str], rules: list[str]) -> list[str]:
    """What a container with these capabilities, and these rules in its profile, is not allowed."""
    allowed = {name for rule in map(json.loads, rules) for name in rule["names"]}
    return [name for name, by in PROFILE.items() if name not in allowed and not set(by) & set(capabilities)]


def build_filter(numbers: list[int], errno: int) -> bytes:
    """A filter that answers some calls with an errno."""
    steps = [(LOAD, 0, 0, 0)]
    steps += [(JUMP_IF_EQUAL, len(numbers) - i, 0, number) for i, number in enumerate(numbers)]
    steps += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ERRNO | errno)]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def main() -> None:
    """Set the filter and execute the command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cap-add", action="append", default=[], choices=sorted(CAPABILITIES))
    parser.add_argument("--rule", action="append", default=[])
    parser.add_argument("--errno", type=int, default=1)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    libc = ctypes.CDLL(None, use_errno=True)
    kept = DEFAULT | {CAPABILITIES[name] for name in options.cap_add}
    if os.geteuid() == 0:
        for capability in set(range(LAST_CAPABILITY + 1)) - kept:
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    numbers = NUMBERS[platform.machine()]
    code = build_filter(
        [numbers[name] for name in denied_calls(options.cap_add, options.rule)], options.errno
    )
    buffer = ctypes.create_string_buffer(code, len(code))
    program = Program(len(code) // 8, ctypes.addressof(buffer))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        sys.exit(f"PR_SET_NO_NEW_PRIVS: {os.strerror(ctypes.get_errno())}")
    if libc.prctl(PR_SET_SECCOMP, 2, ctypes.byref(program), 0, 0):
        sys.exit(f"PR_SET_SECCOMP: {os.strerror(ctypes.get_errno())}")
    os.execv(options.command[0], options.command)


if __name__ == "__main__":
    main()
