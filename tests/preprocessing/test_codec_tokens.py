"""Codec tokens fit their codec or are refused with the reason."""

from __future__ import annotations

import numpy as np
import pytest

from data_foundry.preprocessing.codec_tokens import check_codes
from data_foundry.preprocessing.reasons import REASONS
from data_foundry.records import Rejected

from .raw_builders import TOKENS, entry

REST = [[1, 2]] * 3


@pytest.mark.parametrize(
    ("layers", "encoded_len", "reason"),
    [
        ([[1, 2]] * 3, 2, "codec_layers"),
        ([[1, 2]] * 8, 2, "codec_layers"),
        ([[1, 2], [1, 2], [1], [1, 2]], 2, "codec_unequal_layers"),
        ([[1, 2]] * 4, 3, "codec_length"),
        ([[1, 2]] * 4, -2, "codec_length"),
        ([[1, 2]] * 4, 2.5, "codec_length"),
        ([[1, 2]] * 4, "two", "codec_length"),
        ([[1, 2]] * 4, float("inf"), "codec_length"),
        ([[1, 2]] * 4, [2], "codec_length"),
        ([[1, 4032], *REST], 2, "codec_out_of_range"),
        ([[1, -1], *REST], 2, "codec_out_of_range"),
        ([np.array([1, 9999]), *REST], 2, "codec_out_of_range"),
        ([[1, None], *REST], 2, "codec_not_integer"),
        ([[1, 2.0], *REST], 2, "codec_not_integer"),
        ([[1, float("nan")], *REST], 2, "codec_not_integer"),
        ([[1, True], *REST], 2, "codec_not_integer"),
        ([[1, "2"], *REST], 2, "codec_not_integer"),
        ([[[1], [2]], *REST], 2, "codec_not_integer"),
        (["12", *REST], 2, "codec_not_integer"),
        ([5, *REST], 2, "codec_not_integer"),
        ([[], [], [], []], 0, "codec_empty"),
        ([None, [1], [1], [1]], 1, "codec_layers"),
        ([[1], [1], [1], []], 1, "codec_empty"),
        ([], 0, "codec_empty"),
    ],
)
def test_tokens_that_do_not_fit_their_codec_are_refused(layers, encoded_len, reason):
    with pytest.raises(Rejected) as refusal:
        check_codes(layers, encoded_len, entry(TOKENS).codec)
    assert refusal.value.reason == reason
    assert reason in REASONS


@pytest.mark.parametrize("encoded_len", [50, 50.0, "50", np.int64(50), None, "", float("nan")])
def test_tokens_that_fit_tell_their_duration(encoded_len):
    assert check_codes([[0, 4031] * 25] * 4, encoded_len, entry(TOKENS).codec) == pytest.approx(4.0)


def test_one_frame_is_a_duration_and_arrays_are_layers():
    assert check_codes([[0]] * 4, None, entry(TOKENS).codec) == pytest.approx(0.08)
    assert check_codes([np.arange(25)] * 4, 25, entry(TOKENS).codec) == pytest.approx(2.0)


def test_the_message_names_the_code_and_the_layer():
    with pytest.raises(Rejected, match=r"code 4032 in layer 2, allowed 0\.\.4031"):
        check_codes([[1], [4032], [1], [1]], 1, entry(TOKENS).codec)
