"""The client that a phone line uses, against the application and against a real server."""

from __future__ import annotations

import asyncio
import doctest
import json
from pathlib import Path

import httpx
import pytest

from data_foundry import client
from data_foundry.client import (
    GatewayError,
    MalayalamNLPService,
    MalayalamSpeechToTextService,
    MalayalamTextToSpeechService,
)
from data_foundry.serving.http.app import create_app
from tests.serving import fakes


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    return fakes.FakeService(fakes.settings(tmp_path_factory.mktemp("base")))


@pytest.fixture(scope="module")
def transport(service):
    return httpx.ASGITransport(create_app(service, fakes.Gate()))


def asked(kind, transport, ask, **named):
    """Run one question to a service of the client."""

    async def run():
        async with kind("http://gateway", named.pop("key", "df-ours"), transport=transport, **named) as found:
            return await ask(found)

    return asyncio.run(run())


def test_speech_is_transcribed_from_bytes_and_from_a_file(transport, tmp_path):
    file = tmp_path / "call.wav"
    file.write_bytes(fakes.phone_wav())
    said = file.read_bytes()
    for audio in (said, bytearray(said), memoryview(said), file, str(file)):
        heard = asked(MalayalamSpeechToTextService, transport, lambda ears, a=audio: ears.transcribe(a, call_id="c-1"))
        assert (heard.text, heard.call_id, heard.version) == (fakes.TRANSCRIPT, "c-1", fakes.VERSION)
        assert heard.confidence == 0.5 and heard.milliseconds == 2.25


def test_texts_are_understood(transport):
    meant = asked(MalayalamNLPService, transport, lambda mind: mind.understand("ബാലൻസ് എത്ര"))
    assert meant.intent.label == "balance" and meant.topic.label == "sport"
    felt = asked(MalayalamNLPService, transport, lambda mind: mind.sentiment("മോശം"))
    assert felt.ivr_label == "frustration" and felt.confidences == {"negative": 0.75, "positive": 0.25}
    said = asked(MalayalamNLPService, transport, lambda mind: mind.translate("thanks", "en-ml"))
    assert said.text == "<thanks>" and said.direction == "en-ml"


def test_a_dialect_is_heard_or_read(transport):
    for said, adapter in ((fakes.phone_wav(), "dialect"), ("എന്താണ്", "dialect.text")):
        assert asked(MalayalamNLPService, transport, lambda mind, s=said: mind.dialect(s)).adapter == adapter


def test_speech_is_spoken_as_tokens(transport):
    spoken = asked(MalayalamTextToSpeechService, transport, lambda voice: voice.tokens("നന്ദി"))
    assert spoken.codes == fakes.CODES and spoken.frames == 3
    with pytest.raises(GatewayError) as refused:
        asked(MalayalamTextToSpeechService, transport, lambda voice: voice.synthesize("നന്ദി"))
    assert (refused.value.status, refused.value.code) == (404, "no_codec")


def test_a_call_that_nobody_answers_tells_the_id_by_which_feedback_finds_it(transport, service, monkeypatch):
    monkeypatch.setattr(service.gateway.table["sentiment"], "why", "no version may answer")
    with pytest.raises(GatewayError) as refused:
        asked(MalayalamNLPService, transport, lambda mind: mind.sentiment("മോശം"))
    assert (refused.value.status, refused.value.code) == (404, "not_served") and len(refused.value.request_id) == 36


def test_the_gateways_own_id_is_read_where_a_server_before_it_adds_another():
    """As Ray Serve does; an older gateway tells it in the header alone."""
    error = {"message": "nobody answers", "code": "not_served"}
    for told in (error, {**error, "request_id": "ours"}):
        headers = [("X-Request-Id", "ours"), ("X-Request-Id", "rays")]
        answer = httpx.Response(404, headers=headers, json={"error": told})
        with pytest.raises(GatewayError) as refused:
            asked(MalayalamNLPService, httpx.MockTransport(lambda _, a=answer: a), lambda mind: mind.sentiment("മോശം"))
        assert refused.value.request_id == "ours"


def test_feedback_finds_its_call(transport, service):
    felt = [asked(MalayalamNLPService, transport, lambda mind: mind.sentiment("മോശം", call_id="f-1")) for _ in "ab"]
    asked(MalayalamNLPService, transport, lambda mind: mind.feedback(felt[0].request_id, "sentiment", "positive"))
    assert service.gateway.truths[-1] == (f"ours/{felt[0].request_id}", "sentiment", "positive")
    assert felt[0].request_id != felt[1].request_id


def test_what_goes_wrong_says_what_and_for_which_call(transport):
    with pytest.raises(GatewayError, match="Bearer") as refused:
        asked(MalayalamNLPService, transport, lambda mind: mind.sentiment("മോശം", call_id="e-1"), key="wrong")
    assert (refused.value.status, refused.value.code, refused.value.call_id) == (401, "invalid_api_key", "e-1")


def answering(*responses):
    """A transport that gives these answers (status, headers) or raises them, one after another; it counts."""
    seen = []

    def answer(request):
        seen.append(request)
        found = responses[min(len(seen), len(responses)) - 1]
        if isinstance(found, Exception):
            raise found
        status, headers = found
        body = {"error": {"message": "later", "code": "overloaded"}} if status >= 400 else json.loads(LABEL)
        return httpx.Response(status, headers=headers, json=body)

    return httpx.MockTransport(answer), seen


LABEL = json.dumps({
    "label": "negative", "confidence": 0.5, "confidences": {}, "ivr_label": None, "call_id": "x", "request_id": "y",
    "adapter": "sentiment", "version": "v", "milliseconds": 1.0, "told_by_a_newer_gateway": True,
})  # fmt: skip


@pytest.fixture
def naps(monkeypatch):
    taken = []

    async def nap(seconds):
        taken.append(seconds)

    monkeypatch.setattr(client.asyncio, "sleep", nap)
    return taken


def test_a_call_turned_away_comes_again_when_it_was_told_to(naps):
    transport, seen = answering((429, {"Retry-After": "3"}), (429, {"Retry-After": "soon"}), (200, {}))
    assert asked(MalayalamNLPService, transport, lambda mind: mind.sentiment("x")).label == "negative"
    assert naps == [3.0, 1.0]
    assert len({request.headers["x-call-id"] for request in seen}) == 1, "it is one call"


def test_a_gateway_that_stays_overloaded_is_given_up(naps):
    transport, seen = answering((429, {"Retry-After": "9999"}))
    with pytest.raises(GatewayError) as refused:
        asked(MalayalamNLPService, transport, lambda mind: mind.sentiment("x"), retries=2)
    assert (refused.value.status, len(seen), naps) == (429, 3, [30.0, 30.0])


@pytest.mark.parametrize(
    "fault,code", [(httpx.ReadTimeout("x"), "timed_out"), (httpx.ConnectError("x"), "unreachable")]
)
def test_a_gateway_that_can_not_be_reached_is_not_tried_again(naps, fault, code):
    transport, seen = answering(fault)
    with pytest.raises(GatewayError) as refused:
        asked(MalayalamNLPService, transport, lambda mind: mind.sentiment("x"))
    assert (refused.value.status, refused.value.code, len(seen), naps) == (0, code, 1, [])


def test_a_call_that_timed_out_is_not_asked_again(naps):
    body = {"error": {"message": "not in time", "code": "timed_out"}}
    seen = []
    transport = httpx.MockTransport(lambda request: seen.append(request) or httpx.Response(429, json=body))
    with pytest.raises(GatewayError) as refused:
        asked(MalayalamNLPService, transport, lambda mind: mind.sentiment("x"))
    assert (refused.value.code, len(seen), naps) == ("timed_out", 1, [])


def test_what_goes_wrong_with_feedback_names_what_it_was_about(transport):
    with pytest.raises(GatewayError) as refused:
        asked(MalayalamNLPService, transport, lambda mind: mind.feedback("r-1", "sentiment", "positive"))
    assert (refused.value.code, refused.value.call_id) == ("call_not_found", "r-1")


ASKED = {
    "sentiment": (MalayalamNLPService, lambda mind: mind.sentiment("x")),
    "understand": (MalayalamNLPService, lambda mind: mind.understand("x")),
    "feedback": (MalayalamNLPService, lambda mind: mind.feedback("r-1", "sentiment", "positive")),
    "transcribe": (MalayalamSpeechToTextService, lambda ears: ears.transcribe(b"x")),
    "tokens": (MalayalamTextToSpeechService, lambda voice: voice.tokens("x")),
    "synthesize": (MalayalamTextToSpeechService, lambda voice: voice.synthesize("x")),
}


@pytest.mark.parametrize("question", ASKED)
@pytest.mark.parametrize("status,body", [
    (502, "<html>bad gateway</html>"), (200, "<html>log in</html>"), (200, "{}"), (200, "[]"), (200, "null"),
    (200, '{"intent": {"label": 1}, "topic": null, "call_id": "x", "request_id": "y"}'), (200, "[" * 100_000),
])  # fmt: skip
def test_something_that_is_no_gateway_is_named(naps, question, status, body):
    transport = httpx.MockTransport(lambda request: httpx.Response(status, text=body))
    kind, ask = ASKED[question]
    with pytest.raises(GatewayError) as refused:
        asked(kind, transport, ask)
    assert (refused.value.status, refused.value.code) == (status, "no_gateway")


@pytest.mark.parametrize("code,ask", [
    ("invalid_call_id", lambda mind: mind.sentiment("x", call_id="വിളി")),
    ("invalid_call_id", lambda mind: mind.sentiment("x", call_id="a\nb")),
    ("invalid_value", lambda mind: mind.sentiment("\ud800")),
    ("invalid_value", lambda mind: mind.sentiment(object())),
    ("no_file", lambda mind: mind.dialect(Path("nowhere.wav"))),
    ("no_file", lambda mind: mind.dialect(None)),
])  # fmt: skip
def test_what_can_not_be_sent_is_told_as_everything_else_is(code, ask):
    transport, seen = answering((200, {}))
    with pytest.raises(GatewayError) as refused:
        asked(MalayalamNLPService, transport, ask)
    assert (refused.value.status, refused.value.code, seen) == (0, code, [])


def test_a_key_may_end_as_a_line_of_its_file_does(transport):
    assert asked(MalayalamNLPService, transport, lambda mind: mind.sentiment("x"), key="df-ours\r\n").label


@pytest.mark.parametrize(
    "gateway,key", [("http://gateway", "കീ"), ("http://gateway", "df-\nours"), ("http://gateway:port", "df-ours")]
)
def test_a_key_or_an_address_that_is_none_is_told_so_too(gateway, key):
    with pytest.raises(GatewayError):
        MalayalamNLPService(gateway, key)


def test_the_example_in_the_docstring_answers_a_caller(service):
    source = "".join(example.source for example in doctest.DocTestParser().get_examples(client.__doc__))
    assert len(source.splitlines()) <= 20
    names = dict(vars(client))
    exec(source, names)
    with fakes.running(service) as address:
        said = asyncio.run(names["answer_a_caller"](address, "df-ours", "call-1", fakes.phone_wav()))
    assert said == {"transfer": "a person", "intent": "balance"}
