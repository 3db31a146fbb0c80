"""A suite's folder: `summary.json`, `summary.md` and one JUnit file for all, written anew after each run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from crashcart.model.errors import BadFile, CrashcartError, UsageError
from crashcart.model.plan import Plan
from crashcart.model.recording import FILES
from crashcart.model.verdict import Verdict
from crashcart.reporting.files import write_text
from crashcart.reporting.jsonfile import read_verdict
from crashcart.reporting.junit import render_many
from crashcart.shelf.attempts import for_junit
from crashcart.shelf.markdown import suite_markdown
from crashcart.shelf.suite import SUITE_FORMAT, Entry, Suite

SUITES = "suites"
SUMMARY = "summary.json"


class SuiteFolder:
    """`runs/suites/<UTC>/`, and the JUnit file that was asked for elsewhere."""

    def __init__(self, runs_dir: Path, suite_id: str, plans: Sequence[Plan], junit: Path | None) -> None:
        """Makes the folder. UsageError where it, or the JUnit file, can't be written."""
        self.path = runs_dir / SUITES / suite_id
        self._runs_dir = runs_dir
        self._plans = tuple(plans)
        self._junit = junit
        self._check_junit()
        try:
            self.path.mkdir(parents=True)
        except OSError as error:
            what = f"the suite can't be written: {error.strerror}"
            raise UsageError(what, where=str(self.path), remedy="name another folder with --out") from error

    def keep(self, suite: Suite) -> None:
        """All files, each whole or not at all. CrashcartError where they can't be written any more."""
        try:
            write_text(self.path / SUMMARY, msgspec.json.format(msgspec.json.encode(suite), indent=1).decode() + "\n")
            write_text(self.path / "summary.md", suite_markdown(suite))
            document = self._document(suite)
            write_text(self.path / "junit.xml", document)
            if self._junit is not None:
                write_text(self._junit, document)
        except UsageError as error:  # nothing was started, that would say
            raise CrashcartError(error.what, where=error.where, remedy=error.remedy) from error

    def _document(self, suite: Suite) -> str:
        told = zip(suite.entries, self._plans, strict=True)
        return render_many([for_junit(entry, made, self._verdict(entry)) for entry, made in told])

    def _verdict(self, entry: Entry) -> Verdict | None:
        if entry.last is None or not entry.last.recording:
            return None
        try:
            return read_verdict(self._runs_dir / entry.last.recording / FILES["verdict"])
        except BadFile:
            return None

    def _check_junit(self) -> None:
        if self._junit is None:
            return
        if self._junit.is_dir():
            raise UsageError("that is a folder", where=str(self._junit), remedy="name a file: --junit junit.xml")
        try:
            self._junit.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            what = f"cannot write: {error.strerror}"
            raise UsageError(what, where=str(self._junit), remedy="name another file with --junit") from error
        write_text(self._junit, render_many([]))  # whoever reads it before the end meets an error, never green


def read_suite(folder: Path) -> Suite:
    """Its summary. BadFile where it is missing, cut short or of another format."""
    path = folder / SUMMARY
    try:
        head = msgspec.json.decode(path.read_bytes(), type=_Head)
        if head.format != SUITE_FORMAT:
            remedy = f"this crashcart reads {SUITE_FORMAT}"
            raise BadFile(f"is of the format {head.format!r}", file=path, line=None, remedy=remedy)
        return msgspec.json.decode(path.read_bytes(), type=Suite)
    except OSError as error:
        raise BadFile(f"cannot be read: {error.strerror}", file=path, line=None) from error
    except msgspec.MsgspecError as error:
        raise BadFile(f"is not a suite's summary: {error}", file=path, line=None) from error


class _Head(msgspec.Struct, frozen=True):
    format: str = ""
