"""The phone: what it costs is measured on the rows that are there clean and as heard through a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_foundry.finetuning.evaluation.evaluate import evaluate
from data_foundry.finetuning.evaluation.phone import clean_to_phone
from data_foundry.records import AIEngine
from finetuning.evaluation.test_evaluate import scripted
from finetuning.gold_builders import rows


def test_the_loss_from_clean_to_phone_is_paired_by_row(hub: Path) -> None:
    clean_rows = rows(AIEngine.STT, 12, "test")
    texts = [row["text"] for row in clean_rows]
    clean = evaluate(scripted(hub, AIEngine.STT, texts, texts), clean_rows, "new")
    # Heard in another order, without two rows; the base loses four letters of each, the adapter one.
    heard = list(reversed(clean_rows[2:]))
    base, adapted = ([row["text"][:-lost] for row in heard] for lost in (4, 1))
    phone = evaluate(scripted(hub, AIEngine.STT, base, adapted), heard, "new")
    loss = clean_to_phone(clean, phone)
    assert loss["rows"] == 10
    cer = loss["measures"]["cer"]
    assert cer["base"]["value"] == pytest.approx(phone.figures("base")["cer"]) and cer["base"]["low"] > 0
    assert cer["difference"]["value"] == pytest.approx(cer["adapted"]["value"] - cer["base"]["value"], abs=2e-6)
    assert cer["difference"]["high"] < 0
    assert loss["measures"]["score"]["base"]["value"] == pytest.approx(-cer["base"]["value"], abs=2e-6)


def test_errors_that_clean_rows_have_too_are_not_the_phones(hub: Path) -> None:
    batch = rows(AIEngine.STT, 12, "test")
    wrong = [row["text"][:-3] for row in batch]
    one = evaluate(scripted(hub, AIEngine.STT, wrong, wrong), batch, "new")
    cer = clean_to_phone(one, one)["measures"]["cer"]
    assert cer["base"] == cer["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
