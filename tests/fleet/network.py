"""Machines that are network namespaces of this one: a head with a bridge, and hosts with a cable to it each.

The namespaces have no way to the machine's own network, and its own interfaces are left as they are.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from types import TracebackType
from typing import Self

import pytest

#: Addresses for documentation (RFC 5737): nobody has them.
HEAD = "192.0.2.254"


def ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"


class Network:
    """So many hosts; a context manager that takes everything away again."""

    def __init__(self, hosts: int) -> None:
        own = f"hmexp-{os.getpid()}"
        self.head, self.hosts = f"{own}-head", [f"{own}-{number}" for number in range(hosts)]

    def __enter__(self) -> Self:
        try:
            for name in (self.head, *self.hosts):
                ip("netns", "add", name)
                ip("-n", name, "link", "set", "lo", "up")
            ip("-n", self.head, "link", "add", "bridge", "type", "bridge")
            ip("-n", self.head, "address", "add", f"{HEAD}/24", "dev", "bridge")
            ip("-n", self.head, "link", "set", "bridge", "up")
            for number, name in enumerate(self.hosts):
                ends = ["name", f"port{number}", "type", "veth", "peer", "name", "eth0", "netns", name]
                ip("-n", self.head, "link", "add", *ends)
                ip("-n", self.head, "link", "set", f"port{number}", "master", "bridge")
                ip("-n", name, "address", "add", f"192.0.2.{number + 1}/24", "dev", "eth0")
                ip("-n", name, "link", "set", "eth0", "up")
                self.plug(number)
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """Take everything away: the cables go with the namespaces that they end in."""
        for name in (*self.hosts, self.head):
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)

    def pull(self, number: int) -> None:
        """Pull the cable of a host."""
        ip("-n", self.head, "link", "set", f"port{number}", "down")

    def plug(self, number: int) -> None:
        """Put it back."""
        ip("-n", self.head, "link", "set", f"port{number}", "up")


def within(namespace: str) -> list[str]:
    """The words before a command that is to run there; `ip netns exec` would mount /sys anew."""
    return ["nsenter", f"--net=/run/netns/{namespace}"]


def require_namespaces() -> None:
    """Skip the test where no network namespace can be made."""
    missing = [name for name in ("ip", "nsenter") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} is not installed (Debian: iproute2, util-linux)")
    name = f"hmexp-{os.getpid()}-trial"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no network namespace can be made here, which takes root: {made.stderr.strip()}")
    bridge = subprocess.run(
        ["ip", "-n", name, "link", "add", "bridge", "type", "bridge"], capture_output=True, text=True
    )
    subprocess.run(["ip", "netns", "delete", name], check=True)
    if bridge.returncode:
        pytest.skip(f"no bridge can be made in a network namespace here: {bridge.stderr.strip()}")
