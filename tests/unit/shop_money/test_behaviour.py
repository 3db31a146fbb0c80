from __future__ import annotations

from typing import Any

import pytest

from crashcart.model.chance import binomial_tail
from stack.kit.problems import Problem
from stack.thirdparty.behaviour import UNDISTURBED, Behaviour, Conduct, parse


def test_what_is_left_out_has_its_default() -> None:
    assert parse({}) == Behaviour()
    behaviour = parse({"fail_share": 0.5, "networks": ["visa"], "answer": "after"})
    assert parse(behaviour.document()) == behaviour


@pytest.mark.parametrize(
    ("document", "hint"),
    [
        ({"fail_share": 1.5}, "from 0 to 1"),
        ({"fail_share": "1"}, "from 0 to 1"),
        ({"fail_share": True}, "from 0 to 1"),
        ({"delay_ms": -1}, "from 0 to 60000"),
        ({"networks": "visa"}, "list of names"),
        ({"networks": []}, "list of names"),
        ({"answer": "never"}, '"before" or "after"'),
        ({"fail_shares": 1}, "there are answer"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_would_be_right(document: dict[str, Any], hint: str) -> None:
    with pytest.raises(Problem) as refused:
        parse(document)
    assert refused.value.status == 422
    assert hint in refused.value.detail


def test_a_share_of_requests_fails_and_the_same_ones_with_the_same_seed() -> None:
    def failed(seed: int) -> list[bool]:
        conduct = Conduct(seed)
        conduct.become(Behaviour(fail_share=0.3))
        return [conduct.fate(f"key-{number}", "visa").fail for number in range(1000)]

    assert failed(7) == failed(7)
    assert failed(7) != failed(8)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9])
def test_the_share_that_fails_is_the_declared_one_as_nearly_as_chance_has_it(share: float) -> None:
    asked = 5000
    for seed in range(5):
        conduct = Conduct(seed)
        conduct.become(Behaviour(fail_share=share))
        failed = sum(conduct.fate(f"key-{number}", "visa").fail for number in range(asked))
        # the exact binomial interval that holds 99.98 % of what chance brings
        assert binomial_tail(failed, asked, share) > 1e-4
        assert binomial_tail(asked - failed, asked, 1 - share) > 1e-4


def test_a_key_asked_again_draws_again() -> None:
    conduct = Conduct()
    conduct.become(Behaviour(fail_share=0.5))
    assert {conduct.fate("key", "visa").fail for _ in range(30)} == {True, False}


def test_only_the_named_networks_are_touched() -> None:
    conduct = Conduct()
    conduct.become(Behaviour(delay_ms=100, networks=frozenset({"amex"})))
    assert conduct.fate("key", "visa") is UNDISTURBED
    assert conduct.fate("key", "amex").delay_s == 0.1
