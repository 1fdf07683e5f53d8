"""Content checks: personal data, abuse, prompts and coverage, as flags with evidence; nothing is deleted in silence.

A flag says what a rule found and where. Personal data is masked where the settings ask for it, a row is refused only
for a rule that the settings name, and terms of identity are counted and never held against a text. No automatic check
establishes that a text is appropriate: the report calls these content checks.
"""

from __future__ import annotations

from data_foundry.preprocessing import CONTENT_RULES
from data_foundry.preprocessing.content.reviewer import Reviewer, key_settings

__all__ = ["CONTENT_RULES", "Reviewer", "key_settings"]
