"""A project: a folder with `stack/`, `experiments/` and `loadtests/`. Its files are read, never imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from crashcart.loading.designs import read_design, read_load_program
from crashcart.loading.experiments import ExperimentFile, read_experiment
from crashcart.loading.faultkinds import NamedKind, read_fault_kind
from crashcart.loading.slos import read_slo
from crashcart.loading.truth import read_truth
from crashcart.loading.yamltree import Path_, read_tree
from crashcart.model.design import Design
from crashcart.model.errors import BadFile, UsageError
from crashcart.model.hints import did_you_mean
from crashcart.model.load import LoadProgram
from crashcart.model.slo import Slo
from crashcart.model.truth import Truth


@dataclass(frozen=True)
class Project:
    """Where everything of a project stands. Files are read when asked for."""

    root: Path

    @property
    def runs_dir(self) -> Path:
        """Where recordings go by default."""
        return self.root / "runs"

    def shown(self, path: Path) -> str:
        """A path as the user knows it: relative to the project where it is inside."""
        resolved = path.resolve()
        return str(resolved.relative_to(self.root)) if resolved.is_relative_to(self.root) else str(path)

    def experiment_paths(self) -> tuple[Path, ...]:
        """All experiment files, by name."""
        return tuple(sorted((self.root / "experiments").rglob("*.yaml")))

    def experiment(self, name_or_path: str, overrides: Sequence[str] = ()) -> ExperimentFile:
        """By path, or by the file's name without `.yaml`, with `path.to.key=value` overrides.

        BadFile where it can't be read, or is one of `experiments/` and has another name than its file. UsageError where
        there is none, or there are two.
        """
        path = self.experiment_path(name_or_path)
        file = read_experiment(path, self.shown(path), overrides)
        renamed = any(override.partition("=")[0] == "metadata.name" for override in overrides)
        if self._is_listed(path) and not renamed:
            file.check_named(path.stem)
        return file

    def experiment_path(self, name_or_path: str) -> Path:
        """The file that is meant. UsageError where there is none, or where there are two of that name."""
        path = Path(name_or_path)
        if _is_file(path):
            return path
        matches = [known for known in self.experiment_paths() if known.stem == name_or_path]
        if not matches:
            known = [path.stem for path in self.experiment_paths()]
            raise UsageError(
                f"there is no experiment {name_or_path!r}", remedy=did_you_mean(path.stem, known, "experiments")
            )
        if len(matches) > 1:
            files = " and ".join(self.shown(match) for match in matches)
            raise UsageError(f"two experiments are named {name_or_path!r}: {files}", remedy="name one by its file")
        return matches[0]

    def _is_listed(self, path: Path) -> bool:
        """Whether it is one of `experiment_paths`, however its path is written."""
        folder = path.absolute().parent.resolve()
        return path.suffix == ".yaml" and folder.is_relative_to((self.root / "experiments").resolve())

    def design_names(self) -> tuple[str, ...]:
        """Names of all designs."""
        return tuple(sorted(path.stem for path in (self.root / "stack" / "designs").glob("*.yaml")))

    def design(self, name: str) -> Design:
        """By name. UsageError names the designs there are."""
        path = self.root / "stack" / "designs" / f"{name}.yaml"
        if name not in self.design_names():
            raise UsageError(f"there is no design {name!r}", remedy=did_you_mean(name, self.design_names(), "designs"))
        return read_design(path, self.shown(path))

    @cached_property
    def load_program(self) -> LoadProgram:
        """`loadtests/load.yaml`."""
        path = self.root / "loadtests" / "load.yaml"
        return read_load_program(path, self.shown(path))

    @cached_property
    def slos(self) -> dict[str, Slo]:
        """All of `stack/slos/`, by name."""
        program = self.load_program
        cohorts = frozenset(f"{name}:{value}" for name, shares in program.cohorts.items() for value in shares)
        found: dict[str, Slo] = {}
        for path in sorted((self.root / "stack" / "slos").glob("*.yaml")):
            slo = read_slo(path, self.shown(path), cohorts)
            if slo.name in found:
                what = f"there is another SLO {slo.name!r}, in {found[slo.name].file}"
                raise read_tree(path, slo.file).error(("metadata", "name"), what, "rename one of them")
            if slo.told_within_s is not None and not self.truth.follow_up_sql:
                what = f"{slo.name} asks who was written to, and nothing tells"
                raise read_tree(path, slo.file).error(("spec",), what, "write stack/truth/follow-up.sql")
            found[slo.name] = slo
        return found

    @cached_property
    def fault_kinds(self) -> dict[str, NamedKind]:
        """The project's own names for faults, `stack/faults/`, by name."""
        found: dict[str, NamedKind] = {}
        for path in sorted((self.root / "stack" / "faults").glob("*.yaml")):
            kind = read_fault_kind(path, self.shown(path))
            if kind.name in found:
                what = f"there is another fault {kind.name!r}, in {found[kind.name].tree.file}"
                raise kind.tree.error(("metadata", "name"), what, "rename one of them")
            found[kind.name] = kind
        return found

    @cached_property
    def truth(self) -> Truth:
        """`stack/truth/`."""
        folder = self.root / "stack" / "truth"
        return read_truth(folder, self.shown(folder))

    def error_in(self, file: str, place: Path_, what: str, remedy: str = "") -> BadFile:
        """An error to raise about a place in a file, such as `loadtests/load.yaml`, which has been read already."""
        return read_tree(self.root / file, file).error(place, what, remedy)


def _is_file(path: Path) -> bool:
    """False also for what can't be the name of one."""
    try:
        return path.is_file()
    except OSError:
        return False


BOOKS_FILE = "stack/truth/books.yaml"
LOAD_FILE = "loadtests/load.yaml"
_PARTS = ("stack/designs", "experiments", "loadtests")


def is_project(path: Path) -> bool:
    """Whether there is a project at `path`."""
    return all((path / name).is_dir() for name in _PARTS)


def open_project(path: Path) -> Project:
    """The project at `path`. UsageError where it isn't one."""
    root = path.resolve()
    missing = [name for name in _PARTS if not (root / name).is_dir()]
    if missing:
        raise UsageError(
            f"{path} is not a crashcart project: it has no {' and no '.join(missing)}",
            remedy="run inside the project's folder, or name it with --project PATH",
        )
    return Project(root)
