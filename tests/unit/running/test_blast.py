"""The blast radius follows the design's links, upwards: who calls what is broken, and who calls them."""

from __future__ import annotations

import msgspec

from crashcart.blast import blast_radius, dependants
from crashcart.model.plan import PlannedFault
from tests.unit.running.test_timeline import demo


def _fault(**changed: object) -> PlannedFault:
    return msgspec.structs.replace(demo().faults[0], **changed)


def test_a_link_is_felt_by_its_client_and_by_whoever_depends_on_that() -> None:
    [broken] = blast_radius(demo())
    assert broken.what == ("link payments.psp-a",)
    assert broken.reaches == ("payments", "checkout", "storefront", "shoppers")
    assert "psp-b" in broken.spared
    assert "psp-a" not in broken.spared
    assert broken.lasts_s == 20.0
    assert broken.intents == 800.0


def test_a_database_is_named_as_one_and_reaches_the_shoppers() -> None:
    made = demo()
    fault = _fault(targets=("inventory-db[0]",), kind="database/lock")
    [broken] = blast_radius(msgspec.structs.replace(made, faults=(fault,)))
    assert broken.what == ("database inventory-db",)
    assert broken.reaches[0] == "inventory"
    assert broken.reaches[-1] == "shoppers"
    assert "inventory-db" not in broken.spared


def test_some_of_several_replicas_are_counted() -> None:
    made = demo()
    services = dict(made.design.services)
    services["checkout"] = msgspec.structs.replace(services["checkout"], replicas=2)
    services["inventory"] = msgspec.structs.replace(services["inventory"], replicas=2)
    design = msgspec.structs.replace(made.design, services=services)
    faults = (
        _fault(targets=("checkout[1]",)),
        _fault(id="f2", targets=("checkout[0].inventory[0]", "checkout[0].inventory[1]")),
    )
    first, second = blast_radius(msgspec.structs.replace(made, design=design, faults=faults))
    assert first.what == ("service checkout (1 of 2 replicas)",)
    assert second.what == ("link checkout.inventory (2 of 4 pairs of replicas)",)


def test_the_front_door_is_felt_by_shoppers_alone() -> None:
    made = demo()
    [broken] = blast_radius(msgspec.structs.replace(made, faults=(_fault(targets=("shoppers[0].storefront[0]",)),)))
    assert broken.reaches == ("shoppers",)


def test_services_that_call_each_other_in_a_circle_are_each_named_once() -> None:
    made = demo()
    services = dict(made.design.services)
    services["payments"] = msgspec.structs.replace(services["payments"], links=("psp-a", "psp-b", "checkout"))
    found = dependants(msgspec.structs.replace(made.design, services=services), ["payments"])
    assert sorted(found) == sorted(set(found))
    assert "payments" not in found
