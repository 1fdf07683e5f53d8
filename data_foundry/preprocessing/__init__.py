"""Phase 2: raw dataset folders in, standardized silver rows and rejected rows with their reasons out."""

TEXT_RULES = "text-4"
"""Version of the text rules: part of every key that depends on them, so that a changed rule reruns what it touches."""

CONTENT_RULES = "content-4"
"""Version of the content rules, likewise."""
