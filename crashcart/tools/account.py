"""Whose servers these are. Postgres refuses to run as root, so root runs it as somebody else."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CANDIDATES = ("postgres", "nobody")
_READ, _ENTER = 0o4, 0o1


@dataclass(frozen=True, slots=True)
class ServerAccount:
    """Who runs Postgres. `uid` and `gid` are None where that is ourselves."""

    uid: int | None
    gid: int | None
    name: str


def server_account() -> ServerAccount:
    """Ourselves; or, for root, `postgres` where there is such an account and `nobody` where not."""
    if os.geteuid() != 0:
        return ServerAccount(None, None, _own_name())
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerAccount(entry.pw_uid, entry.pw_gid, name)
    # the kernel's own overflow ids: they need no entry in /etc/passwd
    return ServerAccount(65534, 65534, "65534")


def _own_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def unreadable_for(account: ServerAccount, tree: Path) -> Path | None:
    """The first path on the way to `tree`, or in it, that the account can not read; None where it can read all.

    Judged by mode bits and the account's own group alone, so access by other means counts as none.
    """
    if account.uid is None:
        return None
    tree = tree.resolve()
    closed = entrance_closed_to(account, tree.parent)
    if closed is not None:
        return closed
    for path in _everything_in(tree):
        details = path.stat()
        if not _allows(details, account, _READ | _ENTER if stat.S_ISDIR(details.st_mode) else _READ):
            return path
    return None


def entrance_closed_to(account: ServerAccount, folder: Path) -> Path | None:
    """The first folder on the way to `folder`, itself included, that the account can not enter; None where it can."""
    if account.uid is None:
        return None
    folder = folder.resolve()
    for path in (*reversed(folder.parents), folder):
        if not _allows(path.stat(), account, _ENTER):
            return path
    return None


def _everything_in(tree: Path) -> Iterator[Path]:
    yield tree
    for folder, folders, files in os.walk(tree):
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.exists():  # not a dangling link
                yield path


def _allows(details: os.stat_result, account: ServerAccount, wanted: int) -> bool:
    if details.st_uid == account.uid:
        shift = 6
    elif details.st_gid == account.gid:
        shift = 3
    else:
        shift = 0
    return (details.st_mode >> shift) & wanted == wanted
