"""Reading how far a machine's memory is: by the JSON of ndctl and daxctl, and by /sys."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from hmexp.machine.provision.compat import read_of_compat
from hmexp.machine.provision.cxl import read_cxl, read_half_region
from hmexp.machine.provision.journal import ProvisionLog
from hmexp.machine.provision.state import (
    UNFINISHED,
    DaxState,
    Mode,
    PmemArea,
    PmemSpace,
    ProvisionState,
)
from hmexp.machine.provision.steps import AUTO_ONLINE
from hmexp.machine.provision.tools import Toolbox
from hmexp.system.dax import kind_of_device
from hmexp.system.journal import boot_id
from hmexp.system.sysfs import list_folder, read_int, read_text, real_path

_MODES: Final[Mapping[str, Mode]] = {"kmem": "system-ram", "device_dax": "devdax"}
#: File systems, volume managers and partition tables write within these, from the begin and from the end.
_HEAD_BYTES: Final = 16 << 20
_TAIL_BYTES: Final = 1 << 20


def read_provision_state(
    tools: Toolbox,
    log: ProvisionLog,
    sys_root: Path = Path("/sys"),
    proc_root: Path = Path("/proc"),
    dev_root: Path = Path("/dev"),
) -> ProvisionState:
    """Read how far the memory of a machine is.

    Parameters
    ----------
    tools : Toolbox
        Runs ndctl, daxctl and cxl, where they are installed.
    log : ProvisionLog
        What was done before.
    sys_root, proc_root, dev_root : Path
        Where `/sys`, `/proc` and `/dev` are.
    """
    listed = parse_objects(_ask(tools, "ndctl", "list", "--regions", "--namespaces", "--idle"))
    areas = tuple(_areas(listed, log, sys_root))
    spaces = tuple(_spaces(listed, log, sys_root, dev_root))
    shown = parse_objects(_ask(tools, "daxctl", "list", "--devices", "--idle"))
    dax = tuple(read_dax_states(shown, sys_root))
    auto_online = read_text(sys_root / AUTO_ONLINE)
    # Settings and drivers are as they were after a boot.
    is_this_boot = log.boot_id == boot_id(proc_root)
    before = log.auto_before if is_this_boot else None
    doing = log.doing if is_this_boot else None
    half = read_half_region(sys_root, log.mapping, log.endpoint)
    cxl = read_cxl(sys_root, None if half is None else half.endpoint)
    missing = []
    if list(_names(sys_root / "bus/nd/devices", r"region\d+")) and not tools.has("ndctl"):
        missing.append("ndctl")
    if (dax or cxl or areas) and not tools.has("daxctl"):
        missing.append("daxctl")
    return ProvisionState(
        areas=areas,
        spaces=spaces,
        dax=dax,
        cxl=cxl,
        half_region=half,
        has_left_compat="dax_pmem_compat" not in (doing or ""),
        of_compat=read_of_compat(doing, sys_root),
        auto_online=auto_online,
        auto_before=before,
        is_compat=(sys_root / "module/dax_pmem_compat").exists(),
        has_kmem=any((sys_root / each).exists() for each in ("bus/dax/drivers/kmem", "module/kmem")),
        cxl_creates=_cxl_version(tools) >= 77,
        missing=tuple(missing),
    )


def parse_objects(text: str) -> tuple[Mapping[str, object], ...]:
    """Every object in what ndctl or daxctl listed, whatever it is nested in.

    Lists of one kind are arrays, of several kinds an object of arrays, and by region a namespace is inside of
    its region; nothing at all is an empty text.
    """
    try:
        data = json.loads(text) if text.strip() else []
    except ValueError:
        return ()
    found: list[Mapping[str, object]] = []
    waiting = [data]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, dict):
            found.append(one)
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return tuple(found)


def read_dax_states(shown: tuple[Mapping[str, object], ...], sys_root: Path) -> Iterator[DaxState]:
    """Every DAX device, by what daxctl said and by /sys, ascending by name."""
    by_name = {
        name: each for each in shown if re.fullmatch(r"dax\d+\.\d+", name := _text(each, "chardev"), re.ASCII)
    }
    folder = sys_root / "bus/dax/devices"
    for name in sorted({*by_name, *_names(folder, r"dax\d+\.\d+")}):
        device, one = folder / name, by_name.get(name, {})
        node = _number(one, "target_node", read_int(device / "target_node"))
        driver = real_path(device / "driver").name if os.path.lexists(device / "driver") else ""
        mode: Mode = _MODES.get(driver, "unbound")
        if not device.exists():
            # The older model of devices (dax_pmem_compat) is no bus.
            mode = "devdax"
        online = total = 0
        if mode == "system-ram":
            online, total = _blocks(one, node, sys_root)
        yield DaxState(
            name,
            str(kind_of_device(device, sys_root)) if device.exists() else "nvm",
            mode,
            max(0, _number(one, "size", read_int(device / "size")) or 0),
            node if node is not None and node >= 0 else None,
            online,
            total,
        )


def _blocks(one: Mapping[str, object], node: int | None, sys_root: Path) -> tuple[int, int]:
    online, total = _number(one, "online_memblocks", None), _number(one, "total_memblocks", None)
    if online is not None and total is not None and 0 <= online <= total:
        return online, total
    blocks = list_folder(sys_root / f"devices/system/node/node{node}")
    states = [read_text(each / "state") for each in blocks if re.fullmatch(r"memory\d+", each.name, re.ASCII)]
    # No blocks at all: there is memory, and none of it is online.
    return sum(state == "online" for state in states), max(1, len(states))


def _areas(listed: tuple[Mapping[str, object], ...], log: ProvisionLog, sys_root: Path) -> Iterator[PmemArea]:
    for each in listed:
        match = re.fullmatch(r"region(\d{1,6})", _text(each, "dev"), re.ASCII)
        if match is None or _text(each, "type") not in ("pmem", ""):
            continue
        number = int(match[1])
        node = read_int(sys_root / f"bus/nd/devices/region{number}/target_node")
        yield PmemArea(
            number,
            max(0, _number(each, "size", 0) or 0),
            max(0, _number(each, "available_size", 0) or 0),
            node if node is not None and node >= 0 else None,
            is_enabled=_text(each, "state") != "disabled",
            is_interrupted=log.doing is not None and log.making == number,
        )


def _spaces(
    listed: tuple[Mapping[str, object], ...], log: ProvisionLog, sys_root: Path, dev_root: Path
) -> Iterator[PmemSpace]:
    for each in listed:
        match = re.fullmatch(r"namespace(\d{1,6})\.\d{1,6}", _text(each, "dev"), re.ASCII)
        if match is None:
            continue
        # ndctl has no size of a namespace in devdax mode that is disabled; the kernel has.
        own = sys_root / f"bus/nd/devices/{match[0]}/size"
        size_bytes = _number(each, "size", None) or read_int(own) or 0
        # A region shows one more than there are: a seed of no size.
        if size_bytes <= 0:
            continue
        region, uuid = int(match[1]), _text(each, "uuid") or None
        space = PmemSpace(match[0], region, _text(each, "mode") or "raw", size_bytes, uuid)
        block = _text(each, "blockdev")
        empty = (
            space.mode == "raw" and re.fullmatch(r"[\w.]+", block) is not None and _is_zero(dev_root / block)
        )
        # What was made by us and then given a file system by somebody is not ours any more.
        ours = space.mode == "devdax" and log.owns(uuid, region)
        # Nobody can have used what is not even enabled since ndctl was killed.
        half = _text(each, "state") == "disabled" and log.left_behind(space.name, uuid, region)
        mode = UNFINISHED if half else space.mode
        yield replace(space, mode=mode, is_empty=empty, is_ours=ours or half)


def _is_zero(path: Path) -> bool:
    try:
        with path.open("rb", buffering=0) as file:
            head = file.read(_HEAD_BYTES)
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - _TAIL_BYTES))
            tail = file.read(_TAIL_BYTES)
    except OSError:
        return False
    return bool(head) and not any(head) and not any(tail)


def _names(folder: Path, pattern: str) -> Iterator[str]:
    for entry in list_folder(folder):
        if re.fullmatch(pattern, entry.name, re.ASCII):
            yield entry.name


def _ask(tools: Toolbox, *words: str) -> str:
    return tools.run(words).out if tools.has(words[0]) else ""


def _cxl_version(tools: Toolbox) -> int:
    match = re.match(r"v?(\d{1,6})", _ask(tools, "cxl", "version").strip(), re.ASCII)
    return int(match[1]) if match is not None else 0


def _text(each: Mapping[str, object], name: str) -> str:
    value = each.get(name)
    return value if isinstance(value, str) else ""


def _number(each: Mapping[str, object], name: str, default: int | None) -> int | None:
    value = each.get(name)
    return value if type(value) is int else default
