"""Programs that say what a test wants them to say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Program = Callable[[str, str], Path]
"""`program("go", "echo go version go1.26.8")` puts a program on PATH."""

VERSIONS = {
    "postgres": "postgres (PostgreSQL) 18.6",
    "valkey-server": "Valkey server v=9.1.2 sha=00000000:1 malloc=libc bits=64 build=1536df31c0395150",
    "toxiproxy-server": "toxiproxy-server version 2.12.0",
    "prometheus": "prometheus, version 2.42.0+ds (branch: debian/sid, revision: 2.42.0+ds-5+deb12u1)",
    "promtool": "promtool, version 2.42.0+ds (branch: debian/sid, revision: 2.42.0+ds-5+deb12u1)",
    "go": "go version go1.26.8 linux/amd64",
}
"""What the real ones print."""

GO = f"""
if [ "$1" = version ]; then echo '{VERSIONS["go"]}'; exit; fi
echo started >> "$0.log"
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\necho toxiproxy-server version 2.12.0\\n' > "$2"
/bin/chmod 755 "$2"
"""
"""A compiler: notes each build in `go.log` beside it, and makes a Toxiproxy of whatever it is given."""


def write_program(file: Path, body: str) -> Path:
    """A program that runs those lines of shell."""
    file.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    file.chmod(0o755)
    return file


def write_postgres(folder: Path, *, version: str = VERSIONS["postgres"]) -> Path:
    """A `bin` folder with a whole server."""
    folder.mkdir(parents=True, exist_ok=True)
    write_program(folder / "postgres", f"echo '{version}'")
    for name in ("initdb", "pg_ctl"):
        write_program(folder / name, "exit 0")
    return folder
