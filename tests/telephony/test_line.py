"""A phone line: its band, its level, its noise, its alignment, and what it does with extremes."""

import tracemalloc

import numpy as np
import pytest

from data_foundry.preprocessing.bandwidth import bandwidth
from data_foundry.preprocessing.loudness import active_level
from data_foundry.records import SAMPLE_RATE, Rejected
from data_foundry.telephony import line
from data_foundry.telephony import noise as noise_module
from data_foundry.telephony.channel import PhoneChannel, draw
from data_foundry.telephony.line import CEILING, through, transmit
from data_foundry.telephony.noise import babble, line_noise
from data_foundry.telephony_settings import Telephony
from tests.telephony.voice_builders import decibels, shift, tone, voice

CODECS = ("alaw", "ulaw", "gsm", "opus_nb")
CLEAN = PhoneChannel(codec="alaw")


def inner(samples: np.ndarray) -> np.ndarray:
    return samples[1600:-1600]


@pytest.mark.parametrize("frequency", [350, 700, 1000, 2000, 3000, 3300])
def test_tones_in_the_band_keep_their_level(frequency):
    sent = tone(frequency)
    assert decibels(inner(through(sent, CLEAN))) == pytest.approx(decibels(sent), abs=0.5)


@pytest.mark.parametrize("frequency", [300, 3400])
def test_the_edges_of_the_band_lose_little(frequency):
    sent = tone(frequency)
    assert decibels(sent) - 3 < decibels(inner(through(sent, CLEAN))) < decibels(sent) - 0.2


@pytest.mark.parametrize("frequency", [50, 100, 150, 3600, 3800, 3990, 4010, 5000, 6500, 7900])
def test_tones_outside_the_band_are_gone(frequency):
    sent = tone(frequency, amplitude=0.5)
    assert decibels(sent) - decibels(inner(through(sent, CLEAN)) + 1e-9) > 40


def test_a_constant_is_gone():
    heard = through(np.full(16_000, 0.3, np.float32), CLEAN)
    assert np.abs(inner(heard)).max() < 0.001


@pytest.mark.parametrize("codec", CODECS)
def test_nothing_above_the_band_comes_out_of_any_codec(codec):
    heard = through(voice(6, peak=0.7), PhoneChannel(codec=codec))
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard)))) ** 2
    frequency = np.fft.rfftfreq(len(heard), 1 / SAMPLE_RATE)
    assert spectrum[frequency > 4100].sum() < 1e-5 * spectrum.sum()


@pytest.mark.parametrize("seed", range(4))
def test_the_measure_of_phase_2_calls_a_voice_narrowband_after_the_line_and_not_before(seed, settings):
    sent = voice(6, seed=seed)
    heard = through(sent, draw(f"{seed}", 0, Telephony(codecs={"alaw": 1}, noises={"none": 1})))
    assert bandwidth(sent, SAMPLE_RATE) > settings.audio.narrowband_hz >= bandwidth(heard, SAMPLE_RATE)


@pytest.mark.parametrize("gain", [-20.0, -6.0, 0.0, 3.0])
def test_the_level_change_is_the_one_asked_for(gain):
    sent = tone(1000, amplitude=0.2)
    heard = transmit(sent, PhoneChannel(codec="alaw", level_db=gain))
    assert decibels(inner(heard.samples)) - decibels(sent) == pytest.approx(gain, abs=0.3)
    assert heard.gain_db == gain


@pytest.mark.parametrize("noise", ["none", "line"])
@pytest.mark.parametrize(("peak", "gain"), [(0.3, -12.0), (0.05, 0.0), (0.9, 9.0)])
def test_the_speech_level_is_that_of_what_the_codec_was_given(peak, gain, noise, monkeypatch):
    """Of the speech alone, and after what was turned down for the peaks."""
    monkeypatch.setattr(line, "round_trip", lambda pcm, codec: pcm)
    snr = None if noise == "none" else 30.0
    sent = voice(6, peak=peak)
    heard = transmit(sent, PhoneChannel(codec="alaw", level_db=gain, noise=noise, snr_db=snr))
    assert heard.speech_level_db == pytest.approx(active_level(heard.samples).level, abs=0.2)
    assert (heard.gain_db < gain) == (peak == 0.9)


def test_a_clip_without_speech_has_no_speech_level():
    assert transmit(np.zeros(16_000, np.float32), CLEAN).speech_level_db is None
    assert transmit(np.zeros(0, np.float32), CLEAN).speech_level_db is None


@pytest.mark.parametrize(("codec", "seconds"), [(codec, seconds) for codec in CODECS for seconds in (3.0, 3.00006)])
def test_nothing_is_shifted(codec, seconds):
    sent = voice(seconds)
    channel = PhoneChannel(codec=codec, level_db=-3, noise="line", snr_db=25, loss_share=0.02, burst_frames=2, seed=1)
    heard = through(sent, channel)
    assert len(heard) == len(sent) and heard.dtype == np.float32
    # The band takes out the fundamental: compared is what both have.
    assert shift(through(sent, CLEAN), heard) == 0
    assert shift(sent, through(sent, CLEAN)) == 0


@pytest.mark.parametrize("at", [4000, 8000, 8001, 15_999 // 2])
def test_a_click_stays_where_it_was(at):
    sent = np.zeros(16_000, np.float32)
    sent[at] = 0.9
    heard = through(sent, CLEAN)
    assert abs(int(np.abs(heard).argmax()) - at) <= 1


@pytest.mark.parametrize("noise", ["line", "babble"])
@pytest.mark.parametrize("snr", [0.0, 10.0, 25.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_snr_of_the_mixture_is_the_one_asked_for(noise, snr, seed, monkeypatch):
    # The codec would add its own noise and take the wrong side of full scale: its input is what the SNR speaks of.
    monkeypatch.setattr(line, "round_trip", lambda pcm, codec: pcm)
    sent = voice(8, peak=0.3, seed=seed)
    clean = through(sent, PhoneChannel(codec="alaw", level_db=-6, seed=seed))
    mixed = transmit(sent, PhoneChannel(codec="alaw", level_db=-6, noise=noise, snr_db=snr, seed=seed))
    assert mixed.gain_db == -6, "nothing had to be turned down"
    measured = active_level(clean).level - decibels(mixed.samples - clean)
    assert measured == pytest.approx(snr, abs=0.2)
    assert mixed.snr_db == snr


@pytest.mark.parametrize("noise", ["line", "babble"])
def test_noise_lies_in_the_band(noise):
    sent = voice(6, peak=0.3)
    mixed = through(sent, PhoneChannel(codec="alaw", noise=noise, snr_db=0.0, seed=3))
    spectrum = np.abs(np.fft.rfft(mixed * np.hanning(len(mixed)))) ** 2
    frequency = np.fft.rfftfreq(len(mixed), 1 / SAMPLE_RATE)
    outside = (frequency < 150) | (frequency > 3600)
    assert spectrum[outside].sum() < 1e-3 * spectrum.sum()


def test_a_hum_of_50_hz_is_heard_by_its_harmonics():
    noise = line_noise(8000 * 8, seed=2)
    power = np.abs(np.fft.rfft(noise)) ** 2
    per_hertz = 8
    for harmonic in (50, 300, 350, 1000):
        at = harmonic * per_hertz
        assert power[at] > 20 * np.median(power[at - 160 : at + 160]), harmonic


def test_hiss_is_pink_below_and_white_above():
    power = np.abs(np.fft.rfft(line_noise(8000 * 60, seed=4))) ** 2
    floor = [np.median(power[low * 60 : high * 60]) for low, high in ((10, 20), (40, 80), (1000, 2000), (2000, 3900))]
    assert floor[0] > 2 * floor[1] > 4 * floor[2]
    assert floor[2] == pytest.approx(floor[3], rel=0.25)


def test_babble_is_made_of_the_clip_alone_and_is_not_the_clip():
    speech = voice(6, 8000)
    noise = babble(speech, seed=1)
    assert len(noise) == len(speech)
    quiet = babble(speech * np.float32(0.5), seed=1)
    assert np.allclose(quiet, noise * 0.5, atol=1e-5), "nothing else is in it"
    spectra = [np.fft.rfft(x, 2 * len(x)) for x in (speech, noise)]
    likeness = np.fft.irfft(spectra[0].conj() * spectra[1]) / np.sqrt(np.sum(speech**2) * np.sum(noise**2))
    assert np.abs(likeness).max() < 0.35


def test_the_voices_of_babble_speak_backwards(monkeypatch):
    monkeypatch.setattr(noise_module, "_SPEEDS", (1.0, 1.0))
    speech = voice(6, 8000)
    spectrum = np.fft.rfft(babble(speech, seed=1))
    forwards, backwards = (
        np.abs(np.fft.irfft(np.fft.rfft(each).conj() * spectrum)).max() for each in (speech, speech[::-1])
    )
    assert backwards > 2 * forwards


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("noise", ["none", "line", "babble"])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 159, 160, 161, 321, 1600])
def test_clips_of_any_length_come_out_as_long(codec, noise, size):
    channel = PhoneChannel(
        codec=codec, noise=noise, snr_db=None if noise == "none" else 5.0, loss_share=0.3, burst_frames=2, seed=9
    )
    heard = transmit(voice(1)[:size], channel)
    assert heard.samples.shape == (size,) and heard.samples.dtype == np.float32
    assert np.isfinite(heard.samples).all()
    assert heard.frames == -(-size // 320) and heard.lost_frames <= heard.frames


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("noise", ["line", "babble"])
def test_silence_stays_silence_and_says_that_no_noise_was_added(codec, noise):
    heard = transmit(np.zeros(16_000, np.float32), PhoneChannel(codec=codec, noise=noise, snr_db=10.0))
    assert np.abs(heard.samples).max() < 0.001
    assert heard.snr_db is None


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("noise", ["none", "line", "babble"])
def test_a_full_scale_clip_is_turned_down_as_a_whole_instead_of_clipped(codec, noise, monkeypatch):
    given = []
    monkeypatch.setattr(line, "round_trip", lambda pcm, codec: (given.append(pcm), pcm)[1])
    sent = voice(4, peak=1.0)
    heard = transmit(
        sent, PhoneChannel(codec=codec, level_db=9, noise=noise, snr_db=None if noise == "none" else 3.0, seed=4)
    )
    assert np.abs(given[0].astype(int)).max() <= round(CEILING * 32768)
    assert heard.gain_db < 9
    without = transmit(sent, PhoneChannel(codec=codec, level_db=heard.gain_db)) if noise == "none" else heard
    assert np.allclose(heard.samples, without.samples, atol=2e-4), "the shape is that of the clip at a lower gain"


@pytest.mark.parametrize("codec", CODECS)
def test_a_square_wave_at_full_scale_stays_within_full_scale(codec):
    sent = np.sign(tone(500) + 1e-9).astype(np.float32)
    heard = through(sent, PhoneChannel(codec=codec, level_db=10))
    assert np.abs(heard).max() <= 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_samples_that_are_no_sound_are_refused(value):
    sent = voice(1)
    sent[700] = value
    with pytest.raises(Rejected, match="audio_corrupt"):
        through(sent, CLEAN)


def test_the_clip_that_was_given_is_left_as_it_was():
    sent = voice(1)
    kept = sent.copy()
    through(sent, PhoneChannel(codec="alaw", level_db=3, noise="babble", snr_db=5.0, loss_share=0.2, burst_frames=2))
    assert np.array_equal(sent, kept)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("noise", ["line", "babble"])
def test_the_same_clip_and_channel_give_the_same_samples_whatever_went_before(codec, noise):
    channel = PhoneChannel(codec=codec, noise=noise, snr_db=12.0, loss_share=0.1, burst_frames=2, seed=77)
    first = through(voice(3), channel)
    np.random.seed(5)
    through(voice(2, seed=3), channel.model_copy(update={"seed": 8}))
    assert np.array_equal(through(voice(3), channel), first)
    assert not np.array_equal(through(voice(3), channel.model_copy(update={"seed": 78})), first)


def test_the_loss_that_is_told_is_the_loss_there_is():
    sent = tone(125, seconds=60)
    channel = PhoneChannel(codec="alaw", loss_share=0.1, burst_frames=3, concealment="silence", seed=6, low_hz=100)
    heard = transmit(sent, channel)
    frames = heard.samples.reshape(-1, 320)
    silent = np.abs(frames[:, 120:200]).max(axis=1) < 0.01
    assert heard.frames == 3000
    assert heard.lost_frames == silent.sum()
    assert heard.lost_frames / heard.frames == pytest.approx(0.1, abs=0.04)


@pytest.mark.slow
def test_half_an_hour_takes_a_small_multiple_of_its_own_memory():
    sent = np.tile(voice(60), 30)
    tracemalloc.start()
    through(sent, PhoneChannel(codec="alaw", noise="babble", snr_db=10.0, loss_share=0.02, burst_frames=2))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * sent.nbytes
