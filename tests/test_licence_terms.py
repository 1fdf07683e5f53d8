"""Licences: what several of them ask for together."""

from __future__ import annotations

import pytest

from data_foundry.licence_terms import strictest


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        (["mit"], "mit"),
        (["apache-2.0", "cc-by-4.0"], "cc-by-4.0"),
        (["cc0-1.0", "mit"], "mit"),
        (["cc-by-4.0", "cc-by-sa-4.0", "apache-2.0"], "cc-by-sa-4.0"),
        (["cc-by-sa-3.0", "cc-by-sa-4.0"], "cc-by-sa-4.0"),
        (["cc-by-nc-sa-4.0", "cc-by-nc-4.0"], "cc-by-nc-sa-4.0"),
        (["CC BY 4.0, MIT", "cc0-1.0"], "cc-by-4.0"),
        (["apache-2.0", "mit"], "apache-2.0"),
        (["apache-2.0", "bsd-3-clause"], "apache-2.0"),
        (["mit", "cdla-permissive-2.0"], "cdla-permissive-2.0 and mit"),
        (["cc-by-4.0", "odc-by", "cc-by-3.0"], "cc-by-4.0 and odc-by"),
        (["cc0-1.0", "isc"], "isc"),
        (["cc-by-nc-4.0", "cc-by-sa-4.0"], None),
        (["cc-by-nc-sa-4.0", "cc-by-sa-4.0"], None),
        (["cc-by-nd-4.0", "cc-by-4.0"], None),
        (["cc-by-nd-4.0"], None),
        (["cc-by-nd-4.0", "cc-by-nc-4.0"], None),
        (["mit", "unknown"], None),
        (["mit", None], None),
        (["mit", "a licence of their own"], None),
        ([], None),
    ],
)
def test_the_strictest_licence_covers_every_clause_or_all_that_tie_are_named_or_there_is_none(
    statements: list[str | None], expected: str | None
) -> None:
    assert strictest(statements) == strictest(reversed(statements)) == expected
