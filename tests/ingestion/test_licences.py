"""Licences: a copy can't shed its parents' terms."""

from __future__ import annotations

import pytest

from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.hub import licence_tag
from data_foundry.ingestion.findings import Findings
from data_foundry.ingestion.licences import effective_licence
from data_foundry.licence_terms import refusal
from tests.ingestion.builders import COMMENTS, NEWS, PAIRS, SPEECH

IMASC = "Praha-Labs/imasc_slr_Malayalam-nano-codec"
# dataset, tag found -> effective, non-commercial, share-alike, findings
CASES = [
    (NEWS, "cc-by-nc-4.0", "cc-by-nc-sa-4.0", True, True,
     {"licence_conflict", "licence_non_commercial", "licence_share_alike"}),
    (IMASC, "cc-by-4.0", "cc-by-sa-4.0", False, True,
     {"licence_conflict", "licence_parents_differ", "licence_share_alike"}),
    (COMMENTS, None, "cc-by-4.0", False, False, set()),
    (COMMENTS, "cc-by-nc-4.0", "cc-by-nc-4.0", True, False, {"licence_conflict", "licence_non_commercial"}),
    (COMMENTS, "cc-by-nd-4.0", "cc-by-nd-4.0", False, False, {"licence_conflict", "licence_no_derivatives"}),
    (SPEECH, None, "unknown", None, None, {"licence_unknown"}),
    (SPEECH, "other", "unknown", None, None, {"licence_unknown"}),
    (SPEECH, "CC-BY-4.0", "cc-by-4.0", False, False, set()),
    (PAIRS, None, "krutrim-community-license-agreement-version-1.0", None, None, {"licence_custom"}),
    (NEWS, "mit", "cc-by-nc-sa-4.0", True, True,
     {"licence_conflict", "licence_changed", "licence_non_commercial", "licence_share_alike"}),
    (COMMENTS, "cc-by-sa-4.0", "cc-by-sa-4.0", False, True, {"licence_conflict", "licence_share_alike"}),
    (IMASC, "cc-by-nc-4.0", "cc-by-sa-4.0 and cc-by-nc-4.0", True, True,
     {"licence_conflict", "licence_non_commercial", "licence_parents_differ", "licence_share_alike"}),
    (COMMENTS, "CC BY 4.0", "cc-by-4.0", False, False, set()),
    (COMMENTS, "CC BY-NC 4.0", "cc-by-nc-4.0", True, False, {"licence_conflict", "licence_non_commercial"}),
    (SPEECH, "fair-noncommercial-research-license", "fair-noncommercial-research-license", True, None,
     {"licence_custom", "licence_non_commercial"}),
    (SPEECH, "Research only", "research-only", True, None, {"licence_custom", "licence_non_commercial"}),
    (SPEECH, "made-up-1.0", "made-up-1.0", None, None, {"licence_custom"}),
    (COMMENTS, "made-up-1.0", "cc-by-4.0 and made-up-1.0", False, False, {"licence_conflict", "licence_custom"}),
    (PAIRS, "cc-by-nc-4.0", "krutrim-community-license-agreement-version-1.0 and cc-by-nc-4.0", True, None,
     {"licence_conflict", "licence_custom", "licence_non_commercial"}),
]  # fmt: skip


@pytest.mark.parametrize(("repo_id", "tag", "effective", "non_commercial", "share_alike", "kinds"), CASES)
def test_the_stricter_of_tag_and_parents_holds(repo_id, tag, effective, non_commercial, share_alike, kinds):
    findings = Findings()
    licence = effective_licence(DATASET_REGISTRY[repo_id], tag, findings)
    assert (licence["effective"], licence["non_commercial"], licence["share_alike"]) == (
        effective, non_commercial, share_alike,
    )  # fmt: skip
    assert {finding["kind"] for finding in findings.listed()} == kinds


@pytest.mark.parametrize(("repo_id", "tag"), [(case[0], case[1]) for case in CASES])
def test_no_tag_lets_gold_take_rows_that_ingestion_warns_of(repo_id, tag):
    licence = effective_licence(DATASET_REGISTRY[repo_id], tag, Findings())
    if {"non_commercial", "unknown", "custom"} & set(licence["flags"]):
        assert refusal(repo_id, licence["effective"]) is not None


@pytest.mark.parametrize(
    ("card", "tag"),
    [
        ("---\nlicense: mit\n---\n# x", "mit"),
        ("---\r\nlicense: mit\r\n---\r\n", "mit"),
        ("---\nlicense: other\nlicense_name: krutrim\n---\n", "krutrim"),
        ("---\nlicense: [mit, apache-2.0]\n---\n", "mit, apache-2.0"),
        ("---\npretty_name: x\n---\nlicense: mit", None),
        ("---\nlicense: [broken\n---\n", None),
        ("# no header\nlicense: mit", None),
    ],
)
def test_the_tag_is_read_from_the_cards_header(tmp_path, card, tag):
    (tmp_path / "README.md").write_bytes(card.encode())
    assert licence_tag(tmp_path / "README.md") == tag
    assert licence_tag(tmp_path / "none.md") is None
