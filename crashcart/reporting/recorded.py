"""What a recording says of itself: plan, manifest and events."""

from __future__ import annotations

from pathlib import Path

import msgspec

from crashcart.model.errors import BadFile
from crashcart.model.plan import Plan
from crashcart.model.recording import FILES, Event, Manifest


def read_plan(recording: Path) -> Plan:
    """`plan.json`; BadFile where it is missing or not one."""
    path = recording / FILES["plan"]
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except OSError as error:
        raise BadFile(f"cannot be read: {error.strerror}", file=path, line=None, remedy="name a recording") from error
    except msgspec.MsgspecError as error:
        raise BadFile(f"is not a plan: {error}", file=path, line=None, remedy="name a recording of a run") from error


def read_manifest(recording: Path) -> Manifest | None:
    """`manifest.json`; None where the run was broken off before it was written."""
    path = recording / FILES["manifest"]
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except msgspec.MsgspecError as error:
        raise BadFile(
            f"is not a manifest: {error}", file=path, line=None, remedy="name a complete recording"
        ) from error


def read_events(recording: Path) -> tuple[Event, ...]:
    """`events.jsonl`, in the order of writing, all in seconds from t0.

    A last line that was cut short is left out, as in any killed run.
    """
    path = recording / FILES["events"]
    events = []
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            events.append(msgspec.json.decode(line, type=Event))
        except msgspec.MsgspecError:
            break
    started = next((at for at, event in enumerate(events) if event.event == "load-started"), 0)
    offset_s = float(events[started].data.get("boot_offset_s", 0.0)) if events else 0.0
    boot = [msgspec.structs.replace(event, t=round(event.t + offset_s, 4)) for event in events[:started]]
    return (*boot, *events[started:])
