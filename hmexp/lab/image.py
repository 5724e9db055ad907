"""Kernel image files: what they are, and the plain ELF inside a compressed one.

A plain ELF starts some 7 s sooner under software emulation, where the decompression that a
bzImage does for itself is emulated as well.
"""

from __future__ import annotations

import lzma
import re
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

from hmexp.lab.errors import LabKernelError

_ELF = b"\x7fELF\x02"
_NOTE_SEGMENT = 4
_PVH_ENTRY = 18  # XEN_ELFNOTE_PHYS32_ENTRY: where QEMU may enter a plain kernel


def is_bzimage(data: bytes) -> bool:
    """Whether the file starts as an x86 boot image does."""
    return len(data) > 0x250 and data[0x1FE:0x200] == b"\x55\xaa" and data[0x202:0x206] == b"HdrS"


def release_of(path: Path) -> str:
    """Read which kernel an image is: what ``uname -r`` will say.

    Raises
    ------
    LabKernelError
        If the file is no x86-64 kernel.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LabKernelError(
            f"the kernel {path} cannot be read: {error.strerror}",
            "files in /boot are often readable only by root: copy the kernel, or let the lab fetch one",
        ) from error
    if is_bzimage(data):
        offset = struct.unpack_from("<H", data, 0x20E)[0] + 0x200
        text = data[offset : offset + 256].split(b"\0")[0]
        found = re.match(rb"(\S+)", text)
    elif data.startswith(_ELF):
        found = re.search(rb"Linux version (\d+\.\S+) \(", data)
    else:
        found = None
    if found is None:
        raise LabKernelError(f"{path} is not a kernel for x86-64", "use a bzImage (vmlinuz) or a vmlinux")
    return found[1].decode("ascii", "replace")


def extract(bzimage: bytes) -> bytes | None:
    """Take the plain ELF out of a bzImage; None if its compression is not known here."""
    if not is_bzimage(bzimage):
        return None
    setup_sectors = bzimage[0x1F1] or 4
    offset, length = struct.unpack_from("<II", bzimage, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    payload = bzimage[start : start + length]
    try:
        elf = _decompress(payload)
    except (lzma.LZMAError, zlib.error):
        return None
    return elf if elf is not None and elf.startswith(_ELF) else None


def _decompress(payload: bytes) -> bytes | None:
    if payload.startswith(b"\xfd7zXZ\x00"):
        # What follows the stream is the size, which the kernel's own decompressor reads.
        xz = lzma.LZMADecompressor()
        plain = xz.decompress(payload)
        return plain if xz.eof else None
    if payload.startswith(b"\x1f\x8b"):
        gz = zlib.decompressobj(wbits=31)
        plain = gz.decompress(payload)
        return plain if gz.eof else None
    for magic, program in ((b"\x28\xb5\x2f\xfd", "zstd"), (b"\x02\x21\x4c\x18", "lz4")):
        if payload.startswith(magic) and shutil.which(program):
            # The trailing size confuses the program after it has written everything: its status says nothing.
            done = subprocess.run([program, "-dc"], input=payload[:-4], capture_output=True, check=False)
            return done.stdout
    return None


def can_enter_directly(elf: bytes) -> bool:
    """Whether QEMU can start this plain ELF (built with ``CONFIG_PVH``, without KASAN)."""
    # The address sanitizer of a debugging kernel does not survive this way of starting it.
    if not elf.startswith(_ELF) or b"BUG: KASAN: " in elf:
        return False
    offset, entry_bytes, entries = struct.unpack_from("<Q", elf, 32)[0], *struct.unpack_from("<HH", elf, 54)
    for index in range(entries):
        kind, _, start, _, _, size = struct.unpack_from("<IIQQQQ", elf, offset + index * entry_bytes)
        if kind == _NOTE_SEGMENT and _PVH_ENTRY in _note_kinds(elf[start : start + size]):
            return True
    return False


def _note_kinds(notes: bytes) -> set[int]:
    kinds = set()
    position = 0
    while position + 12 <= len(notes):
        name_bytes, text_bytes, kind = struct.unpack_from("<III", notes, position)
        name = notes[position + 12 : position + 12 + name_bytes]
        if name == b"Xen\0":
            kinds.add(kind)
        position += 12 + (name_bytes + 3) // 4 * 4 + (text_bytes + 3) // 4 * 4
    return kinds


def bootable(path: Path, directory: Path) -> Path:
    """Give the fastest image to start: the plain ELF inside, else the file itself.

    Parameters
    ----------
    path : Path
        A bzImage or a vmlinux.
    directory : Path
        Where to write the ELF.
    """
    data = path.read_bytes()
    elf = extract(data)
    if elf is None or not can_enter_directly(elf):
        if data.startswith(_ELF) and not can_enter_directly(data):
            raise LabKernelError(
                f"{path} cannot be booted: it was built without CONFIG_PVH or with KASAN",
                "use the bzImage of the same build (arch/x86/boot/bzImage)",
            )
        return path
    target = directory / "vmlinux"
    target.write_bytes(elf)
    return target
