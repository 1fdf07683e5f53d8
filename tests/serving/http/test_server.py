"""The server that runs the application, over loopback: OpenAI's own client, slow and lying connections, signals."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from urllib.parse import urlsplit

import httpx
import openai
import pytest

from data_foundry.config import PROJECT_ROOT
from data_foundry.errors import FoundryError
from data_foundry.serving.http import entrance, server
from tests.processes import wait_for
from tests.serving import fakes


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    service = fakes.FakeService(fakes.settings(tmp_path_factory.mktemp("base"), request_timeout_seconds=1.0))
    with fakes.running(service) as address:
        yield service.gateway, address, service.watch


@pytest.fixture
def connection(gateway):
    parts = urlsplit(gateway[1])
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as found:
        yield found


def read_all(connection):
    received = b""
    while part := connection.recv(65_536):
        received += part
    return received


HEAD = b"POST /v1/sentiment HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer df-ours\r\nContent-Type: application/json\r\n"


def test_openais_client_works_unchanged(gateway):
    with openai.OpenAI(base_url=f"{gateway[1]}/v1", api_key="df-ours", max_retries=0) as client:
        assert "stt" in [model.id for model in client.models.list()]
        assert client.models.retrieve("stt").owned_by == "data-foundry"
        call = ("call.wav", fakes.phone_wav(2.0))
        heard = client.audio.transcriptions.create(model="whisper-1", file=call, language="ml", temperature=0)
        assert heard.text == fakes.TRANSCRIPT
        told = client.audio.transcriptions.create(model="stt", file=call, response_format="verbose_json")
        assert (told.duration, told.language) == (2.0, "malayalam")
        assert client.audio.transcriptions.create(model="stt", file=call, response_format="text") == (
            fakes.TRANSCRIPT + "\n"
        )
        with pytest.raises(openai.BadRequestError) as refused:
            client.audio.transcriptions.create(model="stt", file=("call.wav", b"no audio"))
        assert refused.value.code == "audio_corrupt" and "WAV" in str(refused.value)
        with pytest.raises(openai.NotFoundError) as refused:
            client.audio.speech.create(model="tts-1", voice="alloy", input="നന്ദി")
        assert refused.value.code == "no_codec"
    with openai.OpenAI(base_url=f"{gateway[1]}/v1", api_key="wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            client.models.list()


def test_an_upload_that_does_not_arrive_is_given_up(connection):
    connection.sendall(HEAD + b'Content-Length: 1000\r\n\r\n{"text":')
    answer = read_all(connection)
    assert (
        answer.startswith(b"HTTP/1.1 408 ") and b"request_timeout" in answer and b"connection: close" in answer.lower()
    )


def test_a_caller_who_goes_away_in_the_middle_leaves_nothing(gateway, connection):
    before = len(gateway[0].rows)
    connection.sendall(HEAD + b'Content-Length: 1000\r\n\r\n{"text": "a"}')
    connection.shutdown(socket.SHUT_WR)
    assert b" 200 " not in read_all(connection)
    assert len(gateway[0].rows) == before


def test_a_call_whose_caller_hung_up_is_taken_out_of_the_queue(tmp_path):
    service = fakes.FakeService(fakes.settings(tmp_path))
    service.gateway.hangs = True
    with fakes.running(service) as address:
        headers = {"Authorization": "Bearer df-ours"}
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{address}/v1/sentiment", json={"text": "ശരി"}, headers=headers, timeout=httpx.Timeout(30, read=0.5)
            )
        wait_for(lambda: service.gateway.waiting and service.gateway.waiting[0].cancelled())


def test_a_connection_that_sends_no_request_is_closed(gateway, monkeypatch):
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.05)
    parts = urlsplit(gateway[1])
    for start in (b"", b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: "):
        with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
            connection.sendall(start)
            assert read_all(connection) == b""


def test_a_connection_goes_on_after_one_request_and_another(gateway, monkeypatch):
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.05)
    with httpx.Client(base_url=gateway[1], headers={"Authorization": "Bearer df-ours"}) as client:
        # Slower than a head may be: the time of an answer is not the time of a head.
        gateway[0].hangs = True
        assert client.post("/v1/sentiment", json={"text": "ശരി"}).json()["error"]["code"] == "timed_out"
        gateway[0].hangs = False
        assert client.post("/v1/sentiment", json={"text": "ശരി"}).status_code == 200


@pytest.mark.parametrize("lie", [
    b"Content-Length: -5\r\n\r\n", b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n", b"Content-Length: 2\r\nTransfer-Encoding: gzip\r\n\r\nab",
])  # fmt: skip
def test_http_that_contradicts_itself_is_no_call(gateway, connection, lie):
    before = len(gateway[0].rows)
    connection.sendall(HEAD + lie)
    connection.shutdown(socket.SHUT_WR)
    answer = read_all(connection)
    assert answer == b"" or answer.split()[1].startswith(b"4"), answer
    assert len(gateway[0].rows) == before


@pytest.mark.parametrize("path", [b"POST /v1/sentiment", b"GET /health"])
def test_a_request_that_says_its_length_twice_is_refused_and_nothing_after_it_is_read(gateway, connection, path):
    before = len(gateway[0].rows)
    body = b'{"text": "a"}'
    both = b"Content-Length: 200\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    connection.sendall(HEAD.replace(b"POST /v1/sentiment", path) + both + HEAD + b"Content-Length: 0\r\n\r\n")
    answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in answer.lower() and b'"code":"invalid_http"' in answer
    assert len(gateway[0].rows) == before


@pytest.mark.parametrize("sent", ["at once", "in pieces"])
def test_a_head_that_is_too_long_is_refused_however_it_arrives(connection, sent):
    head = HEAD + b"X-Long: " + b"a" * entrance.HEAD_BYTES + b"\r\n"
    if sent == "at once":
        connection.sendall(head + b"Content-Length: 2\r\n\r\n{}")
    else:
        # No more of it than is read: what is left over on closing would take the answer with it.
        connection.sendall(head[: entrance.HEAD_BYTES])
        connection.sendall(head[entrance.HEAD_BYTES : entrance.HEAD_BYTES + 1])
    answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 431 ") and b'"code":"head_too_large"' in answer
    assert b"connection: close" in answer.lower()


def test_what_is_no_http_is_refused_in_the_shape_of_every_refusal_and_counted_as_it(gateway, connection):
    gateway[2].codes.clear()
    connection.sendall(b"\x16\x03\x01 a handshake of TLS\r\n\r\n")
    answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 400 ") and b'"code":"invalid_http"' in answer
    assert gateway[2].codes == ["invalid_http"]


def test_what_is_answered_leaves_at_once(gateway, monkeypatch):
    """Nagle's algorithm holds back the body of an answer until its head is acknowledged: 40 ms a call."""
    at_once, made = [], server._Protocol.connection_made

    def connection_made(protocol, transport):
        accepted = transport.get_extra_info("socket")
        at_once.append(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        made(protocol, transport)

    monkeypatch.setattr(server._Protocol, "connection_made", connection_made)
    assert httpx.get(f"{gateway[1]}/health").status_code == 200
    assert at_once and all(at_once)


def test_a_port_in_use_is_said_before_anything_is_loaded():
    with server.listening_socket("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(FoundryError, match=f"127.0.0.1:{port}.*--port"):
            try:
                server.listening_socket("127.0.0.1", port)
            except FoundryError as error:
                raise FoundryError(f"{error.message} {error.hint}") from None


def test_a_service_that_can_not_start_ends_the_server(tmp_path):
    closed = []

    class Broken(fakes.FakeService):
        def start(self):
            raise FoundryError("The registry is gone.", "Mend it.")

        def close(self, drain_seconds=0.0):
            closed.append(drain_seconds)

    with pytest.raises(FoundryError, match="The registry is gone"):
        server.serve(Broken(fakes.settings(tmp_path)), fakes.Gate(), server.listening_socket("127.0.0.1", 0))
    assert closed == [30.0]


def test_a_signal_that_comes_while_the_service_loads_closes_it_first_and_then_waits_for_it(tmp_path):
    told = []

    class Loading(fakes.FakeService):
        closed = threading.Event()

        def start(self):
            wait_for(lambda: listens(address))
            os.kill(os.getpid(), signal.SIGTERM)
            assert self.closed.wait(20)
            told.append("loaded no more")

        def close(self, drain_seconds=0.0):
            told.append("closed")
            self.closed.set()

    with server.listening_socket("127.0.0.1", 0) as listening:
        address = server.address_of(listening)
        started = lambda: told.append("started")  # noqa: E731
        server.serve(Loading(fakes.settings(tmp_path)), fakes.Gate(), listening, started)
    assert told == ["closed", "loaded no more"]


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_call_that_was_taken_is_answered_before_the_server_ends_well(tmp_path, number):
    command = [sys.executable, "-m", "tests.serving.http.served_by_fakes", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    answers = []
    with subprocess.Popen(
        command, cwd=PROJECT_ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        address = process.stdout.readline().strip()

        def call():
            headers = {"Authorization": "Bearer df-ours"}
            answers.append(httpx.post(f"{address}/v1/sentiment", json={"text": "ശരി"}, headers=headers, timeout=60))

        caller = threading.Thread(target=call)
        caller.start()
        assert process.stdout.readline() == "taken\n"
        process.send_signal(number)
        wait_for(lambda: not listens(address))
        process.stdin.write("answer\n")
        process.stdin.flush()
        caller.join()
        rest = process.stdout.read()
    assert (answers[0].status_code, process.returncode, rest) == (200, 0, "closed\n")


def listens(address):
    parts = urlsplit(address)
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=5).close()
    except OSError:
        return False
    return True
