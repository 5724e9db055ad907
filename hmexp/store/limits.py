"""What a run was allowed to use of the machine, as it is stored in `run.json`.

Names of groups may name a container, a job or a person: files are stored with `*` in their place.
"""

from __future__ import annotations

from hmexp.store.schema import Stored


class AllowedNodesRecord(Stored, frozen=True, kw_only=True, gc=False):
    """A list of nodes whose memory the run was allowed to use.

    Parameters
    ----------
    file : str
        File that says so.
    value : str
        What it says.
    nodes : tuple of int
        The nodes.
    """

    file: str
    value: str = ""
    nodes: tuple[int, ...] = ()


class MemoryLimitRecord(Stored, frozen=True, kw_only=True, gc=False):
    """A limit on memory.

    Parameters
    ----------
    file : str
        File that says so.
    name : str
        Name of the limit in that file; empty if the file holds it alone.
    limit_bytes : int
        The limit [bytes].
    used_bytes : int or None
        What was used of it at the start, without file cache that the kernel gives back [bytes].
    """

    file: str
    name: str = ""
    limit_bytes: int
    used_bytes: int | None = None


class CpuQuotaRecord(Stored, frozen=True, kw_only=True, gc=False):
    """A limit on CPU time.

    Parameters
    ----------
    file : str
        File that says so.
    value : str
        What it says: quota and period [us].
    cpus : float
        CPUs that can be busy all the time.
    """

    file: str
    value: str = ""
    cpus: float


class LimitsRecord(Stored, frozen=True, kw_only=True, gc=False):
    """What the run was allowed to use: every limit of its process, its cgroups and their ancestors.

    Parameters
    ----------
    nodes : tuple of AllowedNodesRecord
        Lists of nodes, the narrowest first: `Mems_allowed_list` of the process, and its cpusets.
    memory : tuple of MemoryLimitRecord
        Limits of cgroups on memory, that with the least left first.
    cpu : tuple of CpuQuotaRecord
        Limits of cgroups on CPU time, the narrowest first.
    process : tuple of MemoryLimitRecord
        Limits on the size of one process (`ulimit -v`, `ulimit -d`).
    """

    nodes: tuple[AllowedNodesRecord, ...] = ()
    memory: tuple[MemoryLimitRecord, ...] = ()
    cpu: tuple[CpuQuotaRecord, ...] = ()
    process: tuple[MemoryLimitRecord, ...] = ()
