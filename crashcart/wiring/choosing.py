"""Which experiments are meant: names, files, folders and tags."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from crashcart.loading import Project
from crashcart.loading.experiments import ExperimentFile
from crashcart.model.errors import UsageError
from crashcart.model.hints import did_you_mean

DEMONSTRATION = "demonstration"
"""Experiments that show how a fault looks that a shop does not survive: they are meant to fail, so no suite has them
unless it asks for this tag."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is to be run, in order."""

    paths: tuple[Path, ...]
    notes: tuple[str, ...]
    """What the user should know of the choice: that an experiment was named twice."""


@dataclass(frozen=True, slots=True)
class Tags:
    """All of `wanted` (each a choice of several: any of them), none of `unwanted`."""

    wanted: tuple[frozenset[str], ...] = ()
    unwanted: frozenset[str] = frozenset()

    def fit(self, tags: Iterable[str]) -> bool:
        """Whether an experiment with these tags is meant."""
        found = frozenset(tags)
        asked_for = frozenset().union(*self.wanted)
        if DEMONSTRATION in found and DEMONSTRATION not in asked_for:
            return False
        return all(choice & found for choice in self.wanted) and not self.unwanted & found

    def __str__(self) -> str:
        wanted = [f"--tag {','.join(sorted(choice))}" for choice in self.wanted]
        return " ".join([*wanted, *(f"--not-tag {tag}" for tag in sorted(self.unwanted))])


def parse_tags(wanted: Sequence[str], unwanted: Sequence[str]) -> Tags:
    """`--tag a,b --tag c`: (a or b) and c. UsageError where a tag is empty."""
    choices = tuple(frozenset(_split(text, "--tag")) for text in wanted)
    return Tags(choices, frozenset(tag for text in unwanted for tag in _split(text, "--not-tag")))


def choose(project: Project, named: Sequence[str], tags: Tags) -> Chosen:
    """Those named, whatever their tags; and of the folders named (of all, where tags alone are given) those that fit.

    Raises:
        UsageError: nothing is named, a name or tag is unknown, a folder has no experiments, nothing fits.
        BadFile: an experiment that must be read for its tags can't be.
    """
    if not named and not (tags.wanted or tags.unwanted):
        raise UsageError("which experiments?", remedy="name some, or a folder, or say --tag nightly; `crashcart list`")
    read = _Reader(project)
    _check_known(tags, lambda: read.all_tags(project.experiment_paths()))
    paths: list[Path] = []
    folders = False
    for name in named:
        folder = _folder(project, name)
        folders = folders or folder is not None
        paths += (
            [project.experiment_path(name)]
            if folder is None
            else read.fitting(_experiments_in(folder, name), tags, name)
        )
    if not folders and (tags.wanted or tags.unwanted):
        paths += read.fitting(project.experiment_paths(), tags, "the project")
    return _once(project, paths)


class _Reader:
    """Reads each experiment once for its tags."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._known: dict[Path, ExperimentFile] = {}

    def tags(self, path: Path) -> tuple[str, ...]:
        if path not in self._known:
            self._known[path] = self._project.experiment(str(path))
        return tuple(self._known[path].experiment.metadata.tags)

    def all_tags(self, paths: Iterable[Path]) -> set[str]:
        return {tag for path in paths for tag in self.tags(path)}

    def fitting(self, paths: Sequence[Path], tags: Tags, where: str) -> list[Path]:
        found = [path for path in paths if tags.fit(self.tags(path))]
        if not found:
            asked = str(tags) or f"what is tagged {DEMONSTRATION} is run by its name or --tag {DEMONSTRATION} alone"
            raise UsageError(f"no experiment of {where} fits: {asked}", remedy="`crashcart list` shows their tags")
        return found


def _split(text: str, option: str) -> list[str]:
    tags = [tag.strip() for tag in text.split(",")]
    if not all(tags):
        raise UsageError(f"{option} {text!r}: a tag is empty", remedy=f"write {option} nightly, or {option} one,other")
    return tags


def _check_known(tags: Tags, known: Callable[[], set[str]]) -> None:
    asked = sorted(tags.unwanted.union(*tags.wanted))
    if not asked:
        return
    there = known() | {DEMONSTRATION}
    for tag in asked:
        if tag not in there:
            raise UsageError(f"no experiment has the tag {tag!r}", remedy=did_you_mean(tag, sorted(there), "tags"))


def _folder(project: Project, name: str) -> Path | None:
    """The folder of that name, here or below `experiments/`; None for an experiment's name or file."""
    if not name.strip():
        raise UsageError("an experiment's name is empty", remedy="`crashcart list` shows their names")
    if not name.endswith("/") and any(path.stem == name for path in project.experiment_paths()):
        return None
    return next((path for path in (Path(name), project.root / "experiments" / name) if path.is_dir()), None)


def _experiments_in(folder: Path, name: str) -> list[Path]:
    found = sorted(folder.rglob("*.yaml"))
    if not found:
        raise UsageError(f"there is no experiment in the folder {name}", remedy="experiments are files named *.yaml")
    return found


def _once(project: Project, paths: Sequence[Path]) -> Chosen:
    kept: dict[Path, Path] = {}
    twice: dict[Path, None] = {}
    for path in paths:
        if kept.setdefault(path.resolve(), path) is not path:
            twice[path.resolve()] = None
    notes = tuple(f"{project.shown(path)} is named more than once, and run once" for path in twice)
    return Chosen(tuple(kept.values()), notes)
