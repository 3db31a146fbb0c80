"""Recording → Verdict. Begin reading at `judge`; then `tape`, `validity`, `objectives`, `recovery`, `invariants`."""

from crashcart.judging.judge import encode, judge

__all__ = ["encode", "judge"]
