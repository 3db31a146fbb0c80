"""What an observer saw is put down at the moment that it was there."""

from __future__ import annotations

import threading
import time

from crashcart.model.recording import ProbeSample
from crashcart.observing import ObserverRunner
from crashcart.ports import Observation

AGO_S = 30.0


class Looks:
    """Sees 3 of 20 each time, half a minute late; counts from one look to the next."""

    def __init__(self) -> None:
        self.at_s: list[float] = []
        self.enough = threading.Event()

    def look(self) -> Observation:
        self.at_s.append(time.monotonic())
        if len(self.at_s) > 2:
            self.enough.set()
        return Observation(there=True, value=0.15, ago_s=AGO_S, part=3, whole=20)

    def close(self) -> None:
        """Nothing is held."""


def test_a_look_is_put_down_when_what_it_tells_of_was_there_with_what_it_counted() -> None:
    samples: list[ProbeSample] = []
    looks, t0 = Looks(), time.monotonic() - 100.0
    runner = ObserverRunner([("f1", looks)], samples.append, t0)
    runner.start()
    assert looks.enough.wait(30.0)
    runner.stop()
    assert [(one.proxy, one.side, one.value, one.part, one.whole) for one in samples] == [
        ("f1", "observed", 0.15, 3, 20)
    ] * len(looks.at_s)
    for one, at_s in zip(samples, looks.at_s, strict=True):
        late_s = one.t - (at_s - t0 - AGO_S)
        assert 0.0 <= round(late_s, 3) <= one.ms / 1000 + 0.001
