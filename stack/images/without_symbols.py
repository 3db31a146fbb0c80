"""Cut what only a debugger reads off the shared libraries in a folder: of those in wheels, nine tenths.

An image's build has no `strip`. What is loaded is named by a library's program headers; symbol tables, debug
information and the section table come after it, so that the file can end where the last loaded byte does (as with
`sstrip`).
"""

import struct
import sys
from pathlib import Path

MAGIC = b"\x7fELF\x02\x01"  # 64 bits, little endian: the others are left as they are
HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
PROGRAM = struct.Struct("<IIQQQQQQ")


def loaded_bytes(content: bytes) -> int:
    """How much of the file its program headers speak of, those headers included."""
    header = HEADER.unpack_from(content)
    at, size, count = header[5], header[9], header[10]
    ends: list[int] = [at + size * count]
    for index in range(count):
        _, _, offset, _, _, in_file, _, _ = PROGRAM.unpack_from(content, at + index * size)
        ends.append(offset + in_file)
    return max(ends)


def without_symbols(content: bytes) -> bytes:
    """The library without its tables; unchanged where it is of another sort, or has none."""
    if not content.startswith(MAGIC):
        return content
    end = loaded_bytes(content)
    if end >= len(content):
        return content
    fields = list(HEADER.unpack_from(content))
    fields[6] = fields[12] = fields[13] = 0  # there is no section table any more
    return HEADER.pack(*fields) + content[HEADER.size : end]


def main() -> None:
    """The folder is the argument."""
    for library in Path(sys.argv[1]).rglob("*.so*"):
        if library.is_file() and not library.is_symlink():
            library.write_bytes(without_symbols(library.read_bytes()))


if __name__ == "__main__":
    main()
