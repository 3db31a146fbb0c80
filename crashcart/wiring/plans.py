"""From a project and a name to a plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from crashcart.faults import registry
from crashcart.loading import Project
from crashcart.loading.project import BOOKS_FILE
from crashcart.loading.textfile import read_text
from crashcart.model.errors import BadFile, UsageError
from crashcart.model.plan import Plan
from crashcart.model.secrets import as_recorded
from crashcart.planning import Request, plan
from crashcart.wiring.runtimes import lacks_of, runtime_name

RESERVED = ("latest", "suites")
"""Names below `runs/` that no experiment can have."""


def make_plan(project: Project, experiment: str, overrides: Sequence[str], runtime: str | None = None) -> Plan:
    """The plan of an experiment by name or path. BadFile or UsageError where there can be none."""
    made = _plan(project, experiment, overrides, runtime_name(runtime))
    _rehearse(project)
    return made


def _plan(project: Project, experiment: str, overrides: Sequence[str], runtime: str) -> Plan:
    file = project.experiment(experiment, overrides)
    name = file.experiment.metadata.name
    if name in RESERVED:
        what = f"metadata.name is {name!r}, which is the name of a folder below runs/"
        raise file.error(("metadata", "name"), what, "give it another name")
    return plan(Request(file, project, runtime, lacks_of(runtime), registry(), tuple(overrides)))


def make_plans(
    project: Project, paths: Sequence[Path], overrides: Sequence[str], runtime: str | None = None
) -> tuple[Plan, ...]:
    """Every plan, in order. UsageError with all that is wrong in any of them."""
    name = runtime_name(runtime)
    plans: list[Plan] = []
    wrong: list[UsageError] = []
    for path in paths:
        try:
            plans.append(_plan(project, str(path), overrides, name))
        except UsageError as error:
            wrong.append(error)
    if not wrong:
        _rehearse(project)
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        lines = "".join(f"\n{line}" for line in dict.fromkeys(str(error) for error in wrong))
        raise UsageError(f"{len(wrong)} of {len(paths)} experiments can't be planned, nothing was started:{lines}")
    _check_names(plans)
    return tuple(plans)


def _rehearse(project: Project) -> None:
    """BadFile for the first query about the books that can't be asked: better now than after the run."""
    from crashcart.judging import rehearse

    for refused in rehearse(project.truth):
        what = f"it can't be asked: {refused.said}"
        if refused.source:
            remedy = "write columns: {name: TYPE}, with types of DuckDB such as VARCHAR, BIGINT or TIMESTAMPTZ"
            raise project.error_in(BOOKS_FILE, ("sources", refused.source, "columns"), what, remedy)
        path = project.root / "stack" / "truth" / refused.file
        text = read_text(path, project.shown(path))
        line = text.count("\n", 0, max(text.find(refused.query), 0)) + refused.line
        remedy = "tables are `intents`, the sources of books.yaml and what stands in shared/; the SQL is DuckDB's"
        raise BadFile(what, file=project.shown(path), line=line, remedy=remedy)


def plan_json(made: Plan) -> str:
    """As `plan.json` in the recording."""
    return msgspec.json.format(msgspec.json.encode(as_recorded(made)), indent=1).decode()


def _check_names(plans: Sequence[Plan]) -> None:
    """Recordings are kept by name. Each plan is of a file of its own, even where two are shown alike."""
    files: dict[str, str] = {}
    for made in plans:
        other = files.get(made.name)
        files[made.name] = made.experiment_file
        if other is not None:
            what = f"metadata.name is {made.name!r}, as in {other}"
            raise BadFile(what, file=made.experiment_file, line=None, remedy="give one of them another name")
