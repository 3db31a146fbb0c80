"""`report.html`: one page that needs nothing but itself. No script at all, no font, no picture from elsewhere.

Its content policy forbids the browser to load or run anything, so that text from the shop could not, even if an escape
were forgotten somewhere; and none is: templates escape by themselves, drawings by `Markup.format`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from crashcart.model.verdict import FailedOrder, Verdict
from crashcart.reporting import heat, lanes, panels, recorded, recovery, scene, story, view, words
from crashcart.reporting.files import write_text
from crashcart.reporting.objectives import SloGroup, group_objectives
from crashcart.reporting.purchases import by_problem, chosen, slowest
from crashcart.reporting.timeline import read_timeline
from crashcart.reporting.traffic import read_traffic

_TEMPLATES = Path(__file__).parent / "templates"


def write_page(path: Path, recording: Path, verdict: Verdict, orders: Sequence[FailedOrder] = ()) -> Path:
    """Write it whole or not at all. BadFile where the recording has no readable plan."""
    return write_text(path, render_page(recording, verdict, orders))


def render_page(recording: Path, verdict: Verdict, orders: Sequence[FailedOrder] = ()) -> str:
    """The page as text. `orders`: all that failed."""
    plan, events = recorded.read_plan(recording), recorded.read_events(recording)
    manifest = recorded.read_manifest(recording)
    timeline = read_timeline(recording, plan)
    traffic = read_traffic(recording, timeline.cells)
    stage = scene.make_scene(plan, events, verdict, timeline.bins.whole_s, traffic.alerts)
    drawn = [
        *panels.timeline_panels(stage, timeline, plan),
        lanes.cohort_panel(stage, timeline, plan, verdict),
        *heat.heat_panels(stage, traffic, plan),
        lanes.evidence_panel(stage, timeline, plan),
        panels.generator(stage, timeline) if sum(timeline.sessions_scheduled) else None,
    ]
    groups = group_objectives(verdict.objectives)
    problems = by_problem(orders)
    laws, told = story.tell(verdict, plan, recording, problems)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            verdict=verdict,
            plan=plan,
            manifest=manifest,
            timeline=timeline,
            scene=stage,
            panels=[panel for panel in drawn if panel is not None] if any(timeline.offered) else [],
            figures=view.key_figures(verdict),
            phases=[(phase, [group for group in groups if group.phase == phase]) for phase in _in_order(groups)],
            laws=laws,
            evidence=view.evidence(verdict, plan, stage),
            links=view.links_by_phase(verdict),
            link_numbers=heat.numbers(traffic, plan),
            slow=slowest(recording),
            problems=told,
            more_problems=len(problems) - len(told),
            orders=orders,
            listed=chosen(problems),
            followed_up=words.followed_up(verdict.follow_up) if verdict.follow_up else "",
            recovery_steps=recovery.steps(verdict.recovery, stage) if verdict.recovery else (),
            recovery_axis=recovery.axis(verdict.recovery, stage) if verdict.recovery and stage.windows else "",
            command=view.command(plan),
            run_facts=view.how_it_was_run(plan, manifest, verdict),
            happenings=view.happenings(events, stage.across.whole_s),
            outcome_words=panels.OUTCOME_WORDS,
            most_cpu=max(verdict.cost.cpu_ms_per_order_by_process.values(), default=0.0),
        )
    )


def _in_order(groups: Iterable[SloGroup]) -> list[str]:
    return list(dict.fromkeys(group.phase for group in groups))


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(words=words, css=Markup((_TEMPLATES / "report.css").read_text(encoding="utf-8")))  # noqa: S704 - ours
    return environment


def _shown(thing: object) -> object:
    """Whatever a template prints: drawings as they are, text without what a browser would obey."""
    if isinstance(thing, str) and not isinstance(thing, Markup):
        return words.clean(thing, longest=2000).replace(" %", f"{words.NBSP}%")
    return thing
