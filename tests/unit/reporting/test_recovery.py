from __future__ import annotations

import msgspec

from crashcart.model.verdict import Outcome, RecoveryResult
from crashcart.reporting.recovery import parts
from crashcart.reporting.words import NBSP
from tests.unit.reporting.conftest import Made


def changed(made: Made, **changes: object) -> RecoveryResult:
    assert made.verdict.recovery is not None
    return msgspec.structs.replace(made.verdict.recovery, **changes)


def said(made: Made, **changes: object) -> dict[str, str]:
    return {part.label: part.said.replace(NBSP, " ") for part in parts(changed(made, **changes), 20.0)}


def test_each_part_has_its_time(passed: Made) -> None:
    assert said(passed) == {
        "until shoppers felt it": "0.5 s",
        "until the shop knew": "5.3 s",
        "until it was mitigated": "20 s",
        "until sustained health": "2.4 s",
    }


def test_what_never_came_is_said_to_have_never_come(failed: Made) -> None:
    never = said(failed, breached_after_s=None, detected_after_s=None, mitigated_after_s=None)
    assert never == {
        "until shoppers felt it": "never: goodput stayed in its band",
        "until the shop knew": "never: no alert of the shop's own fired",
        "until it was mitigated": "never seen",
        "until sustained health": "never in the 30 s observed",
    }


def test_a_shop_that_hurt_its_shoppers_and_never_knew_is_marked(failed: Made) -> None:
    unknown = changed(failed, detected_after_s=None)
    assert {part.label: part.tone for part in parts(unknown, 20.0)}["until the shop knew"] == "unsure"
    calm = msgspec.structs.replace(unknown, breached_after_s=None, outcome=Outcome.PASS)
    assert {part.label: part.tone for part in parts(calm, 20.0)}["until the shop knew"] == ""
