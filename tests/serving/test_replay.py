"""A replay calls the gateway as a client does, takes refusals for what they are, and anything else for a failure."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from email import message_from_bytes
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from replayed_gateway import ReplayedGateway

from data_foundry.config import Settings
from data_foundry.engines import ENGINES, AIEngine
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Stage, Version
from data_foundry.lake import Lake, Layer
from data_foundry.preprocessing.audio import wav_bytes
from data_foundry.serving.replay import replay
from data_foundry.serving.replay_calls import ReplayCall, g711_wav, replay_calls, speech_call, text_call
from data_foundry.serving.shadow import Replayed
from data_foundry.serving.trials.store import TrialStore
from data_foundry.serving.trials.trial import Losses, Trial

TRIAL = Trial("sentiment", "abc123def456", "base", Stage.SHADOW, "2026-01-02T03:04:05Z", "replay")
SPEC = ENGINES[AIEngine.SENTIMENT]
# Written for this test; not checked by a native speaker.
TEXT = "ബിൽ അടയ്ക്കണം"
Gateway = Callable[..., ReplayedGateway]


def calls(count: int) -> list[ReplayCall]:
    return [text_call(SPEC, "sentiment", {"row_id": f"r{n}", "text": TEXT, "label": "good"}) for n in range(count)]


@pytest.fixture
def gateway(settings: Settings, tmp_path: Path) -> Iterator[Gateway]:
    with ExitStack() as stack:

        def build(**given: Any) -> ReplayedGateway:
            store = TrialStore(Lake(settings), tmp_path / "trials.sqlite")
            stack.callback(store.close)
            options = {"incumbent": lambda call_id: "bad", "candidate": lambda call_id: "good", **given}
            return ReplayedGateway(TRIAL, SPEC.task, store, 1.0, **options)

        yield build


def replayed(gateway: ReplayedGateway, settings: Settings, count: int = 20) -> Replayed:
    return replay(calls(count), gateway, TRIAL, settings)


def test_every_call_is_sent_under_its_rows_id_and_gets_its_reference_as_feedback(
    gateway: Gateway, settings: Settings
) -> None:
    built = gateway()
    found = replayed(built, settings)
    assert [call_id for call_id, _, _ in built.requests] == [f"r{n}" for n in range(20)]
    assert {path for _, path, _ in built.requests} == {"/v1/sentiment"}
    assert json.loads(built.requests[0][2]) == {"text": TEXT, "model": "sentiment"}
    assert (found.calls, len(found.milliseconds), found.counts["answered"]) == (20, 20, 20)
    assert found.milliseconds[0] == 2.5 and found.sent_as == {"text": 20}
    kept = [each for _, each in built.store.observations(TRIAL.id)]
    losses = [(each.incumbent, each.candidate) for each in kept if isinstance(each, Losses)]
    assert losses == [(1.0, 0.0)] * 20


def test_a_row_that_the_gateway_refuses_is_counted_with_its_reason(gateway: Gateway, settings: Settings) -> None:
    built = gateway(refuses=lambda call_id: "too_many_tokens" if call_id == "r7" else None)
    found = replayed(built, settings)
    assert (found.calls, len(found.milliseconds), found.refused) == (20, 19, {"too_many_tokens": 1})


def test_a_mistake_of_the_client_is_no_refusal(gateway: Gateway, settings: Settings) -> None:
    with pytest.raises(FoundryError, match=r"answered call r0 .* with 400"):
        replayed(gateway(refuses=lambda call_id: "invalid_value"), settings)


def test_a_gateway_that_is_busy_is_asked_again(gateway: Gateway, settings: Settings) -> None:
    assert len(replayed(gateway(busy=3), settings).milliseconds) == 20


def test_whatever_else_the_gateway_says_fails_the_replay(gateway: Gateway, settings: Settings) -> None:
    def broken(call_id: str) -> str:
        raise RuntimeError("the model is gone")

    with pytest.raises(RuntimeError):
        replayed(gateway(incumbent=broken), settings)


def test_an_answer_of_another_version_fails_the_replay(gateway: Gateway, settings: Settings) -> None:
    other = Trial("sentiment", TRIAL.candidate, "fedcba987654", Stage.SHADOW, TRIAL.since, "replay")
    with pytest.raises(FoundryError, match="sentiment/base answered a replayed call, not sentiment/fedcba987654"):
        replay(calls(1), gateway(), other, settings)


def test_a_trial_that_ended_meanwhile_fails_the_replay(gateway: Gateway, settings: Settings) -> None:
    built = gateway()
    built.state = lambda: {"adapters": {"sentiment": {"trials": []}}}  # type: ignore[method-assign]
    with pytest.raises(FoundryError, match="does not try sentiment/abc123def456 any more"):
        replayed(built, settings)


def waiting(**counts: Any) -> dict[str, Any]:
    found = {"trial": TRIAL.id, "calls": 1, "chosen": 10, "answered": 0, "timed_out": 0, "errors": {}, "waiting": 10}
    return {"adapters": {"sentiment": {"trials": [{**found, **counts}]}}}


def test_it_waits_until_the_candidate_heard_all_that_it_was_to_hear(gateway: Gateway, settings: Settings) -> None:
    built = gateway()
    states = [waiting(), waiting(waiting=3), waiting(waiting=0, answered=10)]
    built.state = lambda: states.pop(0)  # type: ignore[method-assign]
    assert replayed(built, settings, 1).counts["answered"] == 10
    assert states == []


def test_it_does_not_wait_for_a_candidate_whose_verdict_is_known(gateway: Gateway, settings: Settings) -> None:
    built = gateway()
    built.state = lambda: waiting(timed_out=6, waiting=4)  # type: ignore[method-assign]
    assert replayed(built, settings, 1).counts["waiting"] == 4


@pytest.mark.parametrize(
    ("direction", "text", "truth"), [("ml-en", TEXT, "pay the bill"), ("en-ml", "pay the bill", TEXT)]
)
def test_a_translation_is_asked_for_in_the_rows_direction(direction: str, text: str, truth: str) -> None:
    row = {"row_id": "a", "text": TEXT, "translation": "pay the bill", "direction": direction}
    call = text_call(ENGINES[AIEngine.TRANSLATION], "translation", row)
    assert call.body["json"] == {"text": text, "direction": direction, "model": "translation"}
    assert (call.path, call.truth) == ("/v1/translate", truth)


def test_generated_speech_gets_no_feedback() -> None:
    call = text_call(ENGINES[AIEngine.TTS], "tts", {"row_id": "a", "text": TEXT, "codes": [[1]]})
    assert (call.path, call.body, call.truth) == ("/v1/audio/tokens", {"json": {"input": TEXT, "model": "tts"}}, None)


def tone(seconds: float = 0.5) -> Any:
    return 0.3 * np.sin(2 * np.pi * 440 * np.arange(int(16000 * seconds)) / 16000).astype(np.float32)


@pytest.mark.parametrize(("codec", "subtype"), [("alaw", "ALAW"), ("ulaw", "ULAW"), ("gsm", "ALAW")])
def test_a_row_as_heard_on_the_phone_goes_as_the_line_carries_it(codec: str, subtype: str) -> None:
    row = {"audio": {"bytes": wav_bytes(tone())}, "channel_parameters": json.dumps({"channel": {"codec": codec}})}
    file = g711_wav(row)
    info = soundfile.info(io.BytesIO(file))
    assert (info.format, info.subtype, info.samplerate, info.channels) == ("WAV", subtype, 8000, 1)
    samples, _ = soundfile.read(io.BytesIO(file))
    loudest = np.argmax(np.abs(np.fft.rfft(samples * np.hanning(len(samples))))) * 8000 / len(samples)
    assert abs(loudest - 440) < 5 and 0.25 < np.abs(samples[400:-400]).max() < 0.35


def test_speech_is_sent_as_a_file_with_the_name_of_its_adapter(gateway: Gateway, settings: Settings) -> None:
    built = gateway()
    row = {"row_id": "a", "audio": {"bytes": wav_bytes(tone())}, "text": TEXT}
    spec = ENGINES[AIEngine.STT]
    line = g711_wav({"audio": row["audio"]})
    sent = [speech_call(spec, "stt", row, None), speech_call(spec, "stt.malabar", {**row, "row_id": "b"}, line)]
    assert [call.sent_as for call in sent] == ["wav", "g711"]
    with built.client as client:
        for call in sent:
            request = client.build_request("POST", call.path, **call.body)
            head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
            fields, file = message_from_bytes(head + request.read()).get_payload()
            assert fields.get_payload() == call.body["data"]["model"]
            assert file.get_payload(decode=True) == call.body["files"]["file"][1]
            assert request.url.path == "/v1/audio/transcriptions" and call.truth == TEXT


def test_held_out_speech_goes_over_the_line_where_gold_says_how_it_sounds_there(lake: Lake) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    said = {"audio": {"bytes": wav_bytes(tone()), "path": None}, "text": TEXT, "channel_parameters": None}
    rows = [{"row_id": f"r{number}", **said} for number in range(6)]
    with lake.commit(Layer.GOLD, "stt", "gold key") as commit:
        for split, part in (("test", rows), ("test_phone", rows[:3])):
            pq.write_table(pa.Table.from_pylist(part), commit.path(f"{split}/part-00000.parquet"))
        commit.publish()
    version = Version("stt", "abc123def456", "a", "b", "owner/base", None, Stage.SHADOW, "heard", "2026", "2026")
    found = list(replay_calls(lake, ENGINES[AIEngine.STT], version, 100))
    assert [(call.call_id, call.sent_as) for call in found] == [
        *((f"r{number}", "g711") for number in range(3)),
        *((f"r{number}", "wav") for number in range(3, 6)),
    ]
    some = [call.call_id for call in replay_calls(lake, ENGINES[AIEngine.STT], version, 4)]
    assert len(some) == 4 and some == sorted(some)
    assert some == [call.call_id for call in replay_calls(lake, ENGINES[AIEngine.STT], version, 4)]
