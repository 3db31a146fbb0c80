from __future__ import annotations

import re

import msgspec

from crashcart.model.recording import Event
from crashcart.reporting.marks import is_late
from crashcart.reporting.recorded import read_events, read_plan
from crashcart.reporting.scene import make_scene
from crashcart.reporting.traffic import Alert
from tests.unit.reporting.conftest import Made


def test_a_fault_is_shaded_from_its_injection_to_its_undoing(passed: Made) -> None:
    plan = read_plan(passed.folder)
    events = [Event(31.5, "", "fault-injected", {"fault": "f1"}), Event(44.0, "", "fault-undone", {"fault": "f1"})]
    (window,) = make_scene(plan, events, passed.verdict, 80).windows
    assert (window.start_s, window.end_s, window.title) == (31.5, 44.0, "payments.psp-a is down")


def test_a_fault_that_was_only_planned_is_not_shaded(passed: Made) -> None:
    scene = make_scene(read_plan(passed.folder), [Event(30, "", "gate", {"passed": False})], passed.verdict, 80)
    assert scene.windows == ()
    assert "fault" not in re.findall(r'class="(\w+)"', scene.backdrop(10))
    assert [mark.label for mark in scene.marks] == ["gate closed"]


def test_a_fault_that_was_never_undone_is_shaded_to_the_end(passed: Made) -> None:
    plan = read_plan(passed.folder)
    (window,) = make_scene(plan, [Event(31, "", "fault-injected", {"fault": "f1"})], passed.verdict, 80).windows
    assert window.end_s == plan.duration_s


def test_recovery_is_marked_where_it_was_reached(passed: Made) -> None:
    scene = make_scene(read_plan(passed.folder), read_events(passed.folder), passed.verdict, 80)
    mark = next(mark for mark in scene.marks if mark.css == "recovered")
    assert abs(mark.at_s - (50.05 + 2.4)) < 1e-9


def test_recovery_that_was_never_reached_is_marked_where_it_was_due(failed: Made) -> None:
    scene = make_scene(read_plan(failed.folder), read_events(failed.folder), failed.verdict, 80)
    mark = next(mark for mark in scene.marks if "due" in mark.label)
    assert abs(mark.at_s - 60.05) < 1e-9


def test_aborts_and_deaths_are_marked(passed: Made) -> None:
    events = [
        Event(33, "", "guardrail", {"slo": "browse-availability", "observed": 0.1}),
        Event(34, "", "died", {"part": "checkout[0]"}),
        Event(35, "", "died", {"part": "cart[0]", "removed": True}),
        Event(36, "", "interrupted", {"how": "SIGINT"}),
    ]
    scene = make_scene(read_plan(passed.folder), events, passed.verdict, 80)
    assert [mark.label for mark in scene.marks] == [
        "aborted: browse-availability",
        "checkout[0] died",
        "cart[0] removed by somebody",
        "interrupted",
    ]


def test_names_of_marks_that_would_touch_get_rows_of_their_own(passed: Made) -> None:
    plan = read_plan(passed.folder)
    far = [Event(1, "", "interrupted"), Event(70, "", "interrupted")]
    near = [Event(1, "", "interrupted"), Event(2, "", "interrupted")]
    heights = [
        float(re.findall(r'height="(\d+)"', make_scene(plan, e, passed.verdict, 80).header())[0]) for e in (far, near)
    ]
    assert heights[1] - heights[0] == 20


def test_what_operators_noted_and_phases_that_were_held_are_marked(passed: Made) -> None:
    events = [Event(44, "", "mark", {"text": "switched over"}), Event(40, "", "held", {"phase": "fault", "end_s": 60})]
    scene = make_scene(read_plan(passed.folder), events, passed.verdict, 80)
    assert [(mark.at_s, mark.label) for mark in scene.marks] == [(40, "fault held"), (44, "“switched over”")]


def test_a_fault_that_comes_and_goes_is_shaded_only_while_it_acts(passed: Made) -> None:
    plan = read_plan(passed.folder)
    flaky = msgspec.structs.replace(plan.faults[0], slices=((0.0, 2.0), (5.0, 6.0), (19.0, 30.0)))
    events = [Event(30, "", "fault-injected", {"fault": "f1"}), Event(50, "", "fault-undone", {"fault": "f1"})]
    scene = make_scene(msgspec.structs.replace(plan, faults=(flaky,)), events, passed.verdict, 80)
    assert scene.windows[0].acting == ((30.0, 32.0), (35.0, 36.0), (49.0, 50.0))
    assert scene.backdrop(10).count('class="fault"') == 3


def test_the_shop_s_alerts_are_named_where_they_fired(passed: Made) -> None:
    alerts = (Alert("Slow<b>", ((33.0, 52.0),)),)
    header = make_scene(read_plan(passed.folder), [], passed.verdict, 80, alerts).header()
    assert "alert: Slow&lt;b&gt;" in header
    assert header.count("alert-bar") == 1


def test_of_many_alerts_the_one_that_counts_comes_first_and_the_rest_is_counted(passed: Made) -> None:
    others = [Alert(f"a{n}", ((31.0 + n, 50.0),)) for n in range(6)]
    alerts = (*others, Alert("PaymentsFailing", ((45.0, 50.0),)))
    header = make_scene(read_plan(passed.folder), [], passed.verdict, 80, alerts).header()
    names = re.findall(r'class="alert-name"[^>]*>([^<]+)<', header)
    assert names == ["alert: PaymentsFailing", "alert: a0", "alert: a1, and 4 more"]


def test_a_name_too_long_for_a_phone_is_shown_cut_there_on_the_side_with_room(passed: Made) -> None:
    events = [Event(t, "", "mark", {"text": "a long story " * 9}) for t in (1.0, 40.0, 79.0)]
    scene = make_scene(read_plan(passed.folder), events, passed.verdict, 80)
    assert [is_late(mark, 80) for mark in scene.marks] == [False, True, True]
    narrow = re.findall(r'class="mark-name operator narrow"[^>]*>([^<]+)<', scene.header())
    assert [len(name) for name in narrow] == [25, 25, 25]
    wide = re.findall(r'class="mark-name operator wide"[^>]*>([^<]+)<', scene.header())
    assert [len(name) for name in wide] == [50, 50, 50]


def test_what_would_have_been_due_after_the_end_is_not_marked(failed: Made) -> None:
    events = [Event(71, "", "fault-injected", {"fault": "f1"}), Event(79, "", "fault-undone", {"fault": "f1"})]
    marks = make_scene(read_plan(failed.folder), events, failed.verdict, 80).marks
    assert not [mark for mark in marks if "due" in mark.label]
