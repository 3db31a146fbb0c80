"""Where what must outlive a run is kept, per user."""

from __future__ import annotations

import os
from pathlib import Path


def state_home() -> Path:
    """`$XDG_STATE_HOME/crashcart`, by default `~/.local/state/crashcart`. It may not exist yet."""
    configured = os.environ.get("XDG_STATE_HOME", "")
    # a relative path there is to be ignored (XDG Base Directory Specification)
    base = Path(configured) if Path(configured).is_absolute() else Path.home() / ".local" / "state"
    return base / "crashcart"
