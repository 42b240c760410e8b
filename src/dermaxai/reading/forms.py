"""What can be exported, and as what; read by the command line, which loads nothing for it."""

from __future__ import annotations

from typing import Literal

What = Literal["feedback", "readings", "cases", "events"]
"""Answers of readers; what they saw alone; the cases themselves; the audit trail."""
Format = Literal["csv", "json"]
