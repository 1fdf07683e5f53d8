"""The endpoints over a service that answers without a model."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import logging
import struct
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

from data_foundry.errors import FoundryError
from data_foundry.preprocessing.audio import to_16k
from data_foundry.serving.calls import InvalidAnswer, Overloaded, Starting, TimedOut
from data_foundry.serving.http import operations
from data_foundry.serving.http.api_keys import ApiKeys, OneKey
from data_foundry.serving.http.app import create_app, keys_of
from data_foundry.serving.http.calling import _Asked
from data_foundry.serving.http.entrance import Entrance
from data_foundry.serving.route_table import NOT_STARTED
from tests.serving import fakes

KEYS = {"Authorization": "Bearer df-ours"}


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    """Making an application costs more than most tests: they share one, over a gateway that each gets anew."""
    settings = fakes.settings(tmp_path_factory.mktemp("base"), max_text_characters=50, max_upload_mib=1)
    service = fakes.FakeService(settings)
    with TestClient(create_app(service, fakes.Gate())) as found:
        yield service, found


@pytest.fixture
def service(application):
    found, _ = application
    found.gateway = fakes.FakeGateway()
    found.watch.refused.clear()
    return found


@pytest.fixture
def client(application, service):
    _, found = application
    found.headers = KEYS
    return found


def error_of(response, status, code):
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code", "request_id"}
    assert error["request_id"] == response.headers["x-request-id"]
    assert error["code"] == code
    assert response.headers["x-call-id"]
    return error["message"]


def over(service):
    """An asynchronous client of an application, for what happens at once."""
    transport = httpx.ASGITransport(create_app(service, fakes.Gate()))
    return httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=KEYS)


def transcribe(client, file, path="/v1/audio/transcriptions", **fields):
    return client.post(path, files={"file": ("call.wav", file)}, data=fields)


def samples_of(row):
    return soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32")


# --- calls


def test_every_answer_tells_call_version_and_milliseconds(client, service):
    response = client.post("/v1/sentiment", json={"text": "കൊള്ളാം"}, headers={"X-Call-Id": "call-7"})
    assert response.json() == {
        "label": "negative", "confidence": 0.75, "confidences": {"negative": 0.75, "positive": 0.25},
        "ivr_label": "frustration", "call_id": "call-7", "adapter": "sentiment", "version": fakes.VERSION,
        "milliseconds": 1.5, "fallback": None, "request_id": response.headers["X-Request-Id"],
    }  # fmt: skip
    assert response.headers["x-call-id"] == "call-7"
    assert response.headers["x-model-version"] == f"sentiment/{fakes.VERSION}"
    assert response.headers["x-model-milliseconds"] == "1.500"
    assert service.gateway.rows == [("sentiment", "ours/call-7", {"text": "കൊള്ളാം"})]


def test_a_call_without_an_id_gets_one_of_its_own(client):
    first, second = (client.post("/v1/sentiment", json={"text": "ശരി"}) for _ in range(2))
    assert first.json()["call_id"] == first.headers["x-call-id"] != second.headers["x-call-id"]
    assert len(first.json()["call_id"]) == 36


@pytest.mark.parametrize("bad", ["", "a b", "x" * 129, "a/b", "ä"])
def test_a_call_id_that_could_be_mistaken_for_something_else_is_refused(client, bad):
    response = client.post("/v1/sentiment", json={"text": "ശരി"}, headers={"X-Call-Id": bad.encode("latin-1")})
    error_of(response, 400, "invalid_call_id")


def test_understanding_is_intent_and_topic_of_one_text(client):
    body = client.post("/v1/understand", json={"text": "ബാലൻസ് എത്ര"}).json()
    assert (body["intent"]["label"], body["topic"]["label"]) == ("balance", "sport")
    assert body["intent"]["confidence"] == 0.75 and body["not_served"] == {}


def test_a_topic_that_nobody_serves_leaves_the_intent(client, service):
    service.gateway.table["nlu.topic"].why = "not trained"
    response = client.post("/v1/understand", json={"text": "ബാലൻസ് എത്ര"})
    assert response.json()["topic"] is None and response.json()["intent"]["label"] == "balance"
    assert "/secret" not in response.text and response.json()["not_served"]["topic"]
    del service.gateway.table["nlu"]
    error_of(client.post("/v1/understand", json={"text": "ബാലൻസ് എത്ര"}), 404, "not_served")


@pytest.mark.parametrize(
    "refusal", [Starting("It starts.", "Come again."), Overloaded("Too many wait.", "Come again."), RuntimeError("x")]
)
def test_what_only_a_trial_hears_fails_no_caller_whom_the_other_half_answers(client, service, refusal):
    service.gateway.table["nlu"].why = "nothing may answer"
    service.gateway.table["nlu"].mirrors = {"a trial": "its mirror"}
    submit = service.gateway.submit

    def refusing(adapter, *given, **named):
        if adapter == "nlu":
            raise refusal
        return submit(adapter, *given, **named)

    service.gateway.submit = refusing
    response = client.post("/v1/understand", json={"text": "ബാലൻസ് എത്ര"})
    assert response.status_code == 200 and response.json()["topic"]["label"] == "sport"
    assert response.json()["intent"] is None and response.json()["not_served"]["intent"]
    service.gateway.table["nlu.topic"].why = "not trained"
    assert client.post("/v1/understand", json={"text": "ബാലൻസ് എത്ര"}).status_code in (429, 500)


def test_a_half_that_nobody_serves_is_no_failure_where_the_other_answers(client, service):
    service.gateway.table["nlu.topic"].why = "not trained"
    asked, submit = [], service.gateway.submit

    def noted(adapter, *given, **named):
        asked.append(adapter)
        return submit(adapter, *given, **named)

    service.gateway.submit = noted
    assert client.post("/v1/understand", json={"text": "ബാലൻസ് എത്ര"}).status_code == 200
    assert asked == ["nlu"]


def test_a_text_without_words_is_refused_in_the_same_words_however_it_is_empty(client):
    said = {client.post("/v1/sentiment", json={"text": text}).json()["error"]["message"] for text in ("", "   ")}
    assert said == {"text: it is empty. Send at least one word."}


def test_a_polarity_that_is_unknown_claims_nothing_of_the_caller(client, service, monkeypatch):
    monkeypatch.setitem(fakes.LABELS, "sentiment", ("unknown", "positive"))
    found = client.post("/v1/sentiment", json={"text": "ശരി"}).json()
    assert (found["label"], found["ivr_label"]) == ("unknown", None)


@pytest.mark.parametrize("path", ["/", "/health"])
def test_who_asks_for_the_head_alone_is_answered(client, path):
    found = client.head(path)
    assert found.status_code == 200 and found.headers["content-type"] == client.get(path).headers["content-type"]


def test_a_translation_stands_on_the_side_that_gold_has_it(client, service):
    assert client.post("/v1/translate", json={"text": "നന്ദി"}).json()["text"] == "<നന്ദി>"
    assert client.post("/v1/translate", json={"text": "thanks", "direction": "en-ml"}).json()["text"] == "<thanks>"
    assert [row for _, _, row in service.gateway.rows] == [
        {"text": "നന്ദി", "translation": None, "direction": "ml-en"},
        {"text": None, "translation": "thanks", "direction": "en-ml"},
    ]


def test_a_dialect_is_heard_in_a_form_and_read_in_json(client, service):
    assert transcribe(client, fakes.phone_wav(), "/v1/dialect").json()["adapter"] == "dialect"
    assert client.post("/v1/dialect", json={"text": "എന്താണ്"}).json()["adapter"] == "dialect.text"
    error_of(
        client.post("/v1/dialect", content=b"{", headers={"content-type": "application/json"}), 400, "invalid_json"
    )
    error_of(client.post("/v1/dialect", json={"text": 3}), 400, "invalid_value")
    error_of(
        client.post("/v1/dialect", content=b"x", headers={"content-type": "text/plain"}), 415, "unsupported_media_type"
    )


def test_tokens_are_told_with_their_layers_and_frames(client):
    body = client.post("/v1/audio/tokens", json={"input": "നന്ദി"}).json()
    assert (body["codes"], body["layers"], body["frames"]) == (fakes.CODES, 2, 3)


def test_speech_without_a_codec_points_to_the_tokens(client):
    message = error_of(client.post("/v1/audio/speech", json={"input": "നന്ദി"}), 404, "no_codec")
    assert "/v1/audio/tokens" in message


@pytest.mark.parametrize("shape", ["wav", "flac", "mp3", "opus", "pcm"])
def test_speech_is_sound_where_there_is_a_codec(tmp_path, monkeypatch, shape):
    from data_foundry.finetuning.evaluation import heard_speech

    def open_codec(folder, layers, codebook_size):
        assert (layers, codebook_size) == (2, 64)
        return lambda codes: fakes.tone(0.5)[:, 0]

    monkeypatch.setattr(heard_speech, "open_codec", open_codec)
    monkeypatch.setattr("data_foundry.hub.model_folder", lambda settings, name: tmp_path / name)
    service = fakes.FakeService(fakes.settings(tmp_path, codec="owner/codec"))
    with TestClient(create_app(service, fakes.Gate()), headers=KEYS) as client:
        response = client.post("/v1/audio/speech", json={"input": "നന്ദി", "voice": "x", "response_format": shape})
    assert response.status_code == 200 and response.headers["x-model-version"] == f"tts/{fakes.VERSION}"
    if shape == "pcm":
        assert len(response.content) == 24_000
        return
    samples, rate = soundfile.read(io.BytesIO(response.content))
    assert rate == 16_000 and abs(len(samples) / rate - 0.5) < 0.1 and np.abs(samples).max() > 0.1


def test_a_codec_that_can_not_be_opened_is_the_operators_to_mend(tmp_path, monkeypatch):
    def gone(settings, name):
        raise FoundryError("/secret/folder is gone.", "Mend it.")

    monkeypatch.setattr("data_foundry.hub.model_folder", gone)
    service = fakes.FakeService(fakes.settings(tmp_path, codec="owner/codec"))
    with TestClient(create_app(service, fakes.Gate()), headers=KEYS) as client:
        response = client.post("/v1/audio/speech", json={"input": "നന്ദി"})
    error_of(response, 404, "no_codec")
    assert "secret" not in response.text


# --- audio


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW"])
def test_a_phone_call_in_g711_is_heard_at_16_khz_as_phase_2_makes_it(client, service, subtype):
    file = fakes.phone_wav(1.25, subtype)
    body = transcribe(client, file, model="stt", response_format="verbose_json").json()
    assert (body["text"], body["language"], body["duration"]) == (fakes.TRANSCRIPT, "malayalam", 1.25)
    heard, rate = samples_of(service.gateway.rows[0][2])
    sent, _ = soundfile.read(io.BytesIO(file), dtype="float32")
    expected = to_16k(sent, 8000)
    assert rate == 16_000 and np.abs(heard - expected).max() <= 0.5 / 32768 + 1e-6


@pytest.mark.parametrize(
    "kind,subtype",
    [("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("FLAC", None), ("OGG", None), ("MP3", None)],
)
@pytest.mark.parametrize("rate,channels", [(8000, 1), (44_100, 2), (48_000, 1)])
def test_common_files_are_heard(client, service, kind, subtype, rate, channels):
    response = transcribe(client, fakes.audio_file(1.0, rate, channels, kind, subtype))
    assert response.json()["text"] == fakes.TRANSCRIPT
    samples, heard_rate = samples_of(service.gateway.rows[0][2])
    assert heard_rate == 16_000 and samples.ndim == 1
    assert abs(len(samples) / 16_000 - 1) < 0.12, "codecs pad"


def test_a_transcript_can_be_plain_text(client):
    response = transcribe(client, fakes.phone_wav(), response_format="text")
    assert response.text == fakes.TRANSCRIPT + "\n"
    assert response.headers["content-type"].startswith("text/plain")
    assert response.headers["x-model-version"] == f"stt/{fakes.VERSION}"


def beyond_full_scale() -> bytes:
    return fakes.wav_header(4 * 16_000, bits=32, tag=3) + np.full(16_000, np.nan, "<f4").tobytes()


BROKEN = {
    "audio_empty": fakes.wav_header(0),
    "audio_truncated": fakes.audio_file(1.0)[:-2000],
    "audio_corrupt": b"no audio begins like this",
    "too_short": fakes.audio_file(0.05),
    "audio_silent": fakes.wav_header(32_000) + bytes(32_000),
    "audio_too_long": fakes.audio_file(31, 8000, subtype="ULAW"),
}


@pytest.mark.parametrize("code", BROKEN)
def test_broken_audio_is_refused_with_its_reason(client, service, code):
    message = error_of(transcribe(client, BROKEN[code]), 400, code)
    assert message.endswith((".", "!")) and not service.gateway.rows
    assert service.watch.refused == [("stt", f"rejected:{code}")]
    if code == "audio_too_long":
        assert "31.0 s, the limit is 30 s" in message


@pytest.mark.parametrize("name,file", {
    "not a number": beyond_full_scale(),
    "nothing": b"",
    "text": "നമസ്കാരം".encode(),
    "a rate of 4 GHz": fakes.wav_header(32_000, rate=0xF0000000) + bytes(32_000),
    "65535 channels": fakes.wav_header(32_000, channels=65_535) + bytes(32_000),
    "a phone's silence": fakes.wav_header(16_000, rate=8000, bits=8, tag=6) + b"\xd5" * 16_000,
    "a header alone": fakes.audio_file(1.0)[:20],
}.items())  # fmt: skip
def test_files_that_lie_are_refused(client, name, file):
    response = transcribe(client, file)
    assert response.status_code in (400, 415), name
    assert response.json()["error"]["code"]


def test_a_header_that_promises_hours_is_not_decoded(client, monkeypatch):
    """A FLAC of silence is a hundredth of what it decodes to; what its header says of its length is believed first."""
    file = bytearray(fakes.audio_file(1.0, 16_000, kind="FLAC"))
    # STREAMINFO: 36 bits of total samples end at byte 26.
    file[22:26] = struct.pack(">I", 0xFFFFFFF0)
    reads = []
    monkeypatch.setattr("data_foundry.preprocessing.audio.read_blocks", lambda recording: reads.append(recording))
    error_of(transcribe(client, bytes(file)), 400, "audio_too_long")
    assert not reads


def test_what_only_ffmpeg_reads_is_refused_and_no_child_is_started(client, monkeypatch):
    def started(*arguments, **named):
        raise AssertionError("a child process")

    monkeypatch.setattr("subprocess.Popen", started)
    mp4 = b"\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00M4A mp42isom" + bytes(100)
    response = transcribe(client, mp4)
    assert response.status_code in (400, 415)
    assert "WAV" in response.json()["error"]["message"]


def test_a_file_that_does_not_tell_its_length_is_not_called_a_wrong_format(client):
    flac = bytearray(fakes.audio_file(1.0, 16_000, kind="FLAC"))
    flac[21] &= 0xF0
    flac[22:26] = bytes(4)
    wav = fakes.wav_header(0) + fakes.audio_file(1.0)[44:]
    for name, file in (("flac", bytes(flac)), ("wav", wav)):
        message = error_of(transcribe(client, file), 415, "audio_unsupported")
        assert f"this {name} file does not tell its whole length" in message
    webm = b"\x1aE\xdf\xa3\x80" + bytes(100)
    assert "its format is matroska" in error_of(transcribe(client, webm), 415, "audio_unsupported")


# --- forms


@pytest.mark.parametrize("fields,code,param", [
    ({"model": "gpt-9"}, "model_not_found", "model"),
    ({"language": "hi"}, "unsupported_language", "language"),
    ({"response_format": "srt"}, "invalid_value", "response_format"),
    ({"temperature": "nan"}, "invalid_value", "temperature"),
    ({"temperature": "warm"}, "invalid_value", "temperature"),
    ({"stream": "true"}, "unsupported_parameter", "stream"),
    ({"timestamp_granularities[]": "word"}, "unsupported_parameter", "timestamp_granularities[]"),
    ({"colour": "blue"}, "unknown_parameter", None),
    ({"prompt": "x" * 20_000}, "invalid_value", "prompt"),
])  # fmt: skip
def test_fields_that_can_not_be_met_are_refused(client, fields, code, param):
    response = transcribe(client, fakes.phone_wav(), **fields)
    error_of(response, 404 if code == "model_not_found" else 400, code)
    assert response.json()["error"]["param"] == param
    assert "blue" not in response.text and "colour" not in response.text


def test_a_known_client_may_name_openais_model(client):
    assert transcribe(client, fakes.phone_wav(), model="whisper-1", language="ml", temperature="0").status_code == 200


PART = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
END = b"--b--\r\n"
# The body, and the rest of the Content-Type.
FORMS = {
    "no boundary": (b"x", ""),
    "long boundary": (b"x", "; boundary=" + "b" * 200),
    "not closed": ((PART % (b"file", b"abc"))[:-2], "; boundary=b"),
    "no end": (PART % (b"file", b"abc"), "; boundary=b"),
    "no name": (b"--b\r\nContent-Disposition: form-data\r\n\r\nabc\r\n" + END, "; boundary=b"),
    "no disposition": (b"--b\r\nX: y\r\n\r\nabc\r\n" + END, "; boundary=b"),
    "garbage": (b"\x00\xff" * 50, "; boundary=b"),
    "many parts": (PART % (b"prompt", b"abc") * 30 + END, "; boundary=b"),
    "long header": (b"--b\r\nX: " + b"y" * 9000 + b"\r\n\r\nabc\r\n" + END, "; boundary=b"),
    "a field of bytes": (PART % (b"prompt", b"\xff\xfe") + END, "; boundary=b"),
    "two files": (PART % (b"file", b"a") * 2 + END, "; boundary=b"),
    "no file": (PART % (b"model", b"stt") + END, "; boundary=b"),
    "an odd charset": (END, '; charset="idna\0"; boundary=b'),
}


@pytest.mark.parametrize("name", FORMS)
def test_broken_forms_are_refused(client, name):
    body, rest = FORMS[name]
    headers = {"Content-Type": f"multipart/form-data{rest}"}
    response = client.post("/v1/audio/transcriptions", content=body, headers=headers)
    assert response.status_code == 400 and response.json()["error"]["code"], response.text


# --- texts


@pytest.mark.parametrize(
    "text,code", [("", "empty_text"), (" \n", "empty_text"), ("ക" * 51, "text_too_long"), ("a\0b", "invalid_text")]
)
def test_texts_that_are_none_are_refused(client, text, code):
    error_of(client.post("/v1/understand", json={"text": text}), 400, code)


@pytest.mark.parametrize("body", [
    b'{"text": "\\ud800"}', b'{"text": 5}', b'{"text": null}', b"[]", b"null", b"", b"{", b"[" * 5000, b"\xff\xfe",
    b'{"text": "a", "secret-key": 1}', b'{"text": ' + b"1" * 5000 + b"}", b'{"text": NaN}', b'"\xed\xa0\x80"',
    b'{"text": "a"} x',
])  # fmt: skip
def test_broken_json_is_refused_without_repeating_it(client, body):
    response = client.post("/v1/understand", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400, response.text
    assert "secret" not in response.text and response.json()["error"]["message"]


def test_json_sent_as_something_else_is_refused(client):
    response = client.post("/v1/understand", content=b'{"text": "a"}', headers={"Content-Type": "text/plain"})
    error_of(response, 400, "invalid_body")


def test_what_the_model_can_not_take_is_the_callers_to_mend(client):
    error_of(client.post("/v1/understand", json={"text": "unfit"}), 400, "too_many_tokens")


# --- no answer


def test_overload_says_when_to_come_again(client, service):
    service.gateway.raises = Overloaded("64 calls wait for stt.")
    response = client.post("/v1/sentiment", json={"text": "ശരി"})
    error_of(response, 429, "overloaded")
    assert response.headers["retry-after"] == "1"


def test_a_call_that_is_not_answered_in_time_is_given_up(tmp_path):
    service = fakes.FakeService(fakes.settings(tmp_path, request_timeout_seconds=0.05))
    service.gateway.hangs = True
    with TestClient(create_app(service, fakes.Gate()), headers=KEYS) as client:
        error_of(client.post("/v1/sentiment", json={"text": "ശരി"}), 429, "timed_out")
    assert service.gateway.waiting[0].cancelled(), "its place in the queue is for others"
    assert service.watch.refused == [], "the gateway knows of the call, and tells of its end"


def test_a_call_that_never_got_a_thread_counts_as_timed_out(tmp_path):
    service = fakes.FakeService(fakes.settings(tmp_path, request_timeout_seconds=0.05))
    free = threading.Event()

    async def ask():
        with ThreadPoolExecutor(1) as threads:
            asyncio.get_running_loop().set_default_executor(threads)
            threads.submit(free.wait, 20)
            async with over(service) as client:
                response = await client.post("/v1/sentiment", json={"text": "ശരി"})
            free.set()
        return response

    error_of(asyncio.run(ask()), 429, "timed_out")
    assert service.watch.refused == [("sentiment", "timed_out")] and not service.gateway.rows


def test_a_call_that_is_handed_over_too_late_is_given_up_once():
    asked, answer = _Asked(), Future()

    def submit():
        assert asked.given_up(), "its time is up while the gateway takes it"
        return answer

    asked.by(submit)
    assert answer.cancelled()
    late = _Asked()
    assert not late.given_up(), "the gateway never saw it"
    with pytest.raises(TimedOut):
        late.by(lambda: pytest.fail("it was handed over"))


def test_before_the_gateway_has_loaded_callers_are_asked_to_come_again(client, service):
    service.gateway.table.clear()
    response = client.post("/v1/sentiment", json={"text": "ശരി"})
    error_of(response, 429, "starting")
    assert response.headers["retry-after"]


@pytest.mark.parametrize("error", [InvalidAnswer("secret words"), RuntimeError("secret words")])
def test_a_model_that_fails_says_nothing_of_the_call(client, service, error, caplog):
    service.gateway.fails = error
    with caplog.at_level(logging.DEBUG):
        response = client.post("/v1/sentiment", json={"text": "ശരി"})
    error_of(response, 500, "model_error")
    assert "secret" not in response.text + caplog.text and type(error).__name__ in caplog.text


def test_a_fault_of_our_own_is_logged_by_its_place_alone(client, service, caplog, monkeypatch):
    def broken():
        raise RuntimeError("secret words")

    monkeypatch.setattr(service.watch, "status", broken)
    response = client.get("/v1/status")
    error_of(response, 500, "internal_error")
    assert "secret" not in response.text + caplog.text and "test_app.py" in caplog.text


def test_an_unknown_address_and_a_wrong_method_are_told_in_the_same_shape(client):
    error_of(client.get("/v1/nothing"), 404, "not_found")
    response = client.get("/v1/sentiment")
    error_of(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


# --- keys and limits


def test_only_health_readiness_page_and_document_are_open(client):
    client.headers.pop("Authorization")
    for path in ("/health", "/ready", "/openapi.json", "/"):
        assert client.get(path).status_code == 200, path
    for path in ("/v1/models", "/v1/status", "/metrics", "/nothing"):
        error_of(client.get(path), 401, "invalid_api_key")
    error_of(transcribe(client, fakes.phone_wav()), 401, "invalid_api_key")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer wrong", "Basic %%%", "Basic " + "eDp5", "df-ours", "Digest df-ours"]
)
def test_wrong_keys_are_refused_alike(client, header):
    response = client.get("/v1/models", headers={"Authorization": header})
    assert "keys create" in error_of(response, 401, "invalid_api_key")


def test_a_browser_and_prometheus_may_give_the_key_as_a_password(client):
    client.headers.pop("Authorization")
    assert client.get("/metrics", auth=("anyone", "df-ours")).status_code == 200
    assert client.get("/metrics").headers["www-authenticate"].startswith("Basic")
    fetched = client.get("/v1/status", headers={"Sec-Fetch-Mode": "cors"})
    assert fetched.headers["www-authenticate"] == "Bearer", "a page's own fetch must not open a dialogue"


def test_a_body_over_its_limit_is_refused(client, service):
    error_of(transcribe(client, bytes(1_200_000)), 413, "too_large")
    error_of(client.post("/v1/understand", json={"text": "x" * 30_000}), 413, "too_large")
    assert not service.gateway.rows


def test_a_body_that_hides_its_size_is_refused_as_soon_as_it_is_too_large(client):
    sent = []

    def endless():
        for _ in range(1000):
            sent.append(1)
            yield bytes(10_000)

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    error_of(client.post("/v1/audio/transcriptions", content=endless(), headers=headers), 413, "too_large")
    huge = {**headers, "Content-Length": "99999999999"}
    error_of(client.post("/v1/audio/transcriptions", content=b"x", headers=huge), 413, "too_large")


def test_who_shows_no_key_brings_no_body(client):
    client.headers.pop("Authorization")
    for path in ("/", "/health"):
        error_of(client.post(path, files={"file": bytes(200_000)}), 413, "too_large")


def test_requests_of_one_server_state_stay_apart(service):
    """What a server hands over as state may be one dictionary for all requests."""
    shared, ids = {}, []

    async def app(scope, receive, send):
        ids.append(scope["state"]["call_id"])

    async def nothing():
        return {"type": "http.request", "body": b""}

    entrance = Entrance(app, service.settings, fakes.Gate(), service.watch.answered_error)
    for _ in range(2):
        headers = [(b"authorization", b"Bearer df-ours")]
        scope = {"type": "http", "path": "/v1/models", "headers": headers, "state": shared}
        asyncio.run(entrance(scope, nothing, nothing))
    assert len(set(ids)) == 2 and shared == {}


def test_stalled_uploads_of_one_key_shut_out_nobody_else(service):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    entrance = Entrance(app, service.settings, fakes.Gate(), service.watch.answered_error)

    async def visit(key, kind, body, *, stalls=False):
        statuses, parts = [], [{"type": "http.request", "body": body, "more_body": stalls}]

        async def receive():
            return parts.pop() if parts else await asyncio.sleep(20)

        async def send(message):
            statuses.append(message.get("status"))

        headers = [(b"authorization", f"Bearer {key}".encode()), (b"content-type", kind)]
        await entrance({"type": "http", "path": "/v1/x", "headers": headers}, receive, send)
        return statuses[0]

    form, json_ = b"multipart/form-data; boundary=b", b"application/json"

    async def crowd():
        largest = bytes(1 << 20)
        stalled = [asyncio.ensure_future(visit("df-ours", form, largest, stalls=True)) for _ in range(20)]
        _, waiting = await asyncio.wait(stalled, timeout=0.05)
        theirs = [await visit("df-theirs", kind, body) for kind, body in ((form, largest), (json_, b"{}"))]
        ours = [await visit("df-ours", kind, body) for kind, body in ((form, largest), (json_, b"{}"))]
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return len(waiting), theirs, ours, await visit("df-ours", form, largest)

    assert asyncio.run(crowd()) == (8, [200, 200], [429, 200], 200)


@pytest.mark.parametrize("path", ["/v1/understand", "/v1/translate", "/v1/dialect", "/v1/audio/tokens", "/v1/feedback"])
@pytest.mark.parametrize("body", [
    b'{"text": "\xff\xfe"}', b'{"text": "a', b"[" * 15_000, b'{"text": ' + b"9" * 9000 + b"}",
    gzip.compress(b'{"text": "a"}', mtime=0),
])  # fmt: skip
def test_what_can_not_be_read_as_json_is_called_so_by_every_endpoint(client, path, body):
    message = error_of(
        client.post(path, content=body, headers={"Content-Type": "application/json"}), 400, "invalid_json"
    )
    assert "UTF-8" in message and "packed" in message


def test_a_text_that_is_far_too_long_is_told_how_long_one_may_be(client):
    message = error_of(client.post("/v1/sentiment", json={"text": "a" * 40_000}), 413, "too_large")
    assert "KiB" in message and "at most 50 characters" in message


# --- feedback


def test_feedback_that_waits_for_its_store_delays_no_call(tmp_path, monkeypatch):
    monkeypatch.setattr(operations, "WAITING_FEEDBACK", 2)
    service = fakes.FakeService(fakes.settings(tmp_path))
    unlocked, score = threading.Event(), service.gateway.feedback

    def locked(*given, **named):
        assert unlocked.wait(20)
        return score(*given, **named)

    monkeypatch.setattr(service.gateway, "feedback", locked)

    async def ask():
        # Of the threads that calls use, as few as can be.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        async with over(service) as client:
            first = await client.post("/v1/sentiment", json={"text": "ശരി"})
            given = {"request_id": first.json()["request_id"], "task": "sentiment", "truth": "positive"}
            told = [asyncio.ensure_future(client.post("/v1/feedback", json=given)) for _ in range(3)]
            (refused,), waiting = await asyncio.wait(told, return_when=asyncio.FIRST_COMPLETED)
            call = await client.post("/v1/sentiment", json={"text": "ശരി"})
            unlocked.set()
            return refused.result(), call, await asyncio.gather(*waiting)

    refused, call, kept = asyncio.run(ask())
    error_of(refused, 429, "overloaded")
    assert call.status_code == 200 and [each.status_code for each in kept] == [200, 200]


def test_feedback_on_what_is_being_loaded_is_to_come_again(client, service):
    del service.gateway.table["sentiment"]
    given = {"request_id": "r1", "task": "sentiment", "truth": "positive"}
    error_of(client.post("/v1/feedback", json=given), 404, "model_not_found")
    service.gateway.missing = ["sentiment: 3fa9c0de11aa is being loaded"]
    response = client.post("/v1/feedback", json=given)
    error_of(response, 429, "starting")
    assert response.headers["Retry-After"]


def test_feedback_that_nothing_can_score_is_refused(client, service):
    spoken = client.post("/v1/audio/tokens", json={"input": "നന്ദി"}).json()
    given = {"request_id": spoken["request_id"], "adapter": "tts", "truth": "നന്ദി"}
    error_of(client.post("/v1/feedback", json=given), 400, "not_scorable")
    assert not service.gateway.truths


def test_feedback_reaches_the_callers_own_call(client, service):
    client.post("/v1/sentiment", json={"text": "ശരി"}, headers={"X-Call-Id": "c1"})
    given = {"call_id": "c1", "task": "sentiment", "truth": "positive"}
    accepted = {"call_id": "c1", "request_id": None, "adapter": "sentiment", "accepted": True, "repeated": False}
    assert client.post("/v1/feedback", json=given).json() == accepted
    assert client.post("/v1/feedback", json=given).json() == {**accepted, "repeated": True}
    assert set(service.gateway.truths) == {("ours/c1", "sentiment", "positive")}


def test_several_utterances_of_one_phone_call_are_told_apart_by_their_requests_ids(client, service):
    answers = [
        client.post("/v1/sentiment", json={"text": "ശരി"}, headers={"X-Call-Id": "c1", "X-Request-Id": "mine"})
        for _ in range(2)
    ]
    first, second = (answer.json()["request_id"] for answer in answers)
    assert first != second and [answer.headers["X-Request-Id"] for answer in answers] == [first, second]
    truth = {"adapter": "sentiment", "truth": "positive"}
    refused = error_of(client.post("/v1/feedback", json={"call_id": "c1", **truth}), 400, "several_requests")
    assert "request_id" in refused and not service.gateway.truths
    assert client.post("/v1/feedback", json={"request_id": second, **truth}).status_code == 200
    assert service.gateway.truths == [(f"ours/{second}", "sentiment", "positive")]
    error_of(client.post("/v1/feedback", json=truth), 400, "invalid_value")


def test_anothers_call_is_as_unknown_as_one_that_never_was(client, service):
    client.post("/v1/sentiment", json={"text": "ശരി"}, headers={"X-Call-Id": "c1"})
    theirs = {"Authorization": "Bearer df-theirs"}
    answers = [
        client.post("/v1/feedback", json={"call_id": name, "adapter": "sentiment", "truth": "positive"}, headers=theirs)
        for name in ("c1", "never", "ours:c1")
    ]
    assert len({(answer.status_code, answer.json()["error"]["message"]) for answer in answers}) == 1
    assert "not given to this key" in error_of(answers[0], 404, "call_not_found")
    error_of(
        client.post("/v1/feedback", json={"call_id": "ours/c1", "adapter": "stt", "truth": "x"}), 400, "invalid_value"
    )
    assert not service.gateway.truths


def test_feedback_on_speech_finds_the_dialects_adapter_that_answered(client, service):
    service.gateway.table["stt.malabar"] = fakes.route("stt.malabar")
    service.gateway.remembered.append(("stt.malabar", "ours/c2", "ours/r2"))
    given = {"call_id": "c2", "task": "transcription", "truth": "ശരി"}
    assert client.post("/v1/feedback", json=given).json()["adapter"] == "stt.malabar"


def test_a_truth_that_is_no_label_is_refused_with_the_labels(client):
    client.post("/v1/sentiment", json={"text": "ശരി"}, headers={"X-Call-Id": "c1"})
    given = {"call_id": "c1", "adapter": "sentiment", "truth": "blue"}
    assert "negative, positive" in error_of(client.post("/v1/feedback", json=given), 400, "invalid_value")
    error_of(client.post("/v1/feedback", json={**given, "task": "sentiment"}), 400, "invalid_value")
    for name in ("nothing", ""):
        error_of(client.post("/v1/feedback", json={**given, "adapter": name}), 404, "model_not_found")


def test_a_truth_is_held_to_the_labels_of_the_adapter_that_answered(client, service, monkeypatch):
    """A text's dialect is told by another adapter than a voice's, and either may know labels of its own, or be gone."""
    monkeypatch.setitem(fakes.LABELS, "dialect.text", ("malabar", "travancore", "kochi"))
    service.gateway.table["dialect"] = fakes.route("dialect", why="nothing may answer")
    answered = client.post("/v1/dialect", json={"text": "എന്താണ്"}).json()
    given = {"request_id": answered["request_id"], "task": "dialect"}
    refused = error_of(client.post("/v1/feedback", json={**given, "truth": "kocchi"}), 400, "invalid_value")
    assert "kochi" in refused and not service.gateway.truths
    assert client.post("/v1/feedback", json={**given, "truth": "kochi"}).json()["adapter"] == "dialect.text"


# --- readiness and models


def test_readiness_says_what_is_missing(client, service):
    assert client.get("/ready").json() == {"ready": True, "missing": []}
    service.gateway.missing = ["stt: its files in /secret/folder are gone", "the registry can't be read: /secret"]
    client.headers.pop("Authorization")
    response = client.get("/ready")
    # Why is for who has a key, in the status.
    assert (response.status_code, response.json()) == (200, {"ready": True, "missing": ["stt"]})
    service.gateway.table.clear()
    response = client.get("/ready")
    assert (response.status_code, response.json()) == (503, {"ready": False, "missing": ["stt"]})
    assert client.get("/health").json() == {"status": "alive"}


def test_a_gateway_is_not_ready_before_all_that_it_starts_with_is_loaded(client, service):
    client.app.state.started = False
    waiting = service.gateway.table.pop("nlu")
    service.gateway.missing = ["nlu: 3fa9c0de11aa is being loaded", "tts: its files in /secret/folder are gone"]
    response = client.get("/ready")
    assert (response.status_code, response.json()) == (503, {"ready": False, "missing": ["nlu", "tts"]})
    service.gateway.table["nlu"] = waiting
    service.gateway.missing[0] = NOT_STARTED
    assert client.get("/ready").json() == {"ready": False, "missing": ["tts"]}
    del service.gateway.missing[0]
    response = client.get("/ready")
    assert (response.status_code, response.json()) == (200, {"ready": True, "missing": ["tts"]})


def test_a_gateway_whose_hosts_died_is_not_ready(client, service):
    assert client.get("/ready").status_code == 200
    for each in service.gateway.table.values():
        each.host = SimpleNamespace(takes_calls=False)
    assert client.get("/ready").status_code == 503
    service.gateway.table["nlu"].host.takes_calls = True
    assert client.get("/ready").status_code == 200


def test_what_is_added_later_is_loaded_while_the_gateway_stays_ready(client, service):
    assert client.get("/ready").status_code == 200
    service.gateway.missing = ["nlu.bank: 3fa9c0de11aa is being loaded"]
    response = client.get("/ready")
    assert (response.status_code, response.json()) == (200, {"ready": True, "missing": ["nlu.bank"]})


@pytest.mark.parametrize("started", [True, False])
def test_a_variant_that_is_being_loaded_is_not_called_unknown(client, service, started):
    asked = {"text": "ശരി", "model": "nlu.bank"}
    error_of(client.post("/v1/understand", json=asked), 404, "model_not_found")
    if started:
        service.gateway.missing = ["nlu.bank: 3fa9c0de11aa is being loaded"]
        service.gateway.raises = Starting("The model of nlu.bank is being loaded.", "Come again.")
        assert client.post("/v1/understand", json={**asked, "model": "nlu.shop"}).status_code == 404
    else:
        # As it looks at one adapter after another: those that it knows by now are not all.
        service.gateway.missing = [NOT_STARTED]
    response = client.post("/v1/understand", json=asked)
    error_of(response, 429, "starting")
    assert response.headers["Retry-After"]


def test_models_are_listed_in_openais_shape(client, service):
    service.gateway.table["tts"].why = "no base"
    listed = client.get("/v1/models").json()
    names = {each["id"] for each in listed["data"]}
    assert listed["object"] == "list" and "stt" in names and "tts" not in names
    stt = client.get("/v1/models/stt").json()
    assert stt["object"] == "model" and stt["version"] == fakes.VERSION and stt["created"] == 1767323045
    error_of(client.get("/v1/models/tts"), 404, "model_not_found")


def test_the_document_speaks_of_every_endpoint_and_its_refusals(client):
    document = client.get("/openapi.json").json()
    assert json.dumps(document).find("HTTPValidationError") == -1
    for path in ("/v1/audio/transcriptions", "/v1/understand", "/v1/dialect", "/v1/audio/speech", "/v1/feedback"):
        answers = document["paths"][path]["post"]["responses"]
        assert {"200", "400", "401", "404", "408", "413", "429"} <= set(answers) and "422" not in answers, path
    assert document["components"]["schemas"]["TextRequest"]["properties"]["text"]["maxLength"] == 50
    assert "request_id" in document["components"]["schemas"]["ErrorDetail"]["properties"]


# --- who may call


def test_a_gateway_without_keys_does_not_start_and_says_how_to_make_one(tmp_path):
    with pytest.raises(FoundryError, match="python -m data_foundry keys create NAME"):
        keys_of(fakes.settings(tmp_path))
    ApiKeys.of(fakes.settings(tmp_path)).create("ivr")
    keys_of(fakes.settings(tmp_path))


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "gateway.example", "127.example.com", "::"])
def test_without_keys_only_this_machine_may_call(tmp_path, host):
    with pytest.raises(FoundryError, match="require_api_key"):
        keys_of(fakes.settings(tmp_path, require_api_key=False, host=host))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_on_loopback_keys_may_be_left_out(tmp_path, host):
    service = fakes.FakeService(fakes.settings(tmp_path, require_api_key=False, host=host))
    with TestClient(create_app(service), base_url="http://127.0.0.1:8080") as client:
        assert client.get("/v1/models").status_code == 200
        assert client.get("/v1/models", headers={"Host": "[::1]:8080"}).status_code == 200
        error_of(client.get("/v1/models", headers={"Host": "evil.example"}), 400, "invalid_host")


def test_one_key_in_memory_opens_a_gateway(tmp_path):
    with TestClient(create_app(fakes.FakeService(fakes.settings(tmp_path)), OneKey("k", "replay"))) as client:
        assert client.get("/v1/models", headers={"Authorization": "Bearer k"}).status_code == 200
        assert client.get("/v1/models", headers={"Authorization": "Bearer l"}).status_code == 401
