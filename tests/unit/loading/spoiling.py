"""Projects of which one file at a time is spoilt, and what `crashcart plan` says of it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec

import crashcart.judging
import crashcart.loading
from crashcart.judging import rehearsal, rehearse
from crashcart.loading import Project, open_project, yamltree
from crashcart.loading import project as projects
from crashcart.loading.designs import read_design
from crashcart.loading.slos import read_slo
from crashcart.model.design import Design
from crashcart.model.plan import Plan
from crashcart.model.slo import Slo
from crashcart.model.truth import Truth
from tests.unit.loading.inprocess import Ending, call
from tests.unit.loading.mutations import Mutation

ROOT = Path(__file__).parents[3]
TINY = ROOT / "tests" / "projects" / "tiny"
CPU_WITHIN_S = 2.0
_WORDS_AT_MOST = 1_600
_FOLDERS = ("experiments", "stack/designs", "stack/faults", "stack/slos", "stack/truth")
_READ_AGAIN = {
    "stack/faults": ("fault_kinds",),
    "stack/slos": ("slos",),
    "stack/truth": ("truth", "slos"),
    "loadtests": ("load_program", "slos"),
}
"""What of a project hangs on a folder's files; experiments and designs are read each time anyway."""
_SAID = re.compile(r"crashcart: (?P<file>[^\n:]+):(?P<line>\d+): (?P<what>[^\n]+)(\n  [^\n]+)?\n")
_AS_A_WHOLE = ("cannot be read: ", "the file is over ", "is no regular file")
"""What is said of a file and no line of it."""


def copied(source: Path, folder: Path) -> Path:
    """What `plan` reads of a project."""
    for name in ("experiments", "stack", "loadtests"):
        shutil.copytree(source / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    return folder


def files_of(project: Path) -> list[str]:
    """All that is YAML or SQL, relative to the project."""
    found = [path for folder in _FOLDERS for path in sorted((project / folder).rglob("*.*"))]
    return [
        str(path.relative_to(project))
        for path in (*found, project / "loadtests" / "load.yaml")
        if path.suffix in (".yaml", ".sql")
    ]


@dataclass
class Bench:
    """One project. What a spoilt file has no part in is read once."""

    root: Path
    _arguments: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def warm(self) -> dict[str, Any]:
        """Of the project as it should be."""
        project = open_project(self.root)
        return {name: getattr(project, name) for name in ("load_program", "slos", "fault_kinds", "truth")}

    def arguments(self, file: str) -> tuple[str, ...]:
        """A plan that reads that file."""
        if file not in self._arguments:
            self._arguments[file] = self._arguments_for(file)
        return self._arguments[file]

    def _arguments_for(self, file: str) -> tuple[str, ...]:
        path = Path(file)
        if file.startswith("experiments/"):
            return ("plan", path.stem)
        experiments = sorted((self.root / "experiments").rglob("*.yaml"))
        meant = self._words_of(path)
        using = [one for one in experiments if any(word in one.read_text(encoding="utf-8") for word in meant)]
        chosen = using[0] if using else experiments[0]
        design = ("--design", path.stem) if file.startswith("stack/designs/") else ()
        return ("plan", chosen.stem, *design)

    def _words_of(self, path: Path) -> tuple[str, ...]:
        if path.parent.name == "faults":
            return (path.stem.replace("-", "/", 1) + ":",)
        return (f"slo: {path.stem}",) if path.parent.name == "slos" else ()

    @contextmanager
    def spoilt(self, file: str, data: bytes) -> Iterator[None]:
        """With that in the file's place."""
        path = self.root / file
        before = path.read_bytes()
        path.write_bytes(data)
        try:
            yield
        finally:
            path.write_bytes(before)

    def plan(self, file: str, mutation: Mutation, *more: str) -> Ending:
        """`crashcart plan`, with the file spoilt."""
        return self.call(file, mutation, *self.arguments(file), *more)

    def call(self, file: str, mutation: Mutation, *arguments: str) -> Ending:
        """Whichever command, with the file spoilt."""
        with self.spoilt(file, mutation.data), self._warmed(file):
            return call(("--project", str(self.root), *arguments))

    @contextmanager
    def _warmed(self, file: str) -> Iterator[None]:
        cold = next((names for folder, names in _READ_AGAIN.items() if file.startswith(folder)), ())
        known = {name: value for name, value in self.warm.items() if name not in cold}

        def opened(path: Path) -> Project:
            project = open_project(path)
            vars(project).update(known)
            return project

        with ExitStack() as stack:
            stack.enter_context(patch.object(crashcart.loading, "open_project", opened))
            stack.enter_context(patch.object(crashcart.judging, "rehearse", _rehearse_once))
            stack.enter_context(patch.object(yamltree, "parse_tree", _parse_once))
            stack.enter_context(patch.object(projects, "read_slo", _read_slo_once))
            stack.enter_context(patch.object(projects, "read_design", _read_design_once))
            yield


@dataclass
class Tried:
    """Contents of one file that were tried, each once, until there are enough. The file as it was is none of them."""

    whole: bytes
    enough: int
    fine: set[bytes] = field(default_factory=set)
    _amiss: bool = False

    def once(self, mutation: Mutation, check: Callable[[Mutation], None]) -> None:
        """Hold it to the check, which raises. After it raised, whatever Hypothesis shrinks it to is tried as well."""
        if mutation.data == self.whole or mutation.data in self.fine:
            return
        if len(self.fine) >= self.enough and not self._amiss:
            return
        before, self._amiss = self._amiss, True
        check(mutation)
        self._amiss = before
        self.fine.add(mutation.data)


_parse_once = lru_cache(maxsize=64)(yamltree.parse_tree)
"""Files that are as they were are parsed once."""
_slos: dict[tuple[bytes, Path, frozenset[str]], Slo] = {}
_designs: dict[tuple[bytes, Path], Design] = {}
_rehearsed: dict[bytes, list[rehearsal.Refused]] = {}
_asked: dict[tuple[bytes, str, str], list[rehearsal.Refused]] = {}
_ask = rehearsal._ask


def _read_slo_once(path: Path, shown_as: str, cohorts: frozenset[str]) -> Slo:
    """Each as it stands."""
    key = (path.read_bytes(), path, cohorts)
    if key not in _slos:
        _slos[key] = read_slo(path, shown_as, cohorts)
    return _slos[key]


def _read_design_once(path: Path, shown_as: str) -> Design:
    """Each as it and its neighbours stand: one may extend another."""
    key = (b"\0".join(other.read_bytes() for other in sorted(path.parent.glob("*.yaml"))), path)
    if key not in _designs:
        _designs[key] = read_design(path, shown_as)
    return _designs[key]


def _rehearse_once(truth: Truth) -> list[rehearsal.Refused]:
    """The same questions, to the same tables, are answered alike."""
    tables = msgspec.json.encode((*((name, source.columns) for name, source in truth.sources.items()), truth.shared))
    asked = (truth.exclusions_sql, truth.follow_up_sql, *((o.name, o.sql, o.examined_sql) for o in truth.invariants))
    key = tables + msgspec.json.encode(asked)
    if key not in _rehearsed:
        with patch.object(rehearsal, "_ask", partial(_ask_once, tables)):
            _rehearsed[key] = list(rehearse(truth))
    return _rehearsed[key]


def _ask_once(tables: bytes, database: Any, file: str, sql: str) -> list[rehearsal.Refused]:
    key = (tables, file, sql)
    if key not in _asked:
        _asked[key] = list(_ask(database, file, sql))
    return _asked[key]


def problems(root: Path, file: str, mutation: Mutation, ending: Ending) -> list[str]:
    """What is wrong with how it ended: nothing may be."""
    found = [f"it touched the world: {what}" for what in ending.touched]
    if ending.cpu_s > CPU_WITHIN_S:
        found.append(f"it took {ending.cpu_s:.1f} s of CPU")
    if ending.status == 0:
        return found + _wrong_with_plan(ending)
    if ending.status != 2:
        return [*found, f"exit status {ending.status}: {ending.err[:500]}"]
    return found + _wrong_with_words(ending.err, ending.out) + _wrong_with_place(root, file, mutation, ending.err)


def _wrong_with_plan(ending: Ending) -> list[str]:
    if ending.err:
        return [f"a plan, and yet it says: {ending.err[:300]}"]
    if not ending.out.startswith("{"):
        return [] if "\nTimeline\n" in ending.out else [f"this is no plan: {ending.out[:300]}"]
    try:
        again = msgspec.json.decode(ending.out, type=Plan)
    except msgspec.MsgspecError as problem:
        return [f"the plan can't be read again: {problem}"]
    return (
        []
        if msgspec.json.format(msgspec.json.encode(again), indent=1).decode() == ending.out.rstrip("\n")
        else ["the plan reads otherwise"]
    )


def _wrong_with_words(said: str, out: str) -> list[str]:
    shown = said[:400]
    if "Traceback" in said or out:
        return [f"not one message: {shown}"]
    if len(said) > _WORDS_AT_MOST:
        return [f"{len(said)} characters: {shown}"]
    if not said.replace("\n", "").isprintable():
        return [f"not fit for a terminal: {shown!r}"]
    return []


def _wrong_with_place(root: Path, file: str, mutation: Mutation, said: str) -> list[str]:
    match = _SAID.fullmatch(said)
    if match is None:
        return [] if any(words in said for words in _AS_A_WHOLE) else [f"no file and line: {said[:400]}"]
    if not (root / match["file"]).is_file():
        return [f"there is no such file: {said[:400]}"]
    data = mutation.data if match["file"] == file else (root / match["file"]).read_bytes()
    lines = max(1, len(re.split(rb"\r\n|\r|\n", data.rstrip(b"\r\n"))))
    return [] if int(match["line"]) <= lines else [f"the file has {lines} lines: {said[:400]}"]
