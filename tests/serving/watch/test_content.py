"""What callers said: kept only where asked for, masked, and really gone when it expires."""

import stat

import pytest

from data_foundry.lake import Lake
from data_foundry.serving.watch.content import DAY_SECONDS, Kept, KeptContent, content_path

NOW = 1_800_000_000.0
NUMBER = "9847012345"
SAID = f"വിളിക്കൂ {NUMBER}"


@pytest.fixture
def content(with_settings):
    opened = []

    def make(keep=True, days=7.0):
        opened.append(KeptContent(with_settings(rollout={"keep_content": keep, "content_days": days})))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def call(at=NOW, said=SAID, answered="billing"):
    return Kept(at, "live", "nlu", "base", said, answered)


def bytes_under(folder):
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


def test_nothing_is_kept_unless_the_settings_ask_for_it(content, lake):
    kept = content(keep=False)
    kept.keep([call()])
    assert kept.read() == [] and not content_path(lake).exists()


def test_personal_data_is_masked_before_it_is_written_in_question_and_answer(content, lake):
    kept = content()
    kept.keep([call(answered=f"നമ്പർ {NUMBER}")])
    (found,) = kept.read()
    assert found.said == "വിളിക്കൂ [PHONE]" and found.answered == "നമ്പർ [PHONE]"
    assert NUMBER.encode() not in bytes_under(lake.base_path)


def test_it_is_masked_even_where_phase_2_is_told_not_to_mask(with_settings):
    kept = KeptContent(with_settings(rollout={"keep_content": True}, content={"mask_personal_data": False}))
    kept.keep([call()])
    assert kept.read()[0].said == "വിളിക്കൂ [PHONE]"
    kept.close()


def test_an_expired_days_bytes_are_in_no_file_any_more_and_the_others_stay(content, lake):
    kept = content(days=7)
    old = [f"പഴയ സംസാരം {n} " + "ഒന്നും മറക്കരുത് " * (n % 40) for n in range(300)]
    new = [f"പുതിയ സംസാരം {n}" for n in range(300)]
    # Side by side in the same pages, and some over several pages.
    kept.keep([call(NOW - 8 * DAY_SECONDS * (n % 2) + n, text) for pair in zip(new, old, strict=True)
               for n, text in enumerate(pair)])  # fmt: skip
    assert "പഴയ".encode() in bytes_under(lake.base_path)
    assert kept.sweep(NOW) == 300
    left = bytes_under(lake.base_path)
    assert "പഴയ".encode() not in left and "മറക്കരുത്".encode() not in left
    assert [one.said for one in kept.read()] == new
    assert kept.sweep(NOW) == 0


def test_everything_goes_where_the_setting_was_taken_back(content, lake):
    first = content()
    first.keep([call(said="ഇത് മായണം")])
    first.close()
    off = content(keep=False)
    assert off.sweep(NOW) == 1 and "മായണം".encode() not in bytes_under(lake.base_path)


def test_a_sweep_that_was_cut_off_before_it_wrote_the_file_anew_is_ended_by_the_next(content, lake):
    kept = content()
    kept.keep([call(said="ഇത് മായണം " * 2000)])
    kept._open().execute("DELETE FROM content")
    assert kept.sweep(NOW) == 0
    assert kept._open().execute("PRAGMA freelist_count").fetchone() == (0,)


def test_the_file_is_its_users_alone(content, lake):
    kept = content()
    kept.keep([call()])
    assert stat.S_IMODE(content_path(lake).stat().st_mode) == 0o600


def test_a_text_that_can_not_be_masked_is_not_kept(content, lake, monkeypatch):
    kept = content()
    monkeypatch.setattr(kept, "_mask", lambda text: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        kept.keep([call()])
    assert kept.read() == [] and isinstance(lake, Lake)
