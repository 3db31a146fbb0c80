"""What to do about a run that does not count: one sentence for each check, where the check itself knows none better."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from crashcart.model.verdict import ValidityCheck

_AGAIN = "run it again"
_REMEDIES = {
    "completed": "see events.jsonl and the logs, then run it again",
    "gate": "mend the baseline first: run the experiment's baseline alone, without faults, until it passes",
    "faults-on-time": "see faultlog.jsonl for what held the fault up; run it on a quieter machine",
    "evidence": "a fault that did nothing proves nothing: see the evidence",
    "undone": "run `crashcart recover`",
    "harness-parts": "see the log of the part that is named, below logs/, then run it again",
    "proxies": "see logs/toxiproxy.log, then run it again",
    "load-delivered": "use a machine with more cores free, or a lower load.peak_per_s",
    "lateness": "the machine was too busy: run it alone, or with a lower load.peak_per_s",
    "machine": "run it where nothing else runs, or with a lower load.peak_per_s",
    "load-unbroken": "see logs/load.log: mend the load, then run it again",
    "shoppers-drawn": "see logs/load.log: mend the load or what loadtests/load.yaml declares, then run it again",
    "shoppers-counted": "see logs/prometheus.log and logs/load.log, then run it again",
    "all-scraped": "see logs/prometheus.log and logs/load.log, then run it again",
    "counters-whole": "see logs/load.log for a load that was started again, then run it again",
    "scrapes": "see logs/prometheus.log; if the machine was too busy, run it alone or with a lower load.peak_per_s",
    "clock": "see to it that nothing sets the machine's clock while a run is on, then run it again",
    "shop-parts": "find out who did it (`docker events --since` tells when), then run it again",
    "recording": "make sure that the disk below runs/ has room and can be written, then run it again",
}


def with_remedies(checks: Iterable[ValidityCheck]) -> tuple[ValidityCheck, ...]:
    """The same; each that failed says what to do, and no other."""
    return tuple(
        msgspec.structs.replace(check, remedy="" if check.ok else check.remedy or _REMEDIES.get(check.name, _AGAIN))
        for check in checks
    )
