"""Recordings and their differences in the terminal. What the shop wrote is shown, never read as markup."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from crashcart.reporting import words
from crashcart.shelf.differences import HOW_SHARES, HOW_SINGLE, WAYS, Change, Way
from crashcart.shelf.kept import Kept
from crashcart.shelf.nights import EntryDiff, SuiteDiff, worst_way
from crashcart.shelf.pairs import RunDiff, Side
from crashcart.shelf.pruning import PrunePlan, began_at
from crashcart.shelf.settings import Setting
from crashcart.shelf.suite import Suite
from crashcart.shelf.telling import STYLES, ending, plain_table

MOST_SETTINGS = 12
MOST_CHANGES = 40
NARROW = 110
_WAY_STYLES: dict[Way, str] = {"new failure": "bold red", "worse": "red", "better": "green", "moved": ""}


def render_kept(kept: Sequence[Kept], console: Console) -> None:
    """One line a recording; on a narrow terminal without what the id tells as well."""
    columns = ["id", "experiment", "when (UTC)", "verdict", "commit", "took", "size"]
    if console.width < NARROW:
        columns = [name for name in columns if name not in ("when (UTC)", "commit")]
    table = plain_table(*columns, right=(len(columns) - 2, len(columns) - 1))
    for column in table.columns:
        column.no_wrap = True
    for one in kept:
        cells = {
            "id": Text(words.clean(one.run_id)),
            "experiment": Text(words.clean(one.experiment)),
            "when (UTC)": Text(moment_of(one)),
            "verdict": _state(one),
            "commit": Text(words.clean(one.commit) or words.NONE),
            "took": Text(words.seconds(one.took_s)),
            "size": Text(size(one.bytes)),
        }
        table.add_row(*(cells[name] for name in columns))
    console.print(table)
    for one in kept:
        if one.note:
            console.print(Text(f"{words.clean(one.run_id)}: {words.clean(one.note)}", style="dim"), soft_wrap=True)


def render_suites(suites: Sequence[tuple[Path, Suite | None]], console: Console) -> None:
    """One line a suite."""
    table = plain_table("id", "chosen by", "came to", "commit", "took", right=(4,))
    for path, suite in suites:
        if suite is None:
            table.add_row(Text(words.clean(path.name)), Text("unreadable", style="yellow"))
            continue
        cells = (words.clean(suite.chosen_by), ending(suite), suite.commit or words.NONE, words.seconds(suite.took_s))
        table.add_row(Text(words.clean(path.name)), *(Text(cell) for cell in cells))
    console.print(table)


def render_run_diff(diff: RunDiff, console: Console) -> None:
    """What was different, then what came of it, new failures first."""
    _sides(diff.before, diff.after, console)
    if not diff.same_experiment:
        text = "These are different experiments: what has the same name is compared all the same."
        console.print(Text(text, style="yellow"), soft_wrap=True)
    _settings(diff.settings, console)
    console.print()
    if diff.changes:
        console.print(_changes(diff.changes))
    else:
        console.print(Text("Nothing changed beyond noise."))
    console.print()
    compared = words.plural(diff.objectives_compared, "objective")
    console.print(Text(f"{compared} compared. {HOW_SHARES}; {HOW_SINGLE}.", style="dim"), soft_wrap=True)


def render_suite_diff(diff: SuiteDiff, console: Console) -> None:
    """One block for each experiment in which something changed; the others in one line."""
    for name, suite in (("before", diff.before), ("after", diff.after)):
        overrides = "".join(f" --set {override}" for override in suite.overrides)
        which = f"{suite.suite_id}  {suite.commit or 'no commit'}  {words.clean(suite.chosen_by + overrides)}"
        console.print(Text(f"{name:<7} {which}: {ending(suite)}"), soft_wrap=True)
    console.print()
    changed = [entry for entry in diff.entries if entry.changes or entry.note or entry.before != entry.after]
    for entry in changed:
        _entry(entry, console)
    same = [entry.experiment for entry in diff.entries if entry not in changed]
    if same:
        console.print(Text(f"as before: {', '.join(same)}"), soft_wrap=True)
    for title, entries in (("new", diff.new), ("no longer there", diff.missing)):
        for one in entries:
            console.print(Text(f"{title}: {one.experiment}, {one.course}"), soft_wrap=True)
    console.print(Text(summary_line(diff), style="bold"), soft_wrap=True)


def summary_line(diff: SuiteDiff) -> str:
    """`2 new failures, 1 worse, 13 as before`, by experiment."""
    counts = {way: sum(worst_way(entry) == way for entry in diff.entries) for way in WAYS}
    told = [words.plural(n, way) if way == "new failure" else f"{n} {way}" for way, n in counts.items() if n]
    same = sum(worst_way(entry) is None for entry in diff.entries)
    return ", ".join([*told, *([f"{same} as before"] if same else [])]) or "no experiment is in both"


def render_prune(plan: PrunePlan, console: Console) -> None:
    """What goes, and what stays although it would go by the rule."""
    table = plain_table("goes", "size", right=(1,))
    for one in plan.going:
        table.add_row(Text(f"{one.path.parent.name}/{one.path.name}"), size(one.bytes))
    if plan.going:
        console.print(table)
    for left in plan.staying:
        console.print(Text(f"stays: {left.path.parent.name}/{left.path.name}: {left.why}"), soft_wrap=True)


def size(number: int) -> str:
    """1234567 → `1.2 MB`."""
    for unit, least in (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)):
        if number >= least:
            return f"{number / least:.1f}{words.NBSP}{unit}"
    return f"{number}{words.NBSP}B"


def moment_of(one: Kept) -> str:
    """When it began: as it was recorded, else as its id says."""
    if one.started_wall:
        return words.moment(one.started_wall).removesuffix(" UTC")
    began = began_at(one.run_id)
    return f"{began:%Y-%m-%d %H:%M}" if began else words.NONE


def _state(one: Kept) -> Text:
    if one.outcome is not None and one.state == "judged":
        said = one.outcome.value if one.ended == "completed" else f"{one.outcome.value} ({one.ended})"
        return Text(said, style=STYLES[one.outcome])
    known = f", {one.outcome.value}" if one.outcome is not None else ""
    return Text(f"{one.state}{known}", style="yellow")


def _sides(before: Side, after: Side, console: Console) -> None:
    for name, side in (("before", before), ("after", after)):
        text = Text(f"{name:<7} {words.clean(side.experiment)} {side.run_id}  ")
        text.append(side.outcome.value.upper(), style=STYLES[side.outcome])
        text.append(f"  {words.clean(words.headline(side.headline, side.outcome))}")
        console.print(text, soft_wrap=True)


def _settings(settings: Sequence[Setting], console: Console) -> None:
    if not settings:
        console.print(Text("The same plan, commit and machine.", style="dim"))
        return
    console.print(Text("not the same in both", style="bold"))
    table = plain_table("", "before", "after")
    for one in settings[:MOST_SETTINGS]:
        cells = (one.name, one.before, one.after)
        table.add_row(*(Text(words.clean(cell, longest=80)) for cell in cells))
    if len(settings) > MOST_SETTINGS:
        table.add_row(Text(f"and {len(settings) - MOST_SETTINGS} more", style="dim"))
    console.print(Padding(table, (0, 0, 0, 2)))


def _changes(changes: Sequence[Change]) -> Table:
    table = plain_table("", "what", "before", "after", "")
    for one in changes[:MOST_CHANGES]:
        cells = (f"{one.group}: {one.name}", one.before, one.after, one.why)
        table.add_row(Text(one.way, style=_WAY_STYLES[one.way]), *(Text(words.clean(cell)) for cell in cells))
    if len(changes) > MOST_CHANGES:
        table.add_row("", Text(f"and {len(changes) - MOST_CHANGES} more: crashcart runs diff", style="dim"))
    return table


def _entry(entry: EntryDiff, console: Console) -> None:
    text = Text(words.clean(entry.experiment), style="bold")
    text.append(
        f"  {entry.before} → {entry.after}" if entry.before != entry.after else f"  {entry.after}", style="not bold"
    )
    console.print(text, soft_wrap=True)
    if entry.note:
        console.print(Text(f"  {words.clean(entry.note)}", style="yellow"), soft_wrap=True)
    plan = [one for one in entry.settings if one.name not in ("commit", "overrides")]
    if plan:
        names = ", ".join(one.name for one in plan[:4]) + (f" and {len(plan) - 4} more" if len(plan) > 4 else "")
        console.print(Text(f"  not the same in both: {words.clean(names)}", style="dim"), soft_wrap=True)
    if entry.changes:
        console.print(Padding(_changes(entry.changes), (0, 0, 0, 2)))
    console.print()
