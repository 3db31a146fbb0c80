"""The files of a recording and the rows in them. JSONL while running, Parquet at the end; both read with DuckDB.

All `*_s` times are seconds from t0 (start of warm-up, by the monotonic clock); negative during boot.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

RECORDING_FORMAT = "crashcart/recording/v1"


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of `events.jsonl`.

    Names and their `data`:
    `boot-started` {}; `ready` {boot_s}; `load-started` {t0_wall, t0_mono, boot_offset_s}; `phase` {phase};
    `gate` {passed, results: [{objective, good, total}]}; `fault-injected` / `fault-undone` {fault, took_s};
    `guardrail` {slo, observed}; `interrupted` {how}; `load-settled` {in_flight};
    `quiesced` / `not-quiesced` {took_s, pending: {query: count}};
    `books-read` {rows: {source: n}, errors: {source: why}};
    `died` {part, last_lines, removed: true where somebody took its container away};
    `restarted` {part}; `clock-step` {by_s}; `scrape-gap` {job, from_s, to_s};
    `prometheus-error` {error}; `cpu` {at: phase boundary, process_cpu_s: {part: s}, busy_s, cores};
    `memory` {private_mib: {part: MiB}};
    `hung` {part, silent_s}; `load-broken` {error}; `load-error` / `proxy-error` {error}: no answer, or a bad one;
    `mark` {text}; `held` {phase, end_s, why};
    `phases` {phases: [{name, start_s, end_s}], faults: [{id, start_s, end_s}]}: what became of the plan's times when a
    held phase was ended; `stopped` {took_s}; `error` {traceback}.

    While t0 is not known, `t` counts from the start of the command; `boot_offset_s` turns that into seconds from t0.
    """

    t: float
    wall: str
    event: str
    data: dict[str, Any] = {}


class ProbeSample(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of `evidence.jsonl`: one probe of one proxy on one side."""

    t: float
    proxy: str
    """`payments[0].psp-a[0]`."""
    side: Literal["through", "beside", "observed"]
    """`observed`: what a fault kind's own observer saw; `proxy` is the fault's id then, and `ok` that it was there."""
    ok: bool
    ms: float
    """Round trip, or time until the failure; at most the probe's time-out (2 s)."""
    error: str = ""
    """What went wrong, or what an observer has to say."""
    bytes: int = 0
    """Of the whole answer, where that was waited for."""
    value: float | None = None
    """What an observer measured."""
    part: int = 0
    whole: int = 0
    """Of so many that an observer counted since its look before, so many showed the effect."""


class SeriesSample(msgspec.Struct, frozen=True):
    """One row of `series.jsonl`/`series.parquet`: one raw scraped sample of a counter (or gauge)."""

    metric: str
    labels: str
    """JSON object with sorted keys, without `__name__`."""
    t: float
    value: float


class LoadCount(msgspec.Struct, frozen=True):
    """One line of `load-counters.jsonl`: a counter of the load as it stood when everything had settled."""

    metric: str
    labels: dict[str, str]
    """Without `job` and `instance`, which Prometheus adds."""
    value: int


class FileEntry(msgspec.Struct, frozen=True):
    """A file of the recording in the manifest."""

    path: str
    bytes: int
    sha256: str
    rows: int | None = None


class Machine(msgspec.Struct, frozen=True):
    """Where it was run; no host name, no user name."""

    cores: int
    memory_mib: int
    kernel: str
    python: str
    tools: dict[str, str]


class Manifest(msgspec.Struct, frozen=True):
    """`manifest.json`, written last; a recording without it is incomplete."""

    format: str
    run_id: str
    experiment: str
    started_wall: str
    finished_wall: str
    ended: Literal["completed", "gate-closed", "guardrail", "interrupted", "broken"]
    crashcart_version: str
    commit: str
    machine: Machine
    files: tuple[FileEntry, ...]


FILES = {
    "plan": "plan.json",
    "events": "events.jsonl",
    "faultlog": "faultlog.jsonl",
    "intents": "intents.parquet",
    "pace": "pace.parquet",
    "load-counters": "load-counters.jsonl",
    "series": "series.parquet",
    "evidence": "evidence.parquet",
    "truth": "truth",
    "verdict": "verdict.json",
    "manifest": "manifest.json",
}
"""What stands where below `runs/<experiment>/<UTC time>/`."""

INTENT_COLUMNS = {
    "id": "VARCHAR",
    "session": "BIGINT",
    "phase": "VARCHAR",
    "planned_s": "DOUBLE",
    "cohorts": "VARCHAR",
    "outcome": "VARCHAR",
    "intended_s": "DOUBLE",
    "sent_s": "DOUBLE",
    "done_s": "DOUBLE",
    "latency_ms": "DOUBLE",
    "attempts": "BIGINT",
    "status": "BIGINT",
    "problem": "VARCHAR",
    "reference": "VARCHAR",
    "order_id": "VARCHAR",
    "safe_to_retry": "BOOLEAN",
    "total_cents": "BIGINT",
    "network": "VARCHAR",
    "lines": "VARCHAR",
    "saw": "VARCHAR",
    "double_click": "VARCHAR",
}
"""`intents.parquet`: one row an intent, the last word of `intents.jsonl` on each; never ended = outcome `unknown`
when it was sent and `blocked` when it was not. `cohorts` and `lines` are JSON. `saw`: what the shopper saw of the
request that failed, in a line for people. `double_click`: what a second click with the same key was told, beside the
first: same, different, contradicted (one was accepted, the other refused for good), one-answer or no-answer. Both are
null in recordings of before there were these."""
