"""What the status page says, from how real calls have gone in the last seconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from html import escape
from time import monotonic
from types import MappingProxyType
from typing import Any

from prometheus_client import Gauge

from stack.kit.metrics import REGISTRY

WINDOW_S = 5.0
REMEMBERED_S = 60.0
"""With no call at all, a component keeps its last state this long."""
DOWN_SHARE = 0.5
DEGRADED_SHARE = 0.05

UP, DEGRADED, DOWN = "up", "degraded", "down"
COMPONENTS = ("browse", "cart", "checkout", "payments")
_WORTH = {UP: 1.0, DEGRADED: 0.5, DOWN: 0.0}
_SAYS = {
    "browse": "stock levels may be out of date",
    "cart": "carts can not always be changed",
    "checkout": "orders can not always be placed",
    "payments": "card payments do not always go through",
}

_state = Gauge("shop_component_state", "As /status says: 1 up, 0.5 degraded, 0 down", ["component"], registry=REGISTRY)


class Pulse:
    """How the calls of one component went: a state from the last five seconds, or else from the last that was known."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._calls: deque[tuple[float, bool]] = deque(maxlen=5_000)
        self._failures = 0
        self._last = UP
        self._known_at = clock()

    def record(self, ok: bool) -> None:
        """A call went well, or not."""
        self._trim()
        if len(self._calls) == self._calls.maxlen and not self._calls[0][1]:
            self._failures -= 1
        self._calls.append((self._clock(), ok))
        self._failures += not ok

    def silent_s(self) -> float:
        """Seconds since the last call."""
        return self._clock() - (self._calls[-1][0] if self._calls else self._known_at)

    def state(self) -> str:
        """up, degraded or down."""
        self._trim()
        now = self._clock()
        if self._calls:
            share = self._failures / len(self._calls)
            self._last = DOWN if share >= DOWN_SHARE else DEGRADED if share >= DEGRADED_SHARE else UP
            self._known_at = now
        elif now - self._known_at > REMEMBERED_S:
            self._last = UP
        return self._last

    def _trim(self) -> None:
        oldest = self._clock() - WINDOW_S
        while self._calls and self._calls[0][0] < oldest:
            self._failures -= not self._calls.popleft()[1]


class Said:
    """What somebody says of themselves: it counts for some seconds."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._state = UP
        self._at = clock()

    def hear(self, state: str | None) -> None:
        """They say so; None: they could not be asked."""
        if state in _WORTH:
            self._state, self._at = state, self._clock()

    def state(self) -> str:
        """What they said lately, else `up`: no word of theirs is no bad word."""
        return self._state if self._clock() - self._at <= WINDOW_S else UP


class Truth:
    """The states of all components, since when they are so, and what to tell shoppers."""

    def __init__(self, browse_is_stale: Callable[[], bool]) -> None:
        self.cart = Pulse()
        self.checkout = Pulse()
        self.payments = Pulse()
        self.lines: dict[str, Pulse] = {}
        """Orders of each business line."""
        self._lines_bad: dict[str, list[int]] = {}
        self._payments_say = Said()
        self._browse_is_stale = browse_is_stale
        self._shown: Mapping[str, Any] = {}
        self._since = _now()
        for component in COMPONENTS:
            _state.labels(component).set(_WORTH[UP])

    def ordered(self, line: str | None, ok: bool) -> None:
        """An order, of which business line where that is known, was answered as it should be, or not."""
        if line is None:
            return
        if line not in self.lines:
            self.lines[line] = Pulse()
            self._lines_bad[line] = [0, 0]
        self.lines[line].record(ok)
        counts = self._lines_bad[line]
        counts[0] += 1
        counts[1] += not ok

    def line_counts(self, line: str) -> tuple[int, int]:
        """Orders of a line since the start: (all, bad)."""
        counts = self._lines_bad.get(line, [0, 0])
        return counts[0], counts[1]

    def payments_say(self, state: str | None) -> None:
        """What payments says of itself; None where it could not be asked."""
        self._payments_say.hear(state)

    def components(self) -> dict[str, str]:
        """The state of each."""
        return {
            "browse": DEGRADED if self._browse_is_stale() else UP,
            "cart": self.cart.state(),
            "checkout": self.checkout.state(),
            "payments": min(self.payments.state(), self._payments_say.state(), key=_WORTH.__getitem__),
        }

    def document(self, *, ordering_open: bool, banner: str | None) -> dict[str, Any]:
        """What /status answers; `since` is when any of it last changed."""
        components = self.components()
        lines = {line: pulse.state() for line, pulse in sorted(self.lines.items())}
        shown = {
            "ordering": "open" if ordering_open else "closed",
            "banner": banner or notice(components, lines),
            "components": components,
            "business_lines": lines,
        }
        if shown != self._shown:
            self._shown = shown
            self._since = _now()
            for component, state in components.items():
                _state.labels(component).set(_WORTH[state])
        return {**shown, "since": self._since}


def notice(components: Mapping[str, str], lines: Mapping[str, str] = MappingProxyType({})) -> str | None:
    """A sentence for shoppers about what does not work; None when all does.

    A business line is named where it is worse off than orders as a whole are said to be.
    """
    troubles = [_SAYS[component] for component, state in components.items() if state != UP]
    whole = min((_WORTH[components[name]] for name in ("checkout", "payments") if name in components), default=1.0)
    troubles += [f"orders of {line} can not always be placed" for line, state in lines.items() if _WORTH[state] < whole]
    if not troubles:
        return None
    return f"We have trouble just now: {', '.join(troubles)}. Trying again is safe."


def home_page(document: Mapping[str, Any], products: int) -> bytes:
    """The front page."""
    banner = f'<p role="alert">{escape(document["banner"])}</p>' if document["banner"] else ""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>The shop</title>'
        f"<h1>The shop</h1>{banner}<p>{products} products. Ordering is {document['ordering']}.</p>"
        '<form action="/search"><input name="q" aria-label="Search"><button>Search</button></form>'
        '<p><a href="/status">Status</a></p></html>'
    ).encode()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
