"""Which channel a row gets."""

import subprocess
import sys
from collections import Counter

import pytest
from pydantic import ValidationError

from data_foundry.config import PROJECT_ROOT
from data_foundry.errors import FoundryError
from data_foundry.telephony.channel import PhoneChannel, draw
from data_foundry.telephony_settings import Telephony

ROWS = [f"{number:016x}" for number in range(4000)]


def test_a_row_has_the_same_channel_in_every_process():
    program = (
        "from data_foundry.telephony.channel import draw\n"
        "from data_foundry.telephony_settings import Telephony\n"
        "print(draw('00ff', 7, Telephony()).model_dump_json())"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program], cwd=PROJECT_ROOT, env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True, text=True, check=True,
        ).stdout.strip()
        for seed in ("0", "1", "12345")
    }  # fmt: skip
    assert said == {draw("00ff", 7, Telephony()).model_dump_json()}


def test_another_seed_and_another_row_have_another_channel():
    channels = [draw(row, seed, Telephony()) for row in ROWS[:50] for seed in (0, 1)]
    assert len({channel.seed for channel in channels}) == 100
    assert len({channel.level_db for channel in channels}) > 90


def test_channels_come_as_often_as_their_weights_say():
    settings = Telephony()
    drawn = [draw(row, 0, settings) for row in ROWS]
    for name, weights in (("codec", settings.codecs), ("noise", settings.noises)):
        counts = Counter(getattr(channel, name) for channel in drawn)
        for value, weight in weights.items():
            assert counts[value] / len(ROWS) == pytest.approx(weight / sum(weights.values()), abs=0.03), value
    assert sum(channel.loss_share > 0 for channel in drawn) / len(ROWS) == pytest.approx(0.5, abs=0.03)


def test_most_lines_are_alaw_by_default():
    weights = Telephony().codecs
    assert weights["alaw"] > sum(weights.values()) / 2


def test_what_is_drawn_lies_in_the_range_and_fills_it():
    settings = Telephony(lossy_share=1.0)
    drawn = [draw(row, 0, settings) for row in ROWS]
    for name in ("level_db", "snr_db", "loss_share", "burst_frames"):
        low, high = getattr(settings, name)
        values = [value for channel in drawn if (value := getattr(channel, name)) is not None]
        assert low <= min(values) < low + 0.02 * (high - low) and high - 0.02 * (high - low) < max(values) <= high, name
    assert all((channel.noise == "none") == (channel.snr_db is None) for channel in drawn)


def test_a_setting_changes_the_parameter_it_is_of_and_no_other():
    before = [draw(row, 0, Telephony()) for row in ROWS[:200]]
    after = [draw(row, 0, Telephony(level_db=(0.0, 0.0))) for row in ROWS[:200]]
    assert [c.model_copy(update={"level_db": 0.0}) for c in before] == after


def test_a_channel_comes_back_from_its_json():
    channel = draw(ROWS[3], 0, Telephony())
    assert PhoneChannel.model_validate_json(channel.model_dump_json()) == channel


@pytest.mark.parametrize(
    "values",
    [{"noise": "line"}, {"snr_db": 10.0}, {"codec": "g729"}, {"loss_share": 0.6}, {"burst_frames": 0.5},
     {"level_db": float("nan")}, {"level_db": 1e6}, {"frame_ms": 30}, {"high_hz": 8000}, {"seed": -1}, {"wow": 1}],
    ids=str,
)  # fmt: skip
def test_a_channel_that_no_line_has_is_refused(values):
    with pytest.raises(ValidationError):
        PhoneChannel(**{"codec": "alaw", **values})


@pytest.mark.parametrize(
    ("values", "said"),
    [({"splits": ["test", "test"]}, "twice"), ({"splits": ["phone"]}, "telephony.splits"),
     ({"codecs": {"alaw": 0}}, "weight over 0"), ({"codecs": {"amr": 1}}, "telephony.codecs"),
     ({"noises": {"none": 0.0}}, "weight over 0"), ({"snr_db": [30, 10]}, "lower limit comes first"),
     ({"loss_share": [0, 0.7]}, "telephony.loss_share"), ({"lossy": 1}, "telephony.lossy")],
    ids=str,
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(values, said, with_settings):
    with pytest.raises(FoundryError, match=said):
        with_settings(telephony=values)
