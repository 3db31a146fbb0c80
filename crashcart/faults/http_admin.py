"""One call to a service's own admin API, and another that takes it back: what only the service itself can do wrong.

The call goes straight to each instance, beside its proxies, with the run's admin token. The token is read from the
instance's private spec file when it is needed: it is in no log, plan or recording. That a service says it misbehaves
is no evidence: what its clients counted is.
"""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec

from crashcart.faults.services import ServiceFault, ServiceSettings
from crashcart.model.design import Design
from crashcart.model.errors import CrashcartError, UsageError
from crashcart.model.fault import Step
from crashcart.model.plan import Counted, Effect, PlannedFault
from crashcart.model.secrets import HIDDEN
from crashcart.model.slo import Selector, parse_selector
from crashcart.model.topology import Topology
from crashcart.ports import FaultKind, World
from crashcart.runtimes.readiness import split
from crashcart.runtimes.spec import read_spec

TOKEN_VARIABLE = "ADMIN_TOKEN"
"""Every service of a run gets the same one in its environment."""
ANSWER_WITHIN_S = 2.0
SETTLE_S = 3.0
"""What was under way when the fault was undone is still answered as the fault wants it."""
_MOST_BYTES = 65_536

Method = Literal["POST", "PUT", "PATCH", "DELETE"]


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One request; a body is sent as JSON. Any status of 200 to 299 means that it is done."""

    method: Method
    path: str
    body: Any = None


class CountedSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A share of what the clients counted: plain counter selectors, as in `stack/slos/`."""

    part: str
    of: str
    share: float
    """Of `of`, so much is `part` while the fault is there."""
    give_or_take: float = 0.5
    """The share seen may differ by so much of the declared one: 0.2 ± 0.5 is 10 % to 30 %."""


class Settings(ServiceSettings, frozen=True, forbid_unknown_fields=True):
    """`{service, method, path, body, undo: {method, path, body}, counted: {part, of, share}}`."""

    method: Method
    path: str
    undo: Call
    counted: CountedSettings
    body: Any = None


class Admin(ServiceFault):
    """`http/admin: {service: psp-a, method: POST, path: /admin/behaviour, …}`."""

    kind: ClassVar[str] = "http/admin"
    summary: ClassVar[str] = "A service is told to misbehave by its own admin API; its clients' counters must show it."
    settings_type: ClassVar[type[msgspec.Struct]] = Settings

    def targets(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """Its instances. UsageError for a service that speaks no HTTP, a path or share that can't be."""
        assert isinstance(settings, Settings)
        found = super().targets(settings, design)
        kind = design.services[found[0].partition("[")[0]].kind
        if kind != "process":
            raise UsageError(f"{settings.service} is a {kind} server and has no admin API", remedy="name a service")
        for path in (settings.path, settings.undo.path):
            if not path.startswith("/") or not path.isprintable() or " " in path:
                raise UsageError(f"{path!r} is not a path", remedy="write a path such as /admin/behaviour")
        self.effect(settings)
        return found

    def title(self, settings: msgspec.Struct) -> str:
        """`psp-a is told: POST /admin/behaviour`."""
        assert isinstance(settings, Settings)
        return f"{settings.service} is told: {settings.method} {settings.path}"

    def effect(self, settings: msgspec.Struct) -> Effect:
        """The declared share of what its clients count. UsageError where there can be none."""
        assert isinstance(settings, Settings)
        counted = settings.counted
        if not (0 < counted.share <= 1 and 0 <= counted.give_or_take < 1):
            what = f"a share of {counted.share:g}, give or take {counted.give_or_take:g} of it, can't be shown"
            raise UsageError(what, remedy="share: over 0, at most 1; give_or_take: from 0, under 1")
        share_from = counted.share * (1 - counted.give_or_take)
        share_to = min(1.0, counted.share * (1 + counted.give_or_take))
        part, whole = _selector(counted.part), _selector(counted.of)
        return Effect(
            "counted",
            settle_s=SETTLE_S,
            counted=Counted(part, whole, round(share_from, 6), round(share_to, 6), counted.share),
        )

    def steps(self, settings: msgspec.Struct, planned: PlannedFault, topology: Topology) -> tuple[Step, ...]:
        """Both calls, and where the instance listens; not the token."""
        assert isinstance(settings, Settings)
        calls = {
            "do": msgspec.to_builtins(Call(settings.method, settings.path, settings.body)),
            "undo": msgspec.to_builtins(settings.undo),
        }
        plain = super().steps(settings, planned, topology)
        return tuple(Step(step.kind, step.target, {**step.data, **calls}) for step in plain)

    def apply(self, step: Step, world: World) -> None:
        """Call it."""
        _call(step, "do")

    def undo(self, step: Step, world: World) -> None:
        """Call the other one; where nothing was done, it is to do nothing."""
        _call(step, "undo")


def _selector(text: str) -> Selector:
    try:
        return parse_selector(text)
    except ValueError as error:
        raise UsageError(f"counted: {error}", remedy='a selector such as payments_total{outcome="declined"}') from error


def _call(step: Step, which: str) -> None:
    """CrashcartError where it was not answered with 200 to 299; it names the call and never the token."""
    call = msgspec.convert(step.data[which], Call)
    token = read_spec(Path(step.data["spec_file"])).env.get(TOKEN_VARIABLE, "")
    where = f"{step.target} {call.method} {call.path}"
    connection = http.client.HTTPConnection(*split(step.data["address"]), timeout=ANSWER_WITHIN_S)
    body = None if call.body is None else json.dumps(call.body)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Connection": "close"}
    try:
        connection.request(call.method, call.path, body, headers)
        response = connection.getresponse()
        said = response.read(_MOST_BYTES).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as problem:
        raise CrashcartError(f"no answer: {type(problem).__name__}: {problem}", where=where) from problem
    finally:
        connection.close()
    if not 200 <= response.status < 300:
        remedy = "the service's own log says more"
        told = said.replace(token, HIDDEN) if token else said  # some repeat what they were asked, header by header
        raise CrashcartError(f"status {response.status}: {told[:200]}", where=where, remedy=remedy)


FAULT: FaultKind = Admin()
