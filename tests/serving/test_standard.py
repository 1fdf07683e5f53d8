"""Rows as models know them: a caller's text becomes what phase 2 would have made of it."""

from __future__ import annotations

from typing import Any

import pytest

from data_foundry.config import Settings
from data_foundry.preprocessing.content import Reviewer
from data_foundry.preprocessing.text import normalize
from data_foundry.records import Rejected
from data_foundry.serving.standard import Standard

# Written for this project; no native speaker checked them.
TEXTS = (
    "  എന്റെ ബാലൻസ് എത്ര  ",
    "അവന്\u200d  വന്നു\u00a0ഇന്ന്",
    "എന്റെ നമ്പർ 9847012345 ആണ്",
    "എന്റെ നമ്പർ ഒൻപത് എട്ട് നാല് ഏഴ് പൂജ്യം ഒന്ന് രണ്ട് മൂന്ന് നാല് അഞ്ച് ആണ്",
    "മെയിൽ someone@example.com ലേക്ക്",
    "൧൨൩ <b>രൂപ</b> http://example.com",
    "",
)


def as_phase_2_has_it(settings: Settings, text: str) -> str | None:
    row: dict[str, Any] = {"text": normalize(text, settings.text.profile).text or None, "text_raw": text, "flags": []}
    Reviewer(settings.content).review(row, spoken=False)
    return row["text"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_classifier_reads_the_text_that_it_would_have_learnt_from(settings: Settings, text: str) -> None:
    said = Standard(settings).row({"text": text}, "text-classification")["text"]
    assert (said or None) == as_phase_2_has_it(settings, text)


def test_a_translation_or_speech_keeps_what_was_said(settings: Settings) -> None:
    row = {"text": "എന്റെ  നമ്പർ 9847012345", "translation": "my  number 9847012345", "direction": "en-ml"}
    said = Standard(settings).row(row, "text-to-text")
    assert (said["text"], said["translation"]) == ("എന്റെ നമ്പർ 9847012345", "my number 9847012345")
    assert said["direction"] == "en-ml" and said["audio"] is None


def test_personal_data_stays_where_the_settings_leave_it_in_what_was_learnt(settings: Settings) -> None:
    content = settings.content.model_copy(update={"mask_personal_data": False})
    found = Standard(settings.model_copy(update={"content": content})).row(
        {"text": "9847012345"}, "text-classification"
    )
    assert found["text"] == "9847012345"


def test_a_column_that_no_model_reads_does_not_come_along(settings: Settings) -> None:
    assert "caller" not in Standard(settings).row({"text": "a", "caller": "9847012345"}, "text-classification")


def test_a_text_that_is_too_long_is_refused_before_it_is_worked_on(settings: Settings) -> None:
    with pytest.raises(Rejected) as refused:
        Standard(settings).row({"text": "അ" * 2001}, "text-classification")
    assert (refused.value.reason, refused.value.detail) == (
        "text_too_long",
        "2001 characters, at most 2000 are taken",
    )
