"""The one place that chooses adapters, and the few things that need all of them."""

from crashcart.wiring.choosing import choose, parse_tags
from crashcart.wiring.plans import make_plan, plan_json
from crashcart.wiring.recordings import judge_again, report_again
from crashcart.wiring.stacks import stack_down, stack_logs, stack_status, stack_up
from crashcart.wiring.suites import RunRequest, run_suite

__all__ = [
    "RunRequest",
    "choose",
    "judge_again",
    "make_plan",
    "parse_tags",
    "plan_json",
    "report_again",
    "run_suite",
    "stack_down",
    "stack_logs",
    "stack_status",
    "stack_up",
]
