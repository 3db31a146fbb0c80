"""A recording whose every text is hostile: what a shop, an experiment's author or whoever packed it can put there."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from crashcart.model.plan import Plan
from crashcart.model.recording import Event, Manifest
from crashcart.model.verdict import Verdict
from tests.unit.reporting.recordings import make_recording, seal, write_table
from tests.unit.reporting.stories import FAIL

CANARY = "owned"
"""A variable of the page that any script among the payloads would set."""
_RUN = f"window.{CANARY}=1"
PAYLOADS = (
    f'"><script>{_RUN}</script>',
    f"'><img src=x onerror={_RUN}>",
    f"</style></title><script>{_RUN}</script>",
    f"<svg onload={_RUN}>",
    f"--></svg><svg/onload={_RUN}>",
    f"<details open ontoggle={_RUN}>",
    f'" autofocus tabindex=0 onfocus={_RUN} x="',
    f"[me](javascript:{_RUN})",
    f"<iframe srcdoc='<script>top.{CANARY}=1</script>'>",
    f"<a href=javascript:{_RUN}>me</a>",
    f"]]><script xmlns='http://www.w3.org/1999/xhtml'>{_RUN}</script>",
    f"\x1b]0;{CANARY}\x07\x1b[2K\x1b[1A\u202e\x9b\x00",
    "{{ cycler.__init__.__globals__ }}{% raw %}",
    "<link rel=stylesheet href=//evil.example/x.css><base href=//evil.example/>",
    "` | $(touch owned); `touch owned`",
)
# fmt: off
_MEANT = frozenset((
    "warmup", "baseline", "fault", "recovery", "all", "pass", "fail", "inconclusive", "ok", "declined", "sold_out",
    "failed", "blocked", "gave_up", "unknown", "through", "beside", "error", "timeout", "refused",
    "short_circuited", "saturated", "unreachable", "added-latency", "completed", "process", "Design", "steady",
    "crashcart/v1", "link", "outcome", "le", "alert", "instance", "sli", "<=", "=", "!=", "=~", "!~", ">=", "<",
    ">", "ratio", "within",
))
# fmt: on
"""Words by which the harness itself tells things apart; the rest is somebody's text."""
_KEPT_STARTS = ("crashcart/", "link_", "shopper_", "alert_")


def spoilt(text: str) -> str:
    """The text with a payload behind it, the same one for the same text: what belongs together still does."""
    if not text or text in _MEANT or text.startswith(_KEPT_STARTS) or text.replace(".", "").isdigit() or text == "+Inf":
        return text
    return text + PAYLOADS[zlib.crc32(text.encode()) % len(PAYLOADS)]


def make_hostile(folder: Path) -> Verdict:
    """Write it whole; answers the verdict on it, which is as hostile."""
    verdict = make_recording(folder, replace(FAIL, name="shop"))
    _rewrite(folder / "plan.json", partial(_spoil_document, Plan))
    _rewrite(folder / "manifest.json", partial(_spoil_document, Manifest))
    _rewrite(folder / "events.jsonl", _spoil_events)
    for log in (folder / "logs").iterdir():
        _rewrite(log, _spoil_log)
    for table in ("intents", "pace", "evidence", "series"):
        _spoil_table(folder, table)
    seal(folder)
    bad: Verdict = _spoil(verdict)
    return msgspec.structs.replace(bad, saw=PAYLOADS, reasons=(*bad.reasons, *PAYLOADS), look_at=PAYLOADS)


def _spoil(thing: Any) -> Any:
    """Every text in it, at whatever depth; fields of structs keep their names, keys of mappings don't."""
    if isinstance(thing, msgspec.Struct):
        changed = {name: _spoil(getattr(thing, name)) for name in thing.__struct_fields__}
        return msgspec.structs.replace(thing, **changed)
    if isinstance(thing, dict):
        return {_spoil(key): _spoil(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return type(thing)(_spoil(item) for item in thing)
    return spoilt(thing) if type(thing) is str else thing


def _spoil_document(kind: type[msgspec.Struct], data: bytes) -> bytes:
    """With the end of a line where there was one."""
    return msgspec.json.encode(_spoil(msgspec.json.decode(data, type=kind))) + data[len(data.rstrip(b"\n")) :]


def _spoil_events(data: bytes) -> bytes:
    """Their names and keys are the harness's own; at the end one of a kind that nobody knows."""
    events = [msgspec.json.decode(line, type=Event) for line in data.splitlines()]
    bad = [
        msgspec.structs.replace(event, data={key: _spoil(value) for key, value in event.data.items()})
        for event in events
    ]
    bad += [Event(30.0, PAYLOADS[0], payload, {payload: {payload: payload}, "text": payload}) for payload in PAYLOADS]
    bad += [Event(31.0, "", "mark", {"text": payload}) for payload in PAYLOADS]
    return b"".join(msgspec.json.encode(event) + b"\n" for event in bad)


def _spoil_log(data: bytes) -> bytes:
    lines = []
    for line in data.splitlines():
        record = json.loads(line)
        reference = record["reference"]
        lines += [json.dumps({**_spoil(record), "reference": reference, payload: payload}) for payload in PAYLOADS]
        lines += [f"{reference} {payload}" for payload in PAYLOADS]
    return "".join(f"{line}\n" for line in lines).encode()


def _spoil_table(folder: Path, name: str) -> None:
    path = folder / f"{name}.parquet"
    with duckdb.connect() as connection:
        found = connection.read_parquet(str(path))
        columns = dict(zip(found.columns, map(str, found.types), strict=True))
        rows = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
    path.unlink()
    write_table(folder, name, ({key: _cell(key, value) for key, value in row.items()} for row in rows), columns)


def _cell(column: str, value: Any) -> Any:
    if column in ("cohorts", "labels") and isinstance(value, str):
        return json.dumps(_spoil(json.loads(value)), sort_keys=True)
    return spoilt(value) if isinstance(value, str) and column not in ("lines", "ops") else value


def _rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))
