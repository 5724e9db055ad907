"""libnuma through its Python binding, behind guards.

The binding (py-libnuma 1.2, module `numa`) passes any id on: one that is out of range ends the
process with a segmentation fault (CPUs of node -1; every setter), or gives an answer that looks
like one (distance 0, size -1). It reports a missing library by an AttributeError, leaves errors
undetected and never frees a bitmask. Nothing of it is used anywhere but here: ids are checked
before every call, results after it.
"""

from __future__ import annotations

import ctypes
import errno
import importlib
import importlib.util
import os
import sys
import warnings
from typing import TYPE_CHECKING, Any, Final

from hmexp.errors import LibnumaError
from hmexp.system.sysfs import format_id_list

if TYPE_CHECKING:
    from types import ModuleType

_INSTALL_LIBRARY: Final = "apt-get install libnuma1 (numactl-libs on Fedora, libnuma in conda-forge)"
_INSTALL_BINDING: Final = "pip install py-libnuma"
_REPLACE: Final = f"a different package has the same name: pip uninstall numa, then {_INSTALL_BINDING}"
_UNKNOWN_NODES: Final = "libnuma does not report which nodes this process may allocate memory on"
_NEEDED_PARTS: Final = ("LIBNUMA", "bitmask_t", "info", "memory", "utils")
_NEEDED_CALLS: Final = (
    "numa_available",
    "numa_allocate_cpumask",
    "numa_bitmask_free",
    "numa_bitmask_isbitset",
    "numa_distance",
    "numa_get_mems_allowed",
    "numa_node_size64",
    "numa_node_to_cpus",
    "numa_nodes_ptr",
)


class LibNuma:
    """What libnuma says about this machine. Made by `LibNuma.load`.

    libnuma reads the nodes once, when it is loaded: a node plugged in later is unknown to it.
    """

    def __init__(self, binding: ModuleType) -> None:
        self._binding: Any = binding
        self._library: Any = binding.LIBNUMA
        nodes = ctypes.POINTER(self._binding.bitmask_t).in_dll(self._library, "numa_nodes_ptr")
        self._node_ids = self._bits(nodes)
        if not self._node_ids:
            raise LibnumaError("libnuma reports no nodes", "check that /sys is mounted")

    @classmethod
    def load(cls) -> LibNuma:
        """Load the binding and the library, and check that they work here.

        Raises
        ------
        LibnumaError
            If the binding or the library is missing, if the module `numa` is another project, or
            if there is no NUMA support. The remedy says what to install.
        """
        binding = _import_binding()
        absent = [name for name in _NEEDED_PARTS if not hasattr(binding, name)]
        if absent:
            raise LibnumaError(
                f"the module 'numa' is not py-libnuma: it has no {', '.join(absent)}",
                _REPLACE,
            )
        library: Any = binding.LIBNUMA
        absent = [name for name in _NEEDED_CALLS if not hasattr(library, name)]
        if absent:
            raise LibnumaError(f"libnuma is too old: it has no {', '.join(absent)}", _INSTALL_LIBRARY)
        # Before anything else: libnuma leaves every other call undefined where this one fails.
        if library.numa_available() < 0:
            remedy = _refusal(errno.ENOSYS)
            raise LibnumaError("libnuma finds no NUMA support: get_mempolicy(2) is refused", remedy)
        return cls(binding)

    def node_ids(self) -> tuple[int, ...]:
        """The nodes that libnuma knows, ascending; ids may have gaps."""
        return self._node_ids

    def distance(self, a: int, b: int) -> int:
        """Distance from node `a` to node `b` (10 is the node itself)."""
        self._check(a)
        self._check(b)
        distance = int(self._library.numa_distance(a, b))
        if distance <= 0:
            raise LibnumaError(f"libnuma does not report the distance from node {a} to node {b}")
        return distance

    def node_size_bytes(self, node: int) -> int:
        """Memory of a node [bytes]; 0 for a node without memory."""
        self._check(node)
        free = ctypes.c_longlong()
        size_bytes = int(self._library.numa_node_size64(node, ctypes.byref(free)))
        if size_bytes < 0:
            raise LibnumaError(
                f"libnuma does not report the size of node {node}",
                "check in `hmexp nodes` that the node is still online",
            )
        return size_bytes

    def cpus_of(self, node: int) -> tuple[int, ...]:
        """CPUs of a node, ascending; empty for a node of memory alone."""
        self._check(node)
        mask = self._library.numa_allocate_cpumask()
        try:
            if self._library.numa_node_to_cpus(node, mask) != 0:
                raise LibnumaError(
                    f"libnuma does not report the CPUs of node {node}",
                    "check in `hmexp nodes` that the node is still online",
                )
            return self._bits(mask)
        finally:
            self._library.numa_bitmask_free(mask)

    def allowed_memory_nodes(self) -> tuple[int, ...]:
        """The nodes from which this process may take memory (its cpuset), ascending."""
        from hmexp.native.refusal import Call, is_filtered

        # Before libnuma is asked: it says so on standard error, and has an empty answer.
        if is_filtered(Call.GET_MEMPOLICY):
            raise LibnumaError(_UNKNOWN_NODES, _refusal(errno.EPERM))
        mask = self._library.numa_get_mems_allowed()
        if not mask:
            raise LibnumaError(_UNKNOWN_NODES)
        try:
            allowed = tuple(node for node in self._bits(mask) if node in self._node_ids)
        finally:
            self._library.numa_bitmask_free(mask)
        if not allowed:
            raise LibnumaError(_UNKNOWN_NODES, _refusal(errno.EPERM))
        return allowed

    def _bits(self, mask: ctypes._Pointer[Any]) -> tuple[int, ...]:
        isset = self._library.numa_bitmask_isbitset
        return tuple(bit for bit in range(int(mask.contents.size)) if isset(mask, bit))

    def _check(self, node: int) -> None:
        # 0.0 and False equal node 0, but ctypes would take them for something else, or refuse.
        if type(node) is not int or node not in self._node_ids:
            raise LibnumaError(
                f"libnuma reports no node {node!r}, only {format_id_list(self._node_ids)}",
                "use one of these nodes",
            )


def _refusal(code: int) -> str | None:
    from hmexp.native.refusal import Call, explain

    return explain(Call.GET_MEMPOLICY, code)


def _import_binding() -> ModuleType:
    if "numa" not in sys.modules and importlib.util.find_spec("numa") is None:
        raise LibnumaError("py-libnuma, the Python binding of libnuma, is missing", _INSTALL_BINDING)
    try:
        with warnings.catch_warnings():
            # Whatever the binding or ctypes warn of is nothing that a user of hmexp can act on.
            warnings.simplefilter("ignore")
            return importlib.import_module("numa")
    except ImportError as error:
        raise LibnumaError(f"py-libnuma cannot be imported: {error}", _INSTALL_BINDING) from error
    except (AttributeError, TypeError, OSError, SyntaxError) as error:
        if not _binding_is_installed():
            raise LibnumaError(f"the module 'numa' is not py-libnuma: {error}", _REPLACE) from error
        if not os.path.exists(os.devnull):  # noqa: PTH110 # as `subprocess` looks for it
            raise LibnumaError(
                f"the shared library libnuma.so.1 cannot be looked up: {os.devnull} does not exist, and "
                "Python needs it to search for libraries",
                "mount /dev; as root: mount -t devtmpfs dev /dev",
            ) from error
        # The binding takes a library that was not found for the program itself (CDLL(None)), and
        # then misses its first function.
        message = f"the shared library libnuma.so.1 could not be loaded ({error})"
        raise LibnumaError(message, _INSTALL_LIBRARY) from error


def _binding_is_installed() -> bool:
    # Only ever needed to say what is wrong, and slow to load.
    import importlib.metadata

    try:
        importlib.metadata.distribution("py-libnuma")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
