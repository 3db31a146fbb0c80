"""Whether any locked package has a known vulnerability: `python -m tests.audit`."""
