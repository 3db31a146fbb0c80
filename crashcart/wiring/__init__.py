"""The one place that chooses adapters, and the few things that need all of them."""

from crashcart.wiring.plans import make_plan, plan_json
from crashcart.wiring.recordings import judge_again, report_again
from crashcart.wiring.runs import run_and_judge
from crashcart.wiring.stacks import stack_down, stack_logs, stack_status, stack_up

__all__ = [
    "judge_again",
    "make_plan",
    "plan_json",
    "report_again",
    "run_and_judge",
    "stack_down",
    "stack_logs",
    "stack_status",
    "stack_up",
]
