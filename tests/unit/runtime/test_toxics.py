"""What is refused before it is sent to Toxiproxy, and that nothing of the unrepaired client is left in ours."""

from __future__ import annotations

import inspect

import pytest
import toxiproxy

from crashcart.model.errors import ControlPlaneError, UsageError
from crashcart.toxiproxy import Proxy, ToxicSpec, Toxiproxy, validate_toxic

REFUSED = {
    "a rate below nothing": ToxicSpec("t", "bandwidth", attributes={"rate": -1}),
    "a rate of nothing": ToxicSpec("t", "bandwidth", attributes={"rate": 0}),
    "a bandwidth without a rate": ToxicSpec("t", "bandwidth"),
    "a slicer without a size": ToxicSpec("t", "slicer"),
    "a slice that varies more than its size": ToxicSpec(
        "t", "slicer", attributes={"average_size": 10, "size_variation": 11}
    ),
    "half a millisecond": ToxicSpec("t", "latency", attributes={"latency": 0.5}),  # type: ignore[dict-item]
    "a truth value": ToxicSpec("t", "latency", attributes={"latency": True}),
    "text": ToxicSpec("t", "latency", attributes={"latency": "300"}),  # type: ignore[dict-item]
    "more than the server can count": ToxicSpec("t", "latency", attributes={"latency": 2**63}),
    "a delay before now": ToxicSpec("t", "latency", attributes={"latency": -1}),
    "a latency without one": ToxicSpec("t", "latency"),
    "a slip of the pen": ToxicSpec("t", "latency", attributes={"latency": 1, "jiter": 1}),
    "an unknown type": ToxicSpec("t", "latancy", attributes={"latency": 1}),
    "a third direction": ToxicSpec("t", "latency", "sideways", attributes={"latency": 1}),  # type: ignore[arg-type]
    "more than always": ToxicSpec("t", "latency", toxicity=1.1, attributes={"latency": 1}),
    "not a number": ToxicSpec("t", "latency", toxicity=float("nan"), attributes={"latency": 1}),
    "no name": ToxicSpec("", "latency", attributes={"latency": 1}),
}


@pytest.mark.parametrize("spec", REFUSED.values(), ids=REFUSED.keys())
def test_a_toxic_that_can_not_be_is_refused(spec: ToxicSpec) -> None:
    with pytest.raises(UsageError):
        validate_toxic(spec)


def test_a_slip_of_the_pen_is_answered_with_what_was_probably_meant() -> None:
    with pytest.raises(UsageError, match='did you mean "jitter"'):
        validate_toxic(ToxicSpec("t", "latency", attributes={"latency": 1, "jiter": 1}))
    with pytest.raises(UsageError, match='did you mean "latency"'):
        validate_toxic(ToxicSpec("t", "latancy"))


def test_a_refused_toxic_is_never_sent() -> None:
    nobody_there = Toxiproxy("http://127.0.0.1:1")
    with pytest.raises(UsageError):
        nobody_there.add_toxic("p", REFUSED["a rate below nothing"])
    with pytest.raises(UsageError):
        nobody_there.update_toxic("p", REFUSED["a rate below nothing"])


@pytest.mark.parametrize("api_url", ["127.0.0.1:8474", "https://127.0.0.1:8474", "http://127.0.0.1", "http://"])
def test_what_is_no_address_is_refused(api_url: str) -> None:
    with pytest.raises(UsageError, match="is not the address of a Toxiproxy"):
        Toxiproxy(api_url)


def test_where_nobody_listens_every_call_is_a_control_plane_error() -> None:
    with pytest.raises(ControlPlaneError, match=r"127\.0\.0\.1:1: GET /version"):
        Toxiproxy("http://127.0.0.1:1").version()


@pytest.mark.parametrize("ours", [Toxiproxy, Proxy])
def test_no_method_of_ours_speaks_through_the_unrepaired_transport(ours: type) -> None:
    unrepaired = {
        name
        for name, function in inspect.getmembers(ours, inspect.isfunction)
        if function.__module__.startswith("toxiproxy.")
        and "APIConsumer" in function.__code__.co_names
        and not name.startswith("_Proxy__")  # what only its own disable and enable call, which are ours
    }
    assert not unrepaired


def test_two_clients_do_not_share_an_address() -> None:
    one, other = Toxiproxy("http://127.0.0.1:1001"), Toxiproxy("http://127.0.0.1:1002")
    one.update_api_consumer("127.0.0.1", 1003)
    assert (one.api_url, other.api_url) == ("http://127.0.0.1:1003", "http://127.0.0.1:1002")
    assert toxiproxy.api.APIConsumer.port == 8474
