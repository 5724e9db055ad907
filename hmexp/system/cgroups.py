"""The control groups (cgroups) that this process is in: where each controller shows its files.

Sources: cgroups(7), cgroup_namespaces(7), proc_pid_mountinfo(5) and the kernel's
Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst. A controller is either in a hierarchy of its own
(version 1) or in the unified one (version 2); one machine can have both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from hmexp.system.sysfs import read_text, split_lines


@dataclass(frozen=True)
class Cgroup:
    """The groups that bind this process, as one controller sees them.

    Parameters
    ----------
    controller : str
        ``memory``, ``cpuset`` or ``cpu``.
    version : int
        1 or 2.
    folders : tuple of Path
        The process's own group first, then each ancestor that is visible here.
    """

    controller: str
    version: int
    folders: tuple[Path, ...]


_DEEPEST: Final = 64
#: Files of a controller's own limit, by version; those of version 1 that belong together are read as one.
_OWN_LIMITS: Final[dict[str, dict[int, tuple[str, ...]]]] = {
    "cpu": {1: ("cpu.cfs_quota_us", "cpu.cfs_period_us"), 2: ("cpu.max",)},
    "memory": {1: ("memory.limit_in_bytes",), 2: ("memory.max",)},
    "cpuset": {1: ("cpuset.mems",), 2: ("cpuset.mems",)},
}
#: Groups that every machine has, or that say only what kind of container it is.
_COMMON_GROUPS: Final = re.compile(
    r"(system|user|machine|init|kubepods|kubepods-\w+|user-\d+)\.(slice|scope)|user@\d+\.service"
    r"|kubepods|besteffort|burstable|docker|libpod_parent|lxc|unified|systemd|memory|cpuset|cpu|cpu,cpuacct|slurm"
)


def read_own_limit(cgroup: Cgroup) -> str | None:
    """What the process's own group says of its limit, in the words of its files; None if it says nothing."""
    names = _OWN_LIMITS[cgroup.controller][cgroup.version]
    words = [read_text(cgroup.folders[0] / name) for name in names]
    return " ".join(word for word in words if word) or None


def anonymous(path: Path) -> str:
    """A file of `/sys` or `/proc` without names that may be of a machine, a container or a person.

    Returns
    -------
    str
        The path with `*` for each group that has a name of its own.
    """
    parts = path.parts
    if parts[-2:-1] == ("self",):
        return f"/proc/self/{path.name}"
    start = next((n + 2 for n in range(len(parts)) if parts[n : n + 2] == ("fs", "cgroup")), None)
    if start is None:
        return f"*/{path.name}"
    groups = (name if _COMMON_GROUPS.fullmatch(name) else "*" for name in parts[start:-1])
    return "/".join(("/sys/fs/cgroup", *groups, path.name))


@dataclass(frozen=True)
class _Mount:
    root: str
    point: Path
    #: Controllers of version 1; None for the unified hierarchy.
    controllers: frozenset[str] | None


def find_cgroups(controller: str, sys_root: Path, proc_root: Path) -> Cgroup | None:
    """Find the groups of this process for one controller.

    In a container the path in `/proc/self/cgroup` may start elsewhere than the mounted hierarchy: then the
    mount's own root, its parts that exist here, and at last the mount point are tried, in this order.

    Parameters
    ----------
    controller : str
        ``memory``, ``cpuset`` or ``cpu``.
    sys_root, proc_root : Path
        Where `/sys` and `/proc` are; other mount points are looked for beside `sys_root`.

    Returns
    -------
    Cgroup or None
        None where no such hierarchy is visible.
    """
    own = _own_paths(proc_root)
    version = 1 if controller in own else 2
    path = own.get(controller, own.get("", "/")).removesuffix(" (deleted)")
    mounts = [mount for mount in _mounts(sys_root, proc_root) if _carries(mount, controller, version)]
    for find in (_exact, _moved):
        for mount in mounts:
            folder = find(mount, path, proc_root)
            if folder is not None:
                return Cgroup(controller, version, _with_ancestors(folder, mount.point))
    if not own and version == 2:
        return _without_path(controller, sys_root, proc_root)
    return None


def _without_path(controller: str, sys_root: Path, proc_root: Path) -> Cgroup | None:
    """With no `/proc/self/cgroup`, a mounted hierarchy of version 1 is believed at its root."""
    for mount in _mounts(sys_root, proc_root):
        if _carries(mount, controller, 1) and _is_folder(mount.point):
            return Cgroup(controller, 1, (mount.point,))
    return None


def _own_paths(proc_root: Path) -> dict[str, str]:
    """The process's path by controller; that of the unified hierarchy under the empty name."""
    paths: dict[str, str] = {}
    for line in split_lines(read_text(proc_root / "self/cgroup") or ""):
        parts = line.split(":", 2)
        if len(parts) != 3 or not parts[2].startswith("/"):
            continue
        for controller in parts[1].split(","):
            paths.setdefault(controller, parts[2])
    return paths


def _mounts(sys_root: Path, proc_root: Path) -> Iterator[_Mount]:
    """Mounted hierarchies, then the places where they usually are."""
    found: dict[Path, _Mount] = {}
    for line in split_lines(read_text(proc_root / "self/mountinfo") or ""):
        left, _, right = line.partition(" - ")
        here, there = left.split(), right.split()
        if len(here) < 6 or len(there) < 3 or there[0] not in ("cgroup", "cgroup2"):
            continue
        point = _place(_unescape(here[4]), sys_root)
        controllers = frozenset(there[2].split(",")) if there[0] == "cgroup" else None
        # A later mount hides an earlier one at the same place.
        found[point] = _Mount(_unescape(here[3]), point, controllers)
    yield from found.values()
    usual = sys_root / "fs/cgroup"
    for name in ("memory", "cpuset", "cpu", "cpu,cpuacct", "cpuacct,cpu"):
        if usual / name not in found:
            yield _Mount("/", usual / name, frozenset(name.split(",")))
    for point in (usual / "unified", usual):
        if point not in found:
            yield _Mount("/", point, None)


def _place(point: str, sys_root: Path) -> Path:
    parts = [part for part in PurePosixPath(point).parts[1:] if part != ".."]
    return sys_root.joinpath(*parts[1:]) if parts[:1] == ["sys"] else sys_root.parent.joinpath(*parts)


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def _carries(mount: _Mount, controller: str, version: int) -> bool:
    return mount.controllers is None if version == 2 else controller in (mount.controllers or ())


def _exact(mount: _Mount, path: str, proc_root: Path) -> Path | None:
    """The group's folder where path and root of the mount fit together."""
    path_up, path_down = _split(path)
    root_up, root_down = _split(mount.root)
    if path_up == root_up and path_down[: len(root_down)] == root_down:
        folder = mount.point.joinpath(*path_down[len(root_down) :])
        return folder if _is_folder(folder) else None
    if root_up > path_up and not root_down:
        # Both count from the root of our namespace, which lies so many levels below the mount's; the
        # names on the way are unknown.
        return _search(mount.point, root_up - path_up, path_down, proc_root)
    return None


def _moved(mount: _Mount, path: str, proc_root: Path) -> Path | None:
    """The best guess where they do not: the container's own view starts somewhere along the path."""
    up, down = _split(path)
    if up:
        # We are outside the root of our namespace: only a list of processes can tell that a group is ours.
        return (
            mount.point
            if _is_folder(mount.point) and _holds_us(mount.point, proc_root) is not False
            else None
        )
    suffixes = [down[start:] for start in range(len(down))]
    prefixes = [down[:end] for end in range(len(down) - 1, -1, -1)]
    for parts in (*suffixes, *prefixes):
        folder = mount.point.joinpath(*parts)
        if _is_folder(folder):
            return folder
    return None


def _split(path: str) -> tuple[int, tuple[str, ...]]:
    """How many levels a path goes up first, and then down."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    up = 0
    while up < len(parts) and parts[up] == "..":
        up += 1
    # No machine nests groups so deep; a damaged file must not cost a search of thousands of folders.
    return up, tuple(part for part in parts[up : up + _DEEPEST] if part != "..")


def _search(point: Path, levels: int, down: tuple[str, ...], proc_root: Path) -> Path | None:
    try:
        found = [folder.joinpath(*down) for folder in point.glob("/".join(["*"] * levels)) if folder.is_dir()]
    except (OSError, ValueError):
        return None
    return next((folder for folder in found if _holds_us(folder, proc_root)), None)


def _holds_us(folder: Path, proc_root: Path) -> bool | None:
    """Whether a group lists this process; None where that cannot be read."""
    listed = read_text(folder / "cgroup.procs")
    match = re.search(r"^Pid:\s*(\d+)$", read_text(proc_root / "self/status") or "", re.MULTILINE | re.ASCII)
    return None if listed is None or match is None else match[1] in listed.split()


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _with_ancestors(folder: Path, top: Path) -> tuple[Path, ...]:
    folders = [folder]
    while folders[-1] != top and top in folders[-1].parents:
        folders.append(folders[-1].parent)
    return tuple(folders)
