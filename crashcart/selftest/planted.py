"""Defects that a project plants in its own services, as `defects.yaml` declares them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from crashcart.loading.decode import decode
from crashcart.loading.experiments import check_head
from crashcart.loading.project import Project
from crashcart.loading.yamltree import Path_, Tree, read_tree
from crashcart.model.errors import UsageError
from crashcart.model.experiment import Experiment
from crashcart.model.hints import did_you_mean
from crashcart.model.verdict import Outcome

FILE = "defects.yaml"
FOLDER = "tests/defects"
"""Where a project's defects are, if nobody says anything else."""
_NAME = re.compile(r"[a-z][a-z0-9-]*")


class Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An experiment of the project, and what is changed of it for one run, as by `--set`."""

    experiment: str
    set: tuple[str, ...] = ()


class Defect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """One service with one thing altered."""

    is_: str = msgspec.field(name="is")
    """What is wrong with it, in a few words."""
    service: str
    """Whose place it takes …"""
    command: tuple[str, ...]
    """… and how it is started, as in a design."""
    shown_by: str
    """Name of a setting."""
    caught_by: str
    """The check that must be broken: see `crashcart.selftest.catching`."""
    verdict: Outcome = Outcome.FAIL
    """What such a run must come to."""


class Planted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"api_version": "apiVersion"}):
    """The whole file."""

    api_version: str
    kind: str
    settings: dict[str, Setting]
    defects: dict[str, Defect]


def read_planted(folder: Path, project: Project) -> Planted:
    """A folder's `defects.yaml`, held against the project.

    Raises:
        BadFile: it names what the project does not have. UsageError: there is no such file.
    """
    path = folder / FILE
    if not path.is_file():
        remedy = f"name the folder with --defects, or write {FILE}: see docs/93-planted-defects.md"
        raise UsageError(f"there is no {FILE}", where=project.shown(folder), remedy=remedy)
    tree = read_tree(path, project.shown(path))
    check_head(tree, "Defects")
    planted = decode(tree, Planted)
    experiments = {name: _experiment(tree, ("settings", name), one, project) for name, one in planted.settings.items()}
    for name, defect in planted.defects.items():
        _check(tree, name, defect, planted, experiments, project)
    return planted


def _experiment(tree: Tree, path: Path_, setting: Setting, project: Project) -> Experiment:
    try:
        return project.experiment(setting.experiment, setting.set).experiment
    except UsageError as error:
        raise tree.error(path, error.what, error.remedy) from error


def _check(
    tree: Tree,
    name: str,
    defect: Defect,
    planted: Planted,
    experiments: dict[str, Experiment],
    project: Project,
) -> None:
    path: Path_ = ("defects", name)
    if not _NAME.fullmatch(name) or name in planted.settings:
        what = f"{name!r} can't be a defect's name"
        raise tree.error(path, what, "lower-case letters, digits and -, and no setting's name")
    if defect.shown_by not in experiments:
        _refuse(tree, (*path, "shown-by"), "setting", defect.shown_by, planted.settings)
    experiment = experiments[defect.shown_by]
    services = project.design(experiment.design).services
    if defect.service not in services or services[defect.service].kind != "process":
        commands = [service for service, how in services.items() if how.kind == "process"]
        _refuse(tree, (*path, "service"), "service with a command", defect.service, commands)
    if not defect.command:
        raise tree.error((*path, "command"), "there is no command", 'such as ["{python}", -m, tests.defects.of_yours]')
    known = checks_of(experiment, project)
    if defect.caught_by not in known:
        _refuse(tree, (*path, "caught-by"), "check of that experiment", defect.caught_by, known)


def _refuse(tree: Tree, path: Path_, what: str, found: str, known: Iterable[str]) -> None:
    raise tree.error(path, f"there is no {what} {found!r}", did_you_mean(found, tuple(known), f"{what}s"))


def checks_of(experiment: Experiment, project: Project) -> tuple[str, ...]:
    """Every check that a run of it makes, by the names that `caught-by` takes."""
    expect = experiment.expect
    wanted = expect.always.invariants
    names = [one.name for one in project.truth.invariants] if isinstance(wanted, str) else list(wanted)
    found = [f"invariant/{name}" for name in names]
    for phase, objectives in (("baseline", expect.baseline), ("fault", expect.fault)):
        for one in objectives:
            slo = project.slos.get(one.slo)
            cohorts = [cohort for cohort in slo.objectives if cohort != "all"] if slo else []
            found.append(f"slo/{one.slo}/{phase}")
            found += [f"slo/{one.slo}/{phase}/{cohort}" for cohort in cohorts if one.cohorts.get(cohort, 1) is not None]
    if expect.recovery is not None:
        found.append("recovery")
    return (*found, *(f"validity/{name}" for name in VALIDITY))


VALIDITY = (
    *("completed", "gate", "faults-on-time", "evidence", "undone", "harness-parts", "proxies", "load-delivered"),
    *("lateness", "load-unbroken", "shoppers-counted", "counters-whole", "scrapes", "clock", "recording"),
)
"""Conditions under which a run counts (docs: how a run is judged)."""
