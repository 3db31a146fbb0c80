from __future__ import annotations

import pytest

from stack.payments.rules import (
    CLOSED_AS,
    Failover,
    Heard,
    Routing,
    Step,
    parse_routing,
    step_after,
    step_in_background,
)

PROOFS = {Heard.REFUSED, Heard.NOT_SENT, Heard.FAILED, Heard.VOIDED}


@pytest.mark.parametrize("heard", list(Heard))
def test_only_proof_lets_another_processor_be_tried(heard: Heard) -> None:
    for failover in (Failover.SAFE, Failover.NONE):
        assert (step_after(heard, failover) is Step.NEXT) == (heard in PROOFS)
    assert (step_in_background(heard, 99.0, 1.0, False) is Step.NEXT) == (heard in PROOFS)


def test_blind_failover_takes_doubt_for_proof() -> None:
    assert step_after(Heard.IN_DOUBT, Failover.BLIND) is Step.NEXT


def test_no_such_charge_is_voided_before_it_is_believed() -> None:
    assert step_after(Heard.ABSENT, Failover.SAFE) is Step.VOID


def test_in_the_background_a_young_charge_gets_time_to_be_found_unless_nobody_wants_it() -> None:
    assert step_in_background(Heard.ABSENT, 0.5, 1.0, False) is Step.LEAVE
    assert step_in_background(Heard.ABSENT, 0.5, 1.0, True) is Step.VOID
    assert step_in_background(Heard.ABSENT, 1.5, 1.0, False) is Step.VOID


def test_whatever_moves_on_has_a_state_to_close_the_attempt_with() -> None:
    for failover in Failover:
        for heard in Heard:
            assert step_after(heard, failover) is not Step.NEXT or heard in CLOSED_AS


def routing(failover: Failover) -> Routing:
    return Routing(("psp-a", "psp-b"), {"visa": "psp-a", "*": "psp-b"}, failover)


def test_a_network_goes_to_its_own_processor_first_and_to_a_dead_one_last() -> None:
    safe, both = routing(Failover.SAFE), {"psp-a", "psp-b"}
    assert safe.candidates("visa", both) == ["psp-a", "psp-b"]
    assert safe.candidates("amex", both) == ["psp-b", "psp-a"]
    assert safe.candidates("visa", {"psp-b"}) == ["psp-b", "psp-a"]
    assert safe.candidates("visa", set()) == ["psp-a", "psp-b"]
    assert safe.candidates("visa", both, ["psp-a"]) == ["psp-b"]
    assert safe.candidates("visa", both, ["psp-a", "psp-b"]) == []


def test_without_failover_there_is_only_the_networks_own() -> None:
    none = routing(Failover.NONE)
    assert none.candidates("visa", {"psp-b"}) == ["psp-a"]
    assert none.candidates("visa", {"psp-b"}, ["psp-a"]) == []


def test_routing_comes_from_settings() -> None:
    read = parse_routing("psp-a, psp-b", "visa=psp-a,*=psp-b", "safe")
    assert (read.processors, read.routes) == (("psp-a", "psp-b"), {"visa": "psp-a", "*": "psp-b"})
    assert parse_routing("only", "", "none").candidates("visa", {"only"}) == ["only"]


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        (("", "", "safe"), "PROCESSORS"),
        (("psp-a", "visa=psp-c", "safe"), "visa=psp-c"),
        (("psp-a", "visa", "safe"), "network=processor"),
        (("psp-a", "", "hopeful"), "safe, none or blind"),
    ],
)
def test_wrong_routing_is_refused_with_what_would_be_right(settings: tuple[str, str, str], hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        parse_routing(*settings)


@pytest.mark.parametrize(
    ("failover", "healthy", "state"),
    [
        ("safe", ["a", "b"], "up"),
        ("safe", ["b"], "up"),
        ("safe", [], "down"),
        ("none", ["b"], "degraded"),
        ("none", ["a", "b"], "up"),
        ("none", [], "down"),
    ],
)
def test_payments_are_up_while_every_network_has_somebody_to_take_it(
    failover: str, healthy: list[str], state: str
) -> None:
    assert parse_routing("a,b", "visa=a,*=b", failover).state(healthy) == state
