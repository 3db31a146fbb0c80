"""A stand-in for the harness, to be killed, stopped and asked: `python -m tests.contract.safety.stand_in SETTINGS`.

Says on its output what it has done; on its input `report` asks what it knows, `leave` makes it end the run well,
`forget` makes it leave without having ended anything.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

import msgspec

from crashcart.faults import registry
from crashcart.model.errors import CrashcartError
from crashcart.safety.faultlog import FaultLog
from crashcart.safety.injector import Injector
from crashcart.safety.watchdog import Watchdog
from tests.contract.safety.small_stack import SmallStack, planned

FAULTS = (
    planned("toxiproxy/latency", {"link": "door.shop", "latency": "300ms"}, "f1"),
    planned("toxiproxy/down", {"link": "door.shop[1]"}, "f2"),
    planned("service/kill", {"service": "shop[0]"}, "f3"),
)


class Settings(msgspec.Struct, frozen=True):
    run_id: str
    recording: str
    base: str
    toxiproxy: str
    loop: bool = False
    """Inject and undo for ever, else inject all and wait."""
    expires_in_s: float = 1000.0
    hang_limit_s: float = 1000.0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(settings: Settings) -> None:
    recording = Path(settings.recording)
    watchdog = Watchdog.start(settings.run_id, recording, hang_limit_s=settings.hang_limit_s)
    threading.Thread(target=beat, args=(watchdog,), daemon=True).start()
    say(f"watched by {watchdog.pid}")
    stack = SmallStack(settings.run_id, Path(settings.base), Path(settings.toxiproxy), say)
    watchdog.watch(stack.topology)
    say("ready")
    injector = Injector(FaultLog(recording / "faultlog.jsonl"), stack, registry())
    while settings.loop:
        inject(injector, stack, settings.expires_in_s)
        for fault in FAULTS:
            injector.undo(fault.id)
            say(f"undone {fault.id}")
    inject(injector, stack, settings.expires_in_s)
    say("injected all")
    for line in sys.stdin:
        if line.strip() == "report":
            say(json.dumps({"alive": watchdog.alive(), "trouble": watchdog.trouble()}))
        elif line.strip() == "forget":
            watchdog.release()
            say(json.dumps({"trouble": watchdog.trouble()}))
            return
        else:
            not_undone = injector.undo_all()
            stack.stop()
            watchdog.release()
            say(json.dumps({"not_undone": not_undone}))
            return


def inject(injector: Injector, stack: SmallStack, expires_in_s: float) -> None:
    for fault in FAULTS:
        try:
            injector.inject(fault, stack.topology, time.monotonic() + expires_in_s)
        except CrashcartError as problem:
            say(f"not injected: {problem}")
        say(f"injected {fault.id}")


def beat(watchdog: Watchdog) -> None:
    while True:
        watchdog.beat()
        time.sleep(0.1)


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Settings))
