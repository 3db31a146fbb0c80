"""A place that every account can read and only root can write: what root gives its server account to run."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

PLACES = (Path("/var/cache/crashcart"), Path("/var/tmp/crashcart"))  # noqa: S108 - owner and mode are checked before use


def trusted(folder: Path) -> bool:
    """Whether it is a real folder of ours that nobody else can write, and others can enter.

    /var/tmp is everybody's: a folder or a link of that name may have been laid there for us to run programs from.
    """
    try:
        details = folder.lstat()
    except OSError:
        return False
    return (
        stat.S_ISDIR(details.st_mode)
        and details.st_uid == os.geteuid()
        and not details.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        and bool(details.st_mode & stat.S_IXOTH)
    )


def trusted_places(places: Sequence[Path] = PLACES) -> tuple[Path, ...]:
    """Those that exist and can be trusted."""
    return tuple(place for place in places if trusted(place))


def make_place(places: Sequence[Path] = PLACES) -> Path | None:
    """The first that can be made, trusted and written; None where there is none."""
    for place in places:
        try:
            place.mkdir(mode=0o755, exist_ok=True)
            if place.lstat().st_uid == os.geteuid() and not place.is_symlink():
                place.chmod(0o755)  # the umask may have narrowed it
        except OSError:
            continue
        if trusted(place) and os.access(place, os.W_OK):
            return place
    return None


def open_to_all(tree: Path) -> None:
    """Everybody may read and enter the tree, nobody but its owner may write it."""
    for folder, _, files in os.walk(tree):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
