"""Validity: whether a run counts at all. A run that does not proves nothing, good or bad, of its objectives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from crashcart.judging.deaths import is_of_shop, part_of, removals, removed_words, was_removed
from crashcart.judging.delivery import LOAD_JOB
from crashcart.judging.evidence import Window
from crashcart.judging.numbers import counted
from crashcart.judging.shared import named
from crashcart.judging.tape import Tape
from crashcart.model.plan import PlannedFault
from crashcart.model.recording import Event
from crashcart.model.slo import Selector
from crashcart.model.verdict import EvidenceResult, ObjectiveResult, Outcome, ValidityCheck

MOVED_S = 1.0
MOVED_SHARE = 0.1
"""A fault that came or went this much, or this share of its time, beside the plan was not the planned one."""
LAST_LOOK_S = 5.0
"""Who watches a fault does so to the end of the run; a look may take some seconds."""
_LAST_LOOKS = """
SELECT proxy, min(last_s) FROM (SELECT proxy, side, max(t) AS last_s FROM recording.evidence GROUP BY proxy, side)
GROUP BY proxy ORDER BY proxy
"""

_ENDINGS = {
    "completed": "something went wrong at its end",
    "gate-closed": "the gate stayed closed, so no fault was injected",
    "guardrail": "a guardrail aborted it",
    "interrupted": "it was interrupted",
    "broken": "it broke down",
}


def completed(tape: Tape) -> ValidityCheck:
    """The run went through its whole timeline and everything was recorded."""
    title = "the run came to its planned end"
    broken_off = any(tape.first(name) for name in ("error", "boot-failed", "guardrail", "interrupted"))
    if tape.ended == "completed" and not broken_off:
        return ValidityCheck("completed", title, True, f"{tape.plan.duration_s:g} s, as planned")
    return ValidityCheck("completed", title, False, _why_ended(tape), _remedy(tape.ended))


def _why_ended(tape: Tape) -> str:
    why = _ENDINGS[tape.ended]
    if tape.ended == "gate-closed":
        return f"{why}: {_at_the_gate(tape)}"
    for name in ("guardrail", "fault-failed", "load-broken", "boot-failed", "error"):
        event = tape.first(name)
        if event is not None:
            said = event.data.get("reason") or event.data.get("error") or event.data.get("traceback") or ""
            lines = str(said).strip().splitlines()
            if lines:
                return f"{why}: {lines[-1] if name == 'error' else lines[0]}"
    gone = [*_gone(tape), *(removed_words(event) for event in removals(tape))]
    return f"{why}: {gone[0]}" if gone else why


def _gone(tape: Tape) -> list[str]:
    """Parts of the harness that died, or did not answer any more."""
    died = [event for event in tape.named("died") if not is_of_shop(event)]
    hung = [f"{event.data.get('part', '?')} did not answer for {_seconds(event)}" for event in tape.named("hung")]
    return [removed_words(event) if was_removed(event) else f"{part_of(event)} died" for event in died] + hung


def _seconds(event: Event) -> str:
    return f"{float(event.data.get('silent_s', 0)):.0f} s"


def _remedy(ended: str) -> str:
    return {
        "gate-closed": "look at the baseline's objectives: the shop was not healthy before anything was broken",
        "guardrail": "look at the timeline around the abort",
        "interrupted": "let it run to its end",
    }.get(ended, "see events.jsonl and the logs")


def gate(tape: Tape, objectives: Sequence[ObjectiveResult], saw: str = "") -> ValidityCheck:
    """The shop was well before it was broken. Judged again here, with everything settled.

    `saw`: what shoppers of the baseline saw whose purchases came to nothing.
    """
    because = f"; {saw}" if saw else ""
    title = "the shop was healthy before anything was broken"
    missed = [one for one in objectives if one.phase == "baseline" and one.outcome is Outcome.FAIL]
    if missed:
        told = "; ".join(f"{one.slo} of {one.cohort}: {one.reason}" for one in missed[:3])
        told = f"the baseline missed its objectives: {told}{because}"
        return ValidityCheck("gate", title, False, told, "mend the baseline first")
    seen = tape.first("gate")
    if seen is None:
        return ValidityCheck("gate", title, False, "no data: the gate was never reached")
    if not seen.data.get("passed"):
        told = f"the gate was closed during the run: {_at_the_gate(tape)}{because}"
        return ValidityCheck("gate", title, False, told, "mend the baseline first")
    told = f"{sum(one.phase == 'baseline' for one in objectives)} objectives of the baseline looked at"
    return ValidityCheck("gate", title, True, told)


def _at_the_gate(tape: Tape) -> str:
    """What the gate saw missed."""
    seen = tape.first("gate")
    rows = [row for row in seen.data.get("results", []) if not row.get("met")] if seen else []
    told = "; ".join(f"{row.get('objective')}: {row.get('reason')}" for row in rows[:3])
    return told or str(seen.data.get("reason", "an objective was missed") if seen else "nobody noted why")


def faults_on_time(tape: Tape, windows: Mapping[str, Window]) -> ValidityCheck:
    """Each fault came and went when it was planned to."""
    title = "faults came and went when planned"
    troubles = list(_moved(tape.plan.faults, windows))
    told = ", ".join(
        f"{fault.id} {_at(windows[fault.id].injected_s)}–{_at(windows[fault.id].undoing_s)} s"
        for fault in tape.plan.faults
    )
    return ValidityCheck("faults-on-time", title, not troubles, "; ".join(troubles) or told)


def _at(t: float | None) -> str:
    return "?" if t is None else f"{t:.1f}"


def _moved(faults: Sequence[PlannedFault], windows: Mapping[str, Window]) -> Iterator[str]:
    for fault in faults:
        window = windows[fault.id]
        for what, planned, real in (
            ("injected", fault.start_s, window.began_s),
            ("undone", fault.end_s, window.undoing_s),
        ):
            if real is None:
                yield f"{fault.title}: never {what}"
            elif abs(real - planned) > max(MOVED_S, MOVED_SHARE * (fault.end_s - fault.start_s)):
                yield f"{fault.title}: {what} at {real:.1f} s, planned for {planned:.1f} s"


def evidence(results: Sequence[EvidenceResult], others: str) -> ValidityCheck:
    """Every fault was measured where it should act, and nowhere else. `others`: what they took of the machine."""
    title = "every fault was seen to act"
    troubles = [f"{one.title}: {one.detail}" for one in results if not one.ok]
    told = "; ".join(f"{one.title}: {one.detail}" for one in results)
    remedy = "a fault that did nothing proves nothing: see the evidence"
    remedy += f". Or {others}, which makes probes late: run it where nothing else runs" if others else ""
    return ValidityCheck("evidence", title, not troubles, "; ".join(troubles) or told, remedy if troubles else "")


def scrapes(tape: Tape, selectors: Sequence[Selector]) -> ValidityCheck:
    """No gap over 3 s in what objectives are judged by. A target that is down on purpose is excused."""
    title = "Prometheus saw what objectives are judged by, without gaps"
    gating = {LOAD_JOB, *_jobs(tape, selectors)}
    judged = [phase for phase in tape.reached if phase.name != "warmup"]
    troubles = [str(event.data.get("error", "?")) for event in tape.named("prometheus-error")][:3]
    beside = 0
    for event in tape.named("scrape-gap"):
        job, from_s, to_s = str(event.data.get("job")), float(event.data["from_s"]), float(event.data["to_s"])
        if not any(from_s < phase.end_s and to_s > phase.start_s for phase in judged) or _excused(
            tape, job, from_s, to_s
        ):
            continue
        if job.partition("/")[0] in gating:
            troubles.append(f"nothing was scraped of {job} from {from_s:.1f} s to {to_s:.1f} s")
        else:
            beside += 1
    told = f"no gap over 3 s of {', '.join(sorted(gating))}" + (f"; {beside} of others" if beside else "")
    return ValidityCheck("scrapes", title, not troubles, "; ".join(troubles) or told)


def _jobs(tape: Tape, selectors: Sequence[Selector]) -> set[str]:
    metrics = sorted({selector.metric for selector in selectors})
    sql = "SELECT DISTINCT json_extract_string(labels, '$.job') FROM recording.series WHERE list_contains(?, metric)"
    return {job for (job,) in tape.rows(sql, [metrics]) if job}


def _excused(tape: Tape, job: str, from_s: float, to_s: float) -> bool:
    for fault in tape.plan.faults:
        if fault.effect.measure != "instance-down":
            continue
        services = {target.split("[")[0] for target in fault.targets}
        last_s = fault.end_s + fault.effect.settle_s + 3.0
        if job.partition("/")[0] in services and fault.start_s - 3.0 <= from_s and to_s <= last_s:
            return True
    return False


def clock(tape: Tape) -> ValidityCheck:
    """The wall clock, which Prometheus stamps samples with, was left alone."""
    steps = tape.named("clock-step")
    told = "; ".join(f"it was set by {float(step.data.get('by_s', 0)):+.2f} s at {step.t:.0f} s" for step in steps)
    return ValidityCheck("clock", "the machine's clock was left alone", not steps, told or "no step was seen")


def harness_parts(tape: Tape) -> ValidityCheck:
    """Nothing of the harness died, and nobody but it had to undo a fault."""
    title = "the harness stayed whole"
    troubles = _gone(tape)
    if tape.first("load-settled") is None and tape.ended == "completed":
        troubles.append("the load did not settle: purchases were still under way when everything was counted")
    others = sorted({record.by for record in tape.faultlog if record.by != "harness" and record.op != "undo-failed"})
    troubles += [f"the {who} had to undo faults" for who in others]
    troubles += [f"a fault could not be done: {event.data.get('error', '?')}" for event in tape.named("fault-failed")]
    return ValidityCheck(
        "harness-parts", title, not troubles, "; ".join(troubles) or "load, proxies, Prometheus, watchdog"
    )


def undone(tape: Tape) -> ValidityCheck:
    """Everything that was broken is known to be mended."""
    left = not_undone(tape)
    title = "what was broken was mended"
    undone = [record for record in tape.faultlog if record.op == "undone"]
    mended = {record.fault for record in undone}
    done = {str(event.data.get("fault", "?")) for event in tape.named("fault-injected")}
    troubles = [
        *left,
        *(f"no data: the fault log does not say that {fault} was undone" for fault in sorted(done - mended)),
    ]
    told = "; ".join(troubles) or counted(len(undone), "step") + " undone"
    return ValidityCheck("undone", title, not troubles, told, "run `crashcart recover`" if left else "")


def not_undone(tape: Tape) -> tuple[str, ...]:
    """Steps of faults that the log announces and does not take back; else what the harness itself could not undo."""
    still: dict[tuple[str, bytes], str] = {}
    for record in tape.faultlog:
        key = (record.fault, msgspec.json.encode(record.step, order="sorted"))
        if record.op == "undone":
            still.pop(key, None)
        else:
            still[key] = f"{record.fault} {record.step.kind} on {record.step.target} is not undone"
    said = [str(step).split("\n")[0] for event in tape.named("not-undone") for step in event.data.get("steps", [])]
    return tuple(still.values()) or tuple(said)


def proxies(tape: Tape) -> ValidityCheck:
    """Toxiproxy was not started again: that cuts every connection of the shop."""
    again = [str(event.data.get("part", "?")) for event in tape.named("restarted")]
    troubles = [f"{part} had to be restarted" for part in again]
    troubles += [f"at {event.t:.0f} s: {event.data.get('error', '?')}" for event in tape.named("proxy-error")][:3]
    told = "; ".join(troubles)
    return ValidityCheck("proxies", "the proxies were never restarted, and answered", not troubles, told or "all along")


def recording(tape: Tape) -> ValidityCheck:
    """Everything that should have been recorded is there and can be read."""
    title = "the recording is whole"
    sampled = any(fault.effect.measure != "counted" for fault in tape.plan.faults)
    needed = [name for name in tape.missing if name != "evidence" or sampled]
    troubles = [f"there is no table of {name}" for name in needed]
    if tape.manifest is None:
        troubles.append("it has no manifest: the run was cut short")
    troubles += [f"{name}.jsonl holds lines that are not what they should be" for name in tape.unreadable]
    troubles += _rows_lost(tape)
    troubles += _cut_short(tape) if tape.ended == "completed" else ()
    told = f"{len(tape.manifest.files)} files, hashes as recorded" if tape.manifest else ""
    return ValidityCheck("recording", title, not troubles, "; ".join(troubles) or told)


def _cut_short(tape: Tape) -> Iterator[str]:
    """What does not go on to the end of a run that did."""
    if tape.first("stopped") is None:
        yield "events.jsonl does not tell of the end: nobody noted that everything was stopped"
    faults = tape.plan.faults
    watched = {name for fault in faults for name in (*fault.watched, fault.id)}
    until_s = tape.plan.duration_s - LAST_LOOK_S
    for name, last_s in tape.rows(_LAST_LOOKS):
        if name in watched and not last_s >= until_s:
            yield f"{name} was looked at until {last_s:.1f} s only, and the run went on to {tape.plan.duration_s:g} s"


def _rows_lost(tape: Tape) -> Iterator[str]:
    """Tables of the books that hold other rows than were read."""
    read = tape.first("books-read")
    rows = read.data.get("rows", {}) if read else {}
    there = {
        name
        for (name,) in tape.rows("SELECT view_name FROM duckdb_views() WHERE schema_name = 'main' AND NOT internal")
    }
    for name in sorted(there & set(rows) & set(tape.plan.truth.sources)):
        found = int(tape.rows(f"SELECT count(*) FROM {named(name)}")[0][0])  # noqa: S608 - a quoted name
        if found != rows[name]:
            yield f"the table {name} of the books holds {found} rows, {rows[name]} were read"
