"""Why the kernel, or a filter before it, refuses a system call, and what helps.

EPERM has many reasons. A seccomp filter, as containers have it, answers before the kernel looks at a single
argument: so each call is tried with arguments that every kernel finds fault with, whoever asks. An answer of
EPERM to those is the filter's.
"""

from __future__ import annotations

import errno
import json
import re
from enum import Enum
from pathlib import Path
from typing import Final

from hmexp.native._core import lib

_REFUSALS: Final = (errno.EPERM, errno.EACCES, errno.ENOSYS)
#: Where the rule is explained, and how it is added to a container's profile.
PAGE: Final = "docs/how-to/containers.md"


class Call(Enum):
    """A system call that may be refused, by its name."""

    GET_MEMPOLICY = "get_mempolicy"
    SET_MEMPOLICY = "set_mempolicy"
    MBIND = "mbind"
    MOVE_PAGES = "move_pages"
    MIGRATE_PAGES = "migrate_pages"
    USERFAULTFD = "userfaultfd"
    PERF_EVENT_OPEN = "perf_event_open"
    MADVISE = "madvise"
    MLOCK = "mlock2"

    @property
    def answer(self) -> int:
        """The errno by which a call with arguments that no kernel takes is answered; 0 for none."""
        return -int(lib.hm_try_call(getattr(lib, f"HM_CALL_{self.name}")))


#: Calls that move, place or look for pages. Docker's default profile refuses all of them.
PLACING: Final = (
    Call.GET_MEMPOLICY, Call.MBIND, Call.MIGRATE_PAGES, Call.MOVE_PAGES, Call.SET_MEMPOLICY, Call.USERFAULTFD,
)  # fmt: skip
#: The rule that allows them, as an element of ``syscalls`` of a profile.
RULE: Final = json.dumps({"names": [call.value for call in PLACING], "action": "SCMP_ACT_ALLOW"})
#: What Docker's default profile allows with a capability, by that capability.
_BY_CAPABILITY: Final = {
    Call.GET_MEMPOLICY: "SYS_NICE",
    Call.SET_MEMPOLICY: "SYS_NICE",
    Call.MBIND: "SYS_NICE",
    Call.PERF_EVENT_OPEN: "PERFMON",
}
_MISSING: Final = {
    Call.USERFAULTFD: "boot a kernel built with CONFIG_USERFAULTFD=y",
    Call.PERF_EVENT_OPEN: "boot a kernel built with CONFIG_PERF_EVENTS=y",
    Call.MOVE_PAGES: "boot a kernel built with CONFIG_NUMA=y and CONFIG_MIGRATION=y",
    Call.MIGRATE_PAGES: "boot a kernel built with CONFIG_NUMA=y and CONFIG_MIGRATION=y",
}


def is_filtered(call: Call, proc_root: Path = Path("/proc")) -> bool:
    """Whether a filter refuses a system call before the kernel sees it.

    Parameters
    ----------
    call : Call
        The system call.
    proc_root : Path
        Where `/proc` is: ``Seccomp`` in ``self/status`` says whether there is a filter at all. Where that
        cannot be read, the answer to the call decides.
    """
    mode = _status("Seccomp", proc_root)
    if mode is not None and mode != "2":
        return False
    # A filter may be set up to answer ENOSYS, as a kernel without the call does.
    return call.answer in ((errno.EPERM, errno.EACCES) if mode is None else _REFUSALS)


def explain(call: Call, code: int, proc_root: Path = Path("/proc")) -> str | None:
    """What helps where a system call has failed.

    Parameters
    ----------
    call : Call
        The system call.
    code : int
        The errno of its failure.
    proc_root : Path
        Where `/proc` is.

    Returns
    -------
    str or None
        The remedy, as it stands in a message; None if there is none that helps.
    """
    if code in _REFUSALS and is_filtered(call, proc_root):
        return _filter_remedy(call)
    if code == errno.ENOSYS:
        return _MISSING.get(call, "boot a kernel built with CONFIG_NUMA=y")
    if code == errno.ENOMEM and call is not Call.MLOCK:
        return "free memory, or ask for a smaller region; see `hmexp nodes`"
    if code in (errno.EINVAL, errno.ENODEV, errno.EACCES) and call in PLACING:
        return _node_remedy(proc_root)
    return _kernel_remedy(call, code)


def _filter_remedy(call: Call) -> str:
    capability = _BY_CAPABILITY.get(call)
    if call is Call.PERF_EVENT_OPEN:
        return f"a container's seccomp filter refuses {call.value}: docker run --cap-add {capability}"
    remedy = (
        f"a container's seccomp filter refuses {call.value}, as Docker's default profile does: docker run "
        f"--security-opt seccomp=FILE, where FILE is that profile with the rule {RULE} (see {PAGE})"
    )
    if capability is not None:
        remedy += f"; --cap-add {capability} allows {call.value} too, but not move_pages"
    return remedy


def _node_remedy(proc_root: Path) -> str:
    allowed = _status("Mems_allowed_list", proc_root)
    if allowed is None:
        return "name a node that is online, has memory and is in the cpuset; see `hmexp nodes`"
    return (
        f"name a node that is online and has memory, among those this process may use: {allowed} "
        f"(Mems_allowed_list in {proc_root / 'self/status'}); see `hmexp nodes`"
    )


def _kernel_remedy(call: Call, code: int) -> str | None:
    refused = code in (errno.EPERM, errno.EACCES)
    if call is Call.USERFAULTFD and refused:
        return "as root: sysctl vm.unprivileged_userfaultfd=1; or run as root, or with CAP_SYS_PTRACE"
    if call is Call.PERF_EVENT_OPEN and refused:
        return "as root: sysctl kernel.perf_event_paranoid=1; or run as root, or with CAP_PERFMON"
    if call is Call.MLOCK and (refused or code in (errno.ENOMEM, errno.EAGAIN)):
        return "raise the limit of locked memory (ulimit -l unlimited), or run with CAP_IPC_LOCK"
    if call is Call.MADVISE and code == errno.EINVAL:
        return "boot a kernel that knows this advice; see `hmexp doctor`"
    if refused and call in (Call.MOVE_PAGES, Call.MIGRATE_PAGES):
        return "run as root, or with CAP_SYS_NICE"
    if refused:
        return "a security module (SELinux, AppArmor) refuses it: see `dmesg`, and allow it in its policy"
    return None


def _status(key: str, proc_root: Path) -> str | None:
    """A line of ``/proc/self/status``; None without it."""
    try:
        text = (proc_root / "self/status").read_bytes().decode("utf-8", "replace")
    except OSError:
        return None
    found = re.search(rf"^{re.escape(key)}:[ \t]*([^\n]*)$", text, re.MULTILINE)
    return found[1].strip() if found is not None else None
