"""The one place that chooses adapters, and the few things that need all of them."""

from crashcart.wiring.choosing import choose, parse_tags
from crashcart.wiring.dashboards import build_dashboards, push_dashboards
from crashcart.wiring.exports import export_compose
from crashcart.wiring.images import images_build, images_list
from crashcart.wiring.plans import make_plan, plan_json
from crashcart.wiring.preflight import capacity_of
from crashcart.wiring.recordings import judge_again, report_again
from crashcart.wiring.shelf import diff_runs, diff_suites, list_runs, list_suites, prune_runs, show_run
from crashcart.wiring.stacks import stack_down, stack_logs, stack_status, stack_up
from crashcart.wiring.suites import RunRequest, run_suite

__all__ = [
    "RunRequest",
    "build_dashboards",
    "capacity_of",
    "choose",
    "diff_runs",
    "diff_suites",
    "export_compose",
    "images_build",
    "images_list",
    "judge_again",
    "list_runs",
    "list_suites",
    "make_plan",
    "parse_tags",
    "plan_json",
    "prune_runs",
    "push_dashboards",
    "report_again",
    "run_suite",
    "show_run",
    "stack_down",
    "stack_logs",
    "stack_status",
    "stack_up",
]
