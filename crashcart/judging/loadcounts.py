"""What the load counted at its end against what Prometheus has of it, series by series: stale data look like good data.

Cohorts that add up, and counters that end together, tell of a series that is missing here and there. One that is
missing everywhere (every failure, say) leaves nothing to contradict: only who counted can tell.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from crashcart.judging.counters import Counters
from crashcart.judging.delivery import LOAD_JOB
from crashcart.judging.tape import Tape
from crashcart.model.errors import BadFile
from crashcart.model.recording import FILES, LoadCount
from crashcart.model.verdict import ValidityCheck

_SAID_BY_PROMETHEUS = ("job", "instance")
_Child = tuple[str, frozenset[tuple[str, str]]]


def all_scraped(tape: Tape, counters: Counters, metrics: Sequence[str]) -> ValidityCheck:
    """Every series of the load's that is judged by was scraped, and its last sample is what the load counted.

    What the load exposes and does not write down (a gauge, a sum, a metric of the project's own) is not held against
    anything.
    """
    name, title = "all-scraped", "everything that the load counted was scraped"
    wanted = tape.summary.counted if tape.summary is not None else 0
    if wanted is None:
        return ValidityCheck(
            name, title, True, "not known: the load is of a crashcart that did not tell what it counted"
        )
    told = read_counts(tape.directory / FILES["load-counters"])
    if len(told) < wanted or not told:
        what = f"no data: the load wrote down {len(told)} of {wanted} counters at its end"
        return ValidityCheck(name, title, False, what)
    compared = set(metrics) & {one.metric for one in told}
    here = {(one.metric, _alike(one.labels)): one.value for one in told if one.metric in compared}
    if not here:
        return ValidityCheck(name, title, False, "no data: the load wrote down no counter that is judged by")
    wrong = list(_differences(here, _scraped(counters, compared)))
    more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
    return ValidityCheck(
        name, title, not wrong, "; ".join(wrong[:3]) + more or f"{len(here)} series, to the last event"
    )


def read_counts(path: Path) -> tuple[LoadCount, ...]:
    """What the load wrote; nothing where it wrote nothing, and not the last line where a kill cut it short.

    BadFile where a line is none.
    """
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return ()
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(msgspec.json.decode(line, type=LoadCount))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if not line.endswith(b"\n"):
                break
            raise BadFile(f"not a counter of the load: {error}", file=path, line=number) from error
    return tuple(found)


def _scraped(counters: Counters, metrics: Collection[str]) -> dict[_Child, float]:
    """Of all that called itself the load, added up: one that was started again is found out elsewhere."""
    found: dict[_Child, float] = {}
    for metric in sorted(metrics):
        for one in counters.metric(metric):
            if one.labels.get("job") == LOAD_JOB:
                labels = _alike(one.labels)
                found[metric, labels] = found.get((metric, labels), 0.0) + one.values[-1]
    return found


def _alike(labels: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """As they compare: Prometheus adds whose they are, and from 3.0 on calls the edge `1` of a bucket `1.0`."""
    own = {name: value for name, value in labels.items() if name not in _SAID_BY_PROMETHEUS}
    with suppress(KeyError, ValueError):
        own["le"] = f"{float(own['le']):g}"
    return frozenset(own.items())


def _differences(here: Mapping[_Child, int], there: Mapping[_Child, float]) -> Iterator[str]:
    for child in sorted(here.keys() | there.keys(), key=_told):
        counted, scraped = here.get(child), there.get(child)
        if scraped is None:
            yield f"{_told(child)} was not scraped, and stands at {counted}"
        elif counted is None:
            yield f"{_told(child)} was scraped, and the load has no such counter"
        elif scraped != counted:
            yield f"{_told(child)}: {scraped:g} scraped, {counted} counted"


def _told(child: _Child) -> str:
    metric, labels = child
    inner = ",".join(f'{name}="{value}"' for name, value in sorted(labels))
    return f"{metric}{{{inner}}}" if inner else metric
