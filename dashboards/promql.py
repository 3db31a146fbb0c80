"""Questions that several dashboards ask."""

from __future__ import annotations

from crashcart.burnrates import counted
from crashcart.model.slo import COHORT_LABEL, Slo
from dashboards.parts import RATE

ALL = f'{COHORT_LABEL}="all"'
EVERYTHING = "$__range"
"""The whole time shown, up to its end."""


def rate(selector: str, by: str = "") -> str:
    """Events a second, summed up."""
    return f"sum{f' by ({by})' if by else ''} (rate({selector}[{RATE}]))"


def quantile(share: float, buckets: str, by: str = "") -> str:
    """Of a histogram: what so many took at most."""
    return f"histogram_quantile({share:g}, {rate(buckets, f'le,{by}' if by else 'le')})"


def share(part: str, whole: str) -> str:
    """One over the other."""
    return f"{part} / {whole}"


def success(slo: Slo) -> str:
    """Good over valid events of all shoppers, as it goes."""
    good, valid = counted(slo, "rate", RATE, ALL)
    return share(f"sum({good})", f"sum({valid})")


def budget_left(slo: Slo) -> str:
    """What is left of the error budget of all the events in the time shown: 1 nothing spent, below 0 overspent.

    An SLO about failures has spent nothing while there are none; any other says nothing without events.
    """
    good, valid = (f"sum({expr})" for expr in counted(slo, "increase", EVERYTHING, ALL))
    whole = f"clamp_min({valid}, 1)" if slo.only_failures else valid
    return f"1 - ({valid} - {good}) / {whole} / {1 - slo.objectives['all']:.6g}"


def worst_cohorts(slo: Slo, number: int) -> str:
    """By cohort, how many times its own budget the time shown has spent; the worst of them."""
    budgets: dict[str, list[str]] = {}
    for cohort, objective in slo.objectives.items():
        if cohort != "all":
            budgets.setdefault(f"{1 - objective:.6g}", []).append(cohort)
    return f"topk({number}, {' or '.join(_spent(slo, cohorts, budget) for budget, cohorts in budgets.items())})"


def _spent(slo: Slo, cohorts: list[str], budget: str) -> str:
    good, valid = counted(slo, "increase", EVERYTHING, f'{COHORT_LABEL}=~"{"|".join(cohorts)}"')
    return f"(1 - {good} / {valid}) / {budget}"
