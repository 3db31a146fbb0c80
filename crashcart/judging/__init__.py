"""Recording → Verdict. Begin reading at `judge`; then `tape`, `validity`, `objectives`, `recovery`, `invariants`."""

from crashcart.judging.followup import failed_orders
from crashcart.judging.judge import encode, judge
from crashcart.judging.rehearsal import rehearse

__all__ = ["encode", "failed_orders", "judge", "rehearse"]
