"""What a version's folder holds, and one line on it: light enough for a plan to import."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_foundry.lake import Manifest, fingerprint

SPLITS = ("train", "validation", "test")
PHONE = "test_phone"
"""The split of gold that holds test rows as they sound through a phone line."""
ADAPTER, PROBE = "adapter", "linear_probe"
"""Folders of the adapter, and of the head trained on the frozen base that a base without a head is measured by."""
EVALUATION = "evaluation.json"
"""What the version was measured to do, and its gates."""
CALIBRATION = "calibration.json"
"""The temperature of a classifier, fitted on validation rows, for who serves it."""


GATE_RULES = "gates-3"
"""Names how the gates judge; another one judges every stored evaluation again, without training."""


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


def version_hashes(model: Manifest) -> tuple[str, str]:
    """Return the hash of a version's weights and the hash of its evaluation: what an approval is bound to.

    The second covers the calibration too: how sure an answer is said to be is part of what was approved.
    """
    weights = [(file.path, file.sha256) for file in model.files if file.path.startswith(f"{ADAPTER}/")]
    evaluation = [(file.path, file.sha256) for file in model.files if file.path in (EVALUATION, CALIBRATION)]
    return fingerprint(weights), fingerprint(evaluation)


def json_text(content: Any) -> str:
    """Return JSON that is the same for the same content, one value a line; a figure that is no number is null."""
    return json.dumps(_defined(content), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _defined(content: Any) -> Any:
    """Return content as JSON can hold it: it has no NaN and no infinity."""
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Mapping):
        return {name: _defined(value) for name, value in content.items()}
    return [_defined(value) for value in content] if isinstance(content, list | tuple) else content


def write_json(path: Path, content: Any) -> None:
    """Write JSON that is the same for the same content."""
    path.write_text(json_text(content), encoding="utf-8")
