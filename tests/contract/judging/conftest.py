"""A real Postgres, for as long as these tests take."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crashcart.tools.account import server_account

if TYPE_CHECKING:
    from crashcart.tools import Toolbox


@pytest.fixture(scope="session")
def postgres(toolbox: Toolbox) -> Iterator[str]:
    """Its address, without a database."""
    account = server_account()
    binaries = toolbox.postgres.path
    with tempfile.TemporaryDirectory(prefix="crashcart-books-") as made:
        folder = Path(made)
        if account.uid is not None and account.gid is not None:
            os.chown(folder, account.uid, account.gid)

        def server(program: str, *arguments: str) -> None:
            command = [str(binaries / program), "-D", str(folder / "data"), *arguments]
            output = (folder / f"{program}.log").open("ab")
            subprocess.run(
                command,
                check=True,
                cwd=folder,
                user=account.uid,
                group=account.gid,
                stdout=output,
                stderr=output,
                env={},
            )

        server("initdb", "--auth=trust", "--no-sync", "--username=shop", "--encoding=UTF8", "--locale=C")
        for port in range(20_000 + os.getpid() % 10_000, 32_000, 97):
            options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
            try:
                server("pg_ctl", "-w", "-o", options, "start")
            except subprocess.CalledProcessError:
                continue
            break
        try:
            yield f"postgresql://shop@127.0.0.1:{port}"
        finally:
            server("pg_ctl", "-w", "-m", "immediate", "stop")
