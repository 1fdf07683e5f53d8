"""What a version's folder holds, and one line on it: light enough for a plan to import."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SPLITS = ("train", "validation", "test")
ADAPTER, PROBE = "adapter", "linear_probe"
"""Folders of the adapter, and of the head trained on the frozen base that a base without a head is measured by."""


def summary(details: Mapping[str, Any]) -> str:
    """Return one line on a version: primary score before and after, and what its gates say."""
    score = details["measures"]["score"]
    change = (
        f"score {score['base']['value']:.3f} -> {score['adapted']['value']:.3f} on {details['rows']['test']} test rows"
    )
    against = [gate["gate"] for gate in details["gates"] if gate["verdict"] != "pass"]
    verdicts = {
        "pass": "passed its gates",
        "fail": f"refused by {', '.join(g['gate'] for g in details['gates'] if g['verdict'] == 'fail')}",
        "inconclusive": f"for a person to decide: {', '.join(against)} inconclusive",
    }
    return f"{verdicts[details['verdict']]}; {change}"


def write_json(path: Path, content: Any) -> None:
    """Write JSON that is the same for the same content."""
    path.write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
