"""Where the hosts come from: processes of this machine, a scheduler that is there, or machines by SSH."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from distributed import LocalCluster, Security, SSHCluster

from hmexp.errors import ParameterError
from hmexp.fleet.messages import FleetError
from hmexp.fleet.roster import SLOT
from hmexp.store.journal import file_errors

#: Nothing of Dask is to run beside a measurement that need not: no profiler, no dashboard.
_QUIET: Final = {"distributed.worker.profile.enabled": False}
_LARGEST_FILE_BYTES: Final = 1 << 20


@contextmanager
def local_cluster(count: int) -> Iterator[str]:
    """Have so many workers on this machine, each a process that is taken for a host.

    Yields
    ------
    str
        Address of the scheduler.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    security = Security()
    with LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        # It has a port of its own all the same: any, as two fleets would warn of the usual one.
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        memory_limit=0,
        resources={SLOT: 1},
        protocol="tls" if security.require_encryption else "tcp",
        security=security,
        config=_QUIET,
    ) as cluster:
        yield str(cluster.scheduler_address)


@contextmanager
def ssh_cluster(file: Path) -> Iterator[str]:
    """Start a scheduler on this machine and a worker on each host of a file, by SSH.

    Parameters
    ----------
    file : Path
        A host on each line, as `ssh` takes it; what follows `#` is a remark.

    Yields
    ------
    str
        Address of the scheduler.

    Raises
    ------
    ParameterError
        If the file names no hosts, or asyncssh is missing.
    FleetError
        If a host cannot be reached.
    """
    hosts = read_hosts(file)
    if importlib.util.find_spec("asyncssh") is None:
        raise ParameterError(
            "--hosts starts workers by SSH, for which Dask needs the package asyncssh",
            "pip install asyncssh; or start workers yourself (dask worker ADDRESS --nthreads 1 --resources "
            f"{SLOT}=1) and use --scheduler",
        )
    try:
        # The first one runs the scheduler: this machine.
        cluster: Any = SSHCluster(
            ["localhost", *hosts],
            worker_options={"nthreads": 1, "resources": {SLOT: 1}, "memory_limit": 0},
            scheduler_options={"dashboard": False},
        )
    except Exception as error:
        raise FleetError(
            f"the hosts of {file} cannot all be reached by SSH: {error}",
            "each must let you in without a password, localhost included, and have the same hmexp[fleet]; or "
            "start workers yourself and use --scheduler",
        ) from error
    with cluster:
        yield str(cluster.scheduler_address)


def read_hosts(file: Path) -> list[str]:
    """The hosts of a file.

    Raises
    ------
    ParameterError
        If there are none, or one is named twice: it has one slot.
    """
    with file_errors("read", file):
        if file.stat().st_size > _LARGEST_FILE_BYTES:
            raise ParameterError(f"{file} is too large to be a list of hosts")
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    hosts = [text for line in lines if (text := line.partition("#")[0].strip())]
    twice = next((host for host in hosts if hosts.count(host) > 1), None)
    if not hosts or twice is not None:
        raise ParameterError(
            f"{file} names {twice} twice" if twice else f"{file} names no hosts", "write one host on a line"
        )
    strange = next((host for host in hosts if host.startswith("-") or len(host.split()) > 1), None)
    if strange is not None:
        raise ParameterError(f"{strange!r} in {file} is not a host", "write one host on a line")
    return hosts
