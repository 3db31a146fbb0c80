from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from crashcart.faults.switching import Act, Switch
from crashcart.model.errors import ControlPlaneError

FOREVER_S = 3600.0


class Light:
    """A switched thing, and who may switch it."""

    def __init__(self) -> None:
        self.history: list[str] = []
        self.allowed = True
        self.when_on: Callable[[], None] = lambda: None
        self._told = threading.Condition()

    def act(self) -> Act:
        return Act(lambda: self.allowed, self._on, lambda: self._note("off"))

    def wait_for(self, *history: str) -> None:
        with self._told:
            assert self._told.wait_for(lambda: self.history == list(history), 10.0), self.history

    def _on(self) -> None:
        self._note("on")
        self.when_on()

    def _note(self, what: str) -> None:
        with self._told:
            self.history.append(what)
            self._told.notify_all()


@pytest.fixture
def light() -> Light:
    return Light()


def test_it_is_on_in_each_slice_and_off_after_it(light: Light) -> None:
    switch = Switch(((0.0, 0.5), (0.6, FOREVER_S)), light.act(), "light")
    light.wait_for("on", "off", "on")
    switch.close()
    assert light.history == ["on", "off", "on", "off"]


def test_closed_in_the_middle_of_a_slice_it_is_off_for_good(light: Light) -> None:
    switch = Switch(((0.0, FOREVER_S),), light.act(), "light")
    light.wait_for("on")
    switch.close()
    switch.close()
    assert light.history == ["on", "off"]


def test_closed_between_slices_it_never_comes_on_again(light: Light) -> None:
    switch = Switch(((0.0, 0.5), (FOREVER_S, 2 * FOREVER_S)), light.act(), "light")
    light.wait_for("on", "off")
    switch.close()
    assert light.history == ["on", "off"]


def test_what_somebody_else_has_taken_back_is_not_done_again(light: Light) -> None:
    light.allowed = False
    switch = Switch(((0.0, 0.5), (0.6, FOREVER_S)), light.act(), "light")
    switch.close()
    assert light.history == []


def test_what_is_taken_back_while_it_is_being_done_is_undone_at_once(light: Light) -> None:
    light.when_on = lambda: setattr(light, "allowed", False)
    switch = Switch(((0.0, FOREVER_S), (2 * FOREVER_S, 3 * FOREVER_S)), light.act(), "light")
    light.wait_for("on", "off")
    switch.close()


def test_a_slice_that_was_slept_through_is_not_made_up_for(light: Light) -> None:
    switch = Switch(((-2.0, -1.0), (0.0, 0.5)), light.act(), "light")
    light.wait_for("on", "off")
    switch.close()


def test_a_control_plane_that_fails_ends_it_and_closing_does_not_hang(light: Light) -> None:
    def fails() -> None:
        raise ControlPlaneError("no answer")

    light.when_on = fails
    switch = Switch(((0.0, FOREVER_S / 2), (FOREVER_S, 2 * FOREVER_S)), light.act(), "light")
    light.wait_for("on", "off")
    switch.close()
    assert light.history == ["on", "off"]
