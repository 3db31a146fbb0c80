"""Tests: unit (pure, seconds), contract (each port against the real thing), e2e (the whole program), defects."""
