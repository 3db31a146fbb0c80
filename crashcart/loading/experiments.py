"""`experiments/**/*.yaml` → Experiment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crashcart.loading.decode import decode
from crashcart.loading.overrides import overridden
from crashcart.loading.yamltree import Path_, Tree, dotted, read_tree
from crashcart.model.errors import BadFile
from crashcart.model.experiment import Experiment
from crashcart.model.hints import did_you_mean
from crashcart.model.secrets import secrets_in
from crashcart.model.units import Duration, parse_duration

API_VERSION = "crashcart/v1"
_LONGEST_NAME = 60
"""In characters, of which each may be four bytes: no file system has names over 255."""
_MOST_FAULTS = 50


@dataclass(frozen=True, slots=True)
class ExperimentFile:
    """An experiment, and the file it stands in for errors that need a line."""

    path: str
    """Relative to the project."""
    experiment: Experiment
    tree: Tree

    def error(self, path: Path_, what: str, remedy: str = "") -> BadFile:
        """An error to raise about a place in the file."""
        return self.tree.error(path, what, remedy)

    def check_named(self, name: str) -> None:
        """BadFile where `metadata.name` is another: then it would be run by one name and recorded by the other."""
        found = self.experiment.metadata.name
        if found != name:
            what = f"metadata.name is {found!r}, and the file's name is {name!r}"
            raise self.error(("metadata", "name"), what, f"write name: {name}, or rename the file to {found}.yaml")


def check_head(tree: Tree, kind: str, api_version: str = API_VERSION) -> None:
    """The first two lines of every document: which format this is."""
    for key, wanted in (("apiVersion", api_version), ("kind", kind)):
        found = tree.data.get(key)
        if found != wanted:
            shown = f"{key} is missing" if found is None else f"{key} is {found!r}"
            raise tree.error((key,), shown, f"write {key}: {wanted}")


def check_no_secrets(tree: Tree) -> None:
    """BadFile where a password or token stands: what an experiment says is in its recording, fault log and report."""
    for path in secrets_in(tree.data):
        what = f"{dotted(path)}: a secret would stand in every recording and report"
        remedy = "leave it out: services have the run's own ADMIN_TOKEN, which http/admin sends and nobody records"
        raise tree.error(path, what, remedy)


def read_experiment(path: Path, shown_as: str, overrides: Sequence[str] = ()) -> ExperimentFile:
    """One experiment from its file, with `path.to.key=value` overrides laid over it."""
    return experiment_from_tree(overridden(read_tree(path, shown_as), overrides))


def experiment_from_tree(tree: Tree) -> ExperimentFile:
    """One experiment from its tree. BadFile where it isn't one."""
    check_head(tree, "Experiment")
    check_no_secrets(tree)
    data = {key: value for key, value in tree.data.items() if key != "faults"}
    data["faults"] = [_fault(tree, index, item) for index, item in enumerate(_fault_items(tree))]
    invariants = _invariants_of(tree)
    if isinstance(invariants, str) and invariants != "all":
        raise tree.error(
            ("expect", "always", "invariants"), f"invariants: {invariants!r}", "write all, or a list of names"
        )
    experiment = decode(tree, Experiment, data=data)
    name = experiment.metadata.name
    if not name.isprintable() or "/" in name or not name.strip() or name.startswith(".") or len(name) > _LONGEST_NAME:
        what = f"metadata.name: {name!r} can't be the name of a folder below runs/"
        raise tree.error(("metadata", "name"), what, "write letters, digits and hyphens, such as slow-database")
    return ExperimentFile(tree.file, experiment, tree)


def _fault_items(tree: Tree) -> list[object]:
    items = tree.data.get("faults", [])
    if not isinstance(items, list):
        raise tree.error(("faults",), "faults should be a list")
    if len(items) > _MOST_FAULTS:
        raise tree.error(("faults",), f"there are {len(items)} faults", f"at most {_MOST_FAULTS} in one experiment")
    return items


def _invariants_of(tree: Tree) -> object:
    expect = tree.data.get("expect")
    always = expect.get("always") if isinstance(expect, dict) else None
    return always.get("invariants") if isinstance(always, dict) else None


def _fault(tree: Tree, index: int, item: object) -> dict[str, object]:
    path: Path_ = ("faults", index)
    shape = "write - <kind>: {<settings>} with at: and for: beside it"
    if not isinstance(item, dict):
        raise tree.error(path, f"faults[{index}] should be a mapping", shape)
    kinds = [key for key in item if key not in ("at", "for")]
    if len(kinds) > 1 and (strays := [key for key in kinds if "/" not in str(key) and key != "noop"]):
        hint = did_you_mean(str(strays[0]), ("at", "for"), "keys")
        raise tree.error((*path, strays[0]), f"unknown key faults[{index}].{strays[0]}", hint)
    if len(kinds) != 1:
        raise tree.error(path, f"faults[{index}] names {len(kinds)} kinds ({', '.join(kinds) or 'none'})", shape)
    if "for" not in item:
        raise tree.error(path, f"faults[{index}].for is missing", "say how long the fault lasts: for: 20s")
    settings = item[kinds[0]]
    if settings is None:
        settings = {}
    if not isinstance(settings, dict):
        raise tree.error((*path, kinds[0]), f"the settings of {kinds[0]} should be a mapping", shape)
    return {
        "kind": kinds[0],
        "settings": settings,
        "at": _duration(tree, (*path, "at"), item.get("at", "0s")),
        "duration": _duration(tree, (*path, "for"), item["for"]),
        "line": tree.line(path),
    }


def _duration(tree: Tree, path: Path_, value: object) -> str:
    try:
        parse_duration(value)
    except ValueError as error:
        raise tree.error(path, str(error)) from error
    return str(value)


def seconds(value: Duration) -> float:
    """A plain float, rounded to microseconds so that files are stable."""
    return round(float(value), 6)
