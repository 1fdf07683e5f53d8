"""Feedback that reaches another gateway than the one that answered, over loopback: it is scored all the same."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from data_foundry.errors import FoundryError
from data_foundry.serving.http import operations
from data_foundry.serving.http import peer_feedback as subject
from data_foundry.serving.http.api_keys import Everybody
from data_foundry.serving.http.server import listening_socket
from data_foundry.serving.peers import Peers
from data_foundry.serving.watch.watcher import Watcher
from tests.processes import wait_for
from tests.serving import fakes

OURS, THEIRS = {"Authorization": "Bearer df-ours"}, {"Authorization": "Bearer df-theirs"}


def asked(address, request_id, headers=OURS, **given):
    """Ask for feedback; return its status and what it says."""
    told = {"request_id": request_id, "task": "sentiment", "truth": "positive", **given}
    answer = httpx.post(f"{address}/v1/feedback", json=told, headers=headers, timeout=60, trust_env=False)
    said = answer.json()
    # Each request's own.
    said.get("error", {}).pop("request_id", None)
    return answer.status_code, said


def answered(address, headers=OURS):
    """Call; return the id of the request."""
    answer = httpx.post(f"{address}/v1/sentiment", json={"text": "ശരി"}, headers=headers, timeout=60, trust_env=False)
    return answer.json()["request_id"]


def code_of(said):
    status, body = said
    return status, body["error"]["code"]


@pytest.fixture
def gateways(tmp_path):
    """Gateways that answer over HTTP, each beside all others: gateways(number) returns services and addresses."""
    with ExitStack() as running:

        def build(number=2, keys=None, **serving):
            services = [fakes.FakeService(fakes.settings(tmp_path, **serving)) for _ in range(number)]
            addresses = [running.enter_context(fakes.running(each, keys)) for each in services]
            for each, own in zip(services, addresses, strict=True):
                each.watch.others = Peers(tuple(address for address in addresses if address != own))
            return services, addresses

        yield build


@contextmanager
def stranger(answer=None, status=200, headers=()) -> Iterator[tuple[str, list[str]]]:
    """Something else that listens; without an answer it hangs. Yields its address and the paths asked for."""
    seen: list[str] = []
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            if answer is None:
                ended.wait(60)
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST

        def log_message(self, *_: object) -> None: ...

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Who asked went away."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            ended.set()
            server.shutdown()
            thread.join()


def test_feedback_is_scored_whichever_gateway_it_reaches(gateways):
    (one, two, three), addresses = gateways(3)
    request = answered(addresses[1])
    status, said = asked(addresses[0], request)
    assert status == 200
    assert said == {"request_id": request, "call_id": None, "adapter": "sentiment", "accepted": True, "repeated": False}
    assert two.gateway.truths == [(f"ours/{request}", "sentiment", "positive")]
    assert asked(addresses[2], request)[1]["repeated"] and asked(addresses[1], request)[1]["repeated"]
    assert not one.gateway.truths and not three.gateway.truths


def test_a_truth_that_is_none_of_the_labels_of_who_answered_is_refused_whichever_gateway_it_reaches(gateways):
    (_, two), addresses = gateways(2)
    request = answered(addresses[1])
    own, passed_on = (asked(address, request, truth="blue") for address in reversed(addresses))
    assert own == passed_on and code_of(own) == (400, "invalid_value")
    assert "negative, positive" in own[1]["error"]["message"] and not two.gateway.truths
    assert asked(addresses[0], request)[0] == 200


def test_gateways_on_one_base_path_find_each_other(tmp_path):
    """Over the real file that they tell of themselves in."""
    services = [fakes.FakeService(fakes.settings(tmp_path)) for _ in range(2)]
    with ExitStack() as running:
        addresses = [running.enter_context(fakes.running(each)) for each in services]
        for each, address in zip(services, addresses, strict=True):
            each.watch = running.enter_context(Watcher(each.settings, address=address))
        wait_for(lambda: all(each.watch.peers().addresses for each in services))
        requests = [answered(addresses[number % 2]) for number in range(20)]
        assert {asked(addresses[0], request)[0] for request in requests} == {200}
        assert [len(each.gateway.truths) for each in services] == [10, 10]
        key = THEIRS["Authorization"].partition(" ")[2]
        assert not [path for path in tmp_path.rglob("*") if path.is_file() and key.encode() in path.read_bytes()]


def test_anothers_key_scores_nothing_at_any_gateway(gateways):
    services, addresses = gateways(2)
    request = answered(addresses[1])
    said = asked(addresses[0], request, THEIRS)
    assert code_of(said) == (404, "call_not_found") and "could not be asked" not in said[1]["error"]["message"]
    assert said == asked(addresses[0], "never", THEIRS)
    assert not [truth for each in services for truth in each.gateway.truths]


def test_what_is_asked_for_by_a_peer_is_never_passed_on(gateways):
    (one, two), addresses = gateways(2)
    request = answered(addresses[1])
    assert code_of(asked(addresses[0], request, {**OURS, subject.ASKED_FOR: "ours"})) == (404, "call_not_found")
    # Nobody remembers it, and each knows of the other: it ends.
    assert code_of(asked(addresses[0], "never")) == (404, "call_not_found")
    assert not one.gateway.truths and not two.gateway.truths


def test_one_error_is_counted_once_by_the_gateway_that_the_caller_asked_and_none_where_all_is_well(gateways):
    services, addresses = gateways(3)
    request = answered(addresses[1])
    for _ in range(3):
        assert asked(addresses[0], request)[0] == 200
    assert [each.watch.codes for each in services] == [[], [], []]
    del services[2].gateway.table["sentiment"]
    assert asked(addresses[0], request)[0] == 200
    assert code_of(asked(addresses[0], "never")) == (404, "call_not_found")
    assert code_of(asked(addresses[0], request, truth="blue")) == (400, "invalid_value")
    assert [each.watch.codes for each in services] == [["call_not_found", "invalid_value"], [], []]
    # What the one that asks does not pass on, and what is no feedback, is counted where it was answered.
    asked(addresses[1], request, {subject.ASKED_FOR: "ours"})
    httpx.post(f"{addresses[1]}/v1/sentiment", json={"text": 7}, headers={**OURS, subject.ASKED_FOR: "ours"})
    assert services[1].watch.codes == ["invalid_api_key", "invalid_value"]


def test_the_header_of_peers_gives_nobody_more_than_a_key_does(gateways):
    services, (address, _) = gateways(2)
    request = answered(address)
    # Under another's name nothing is found, not even one's own; and without a key nobody is heard.
    assert code_of(asked(address, request, {**OURS, subject.ASKED_FOR: "theirs"})) == (404, "call_not_found")
    assert code_of(asked(address, request, {**THEIRS, subject.ASKED_FOR: "ours"})) == (404, "call_not_found")
    assert code_of(asked(address, request, {subject.ASKED_FOR: "ours"})) == (401, "invalid_api_key")
    assert not services[0].gateway.truths
    assert asked(address, request, {**OURS, subject.ASKED_FOR: "ours"})[0] == 200


def test_a_key_that_two_gateways_know_under_two_names_finds_nothing_of_the_others(tmp_path):
    """One asks for keys, the other one, on loopback, takes everybody for one caller."""
    strict = fakes.FakeService(fakes.settings(tmp_path))
    open_ = fakes.FakeService(fakes.settings(tmp_path, require_api_key=False))
    with fakes.running(strict) as one, fakes.running(open_, Everybody()) as other:
        strict.watch.others, open_.watch.others = Peers((other,)), Peers((one,))
        assert code_of(asked(one, answered(other, {}))) == (404, "call_not_found")
        said = asked(other, answered(one), {})
        assert code_of(said) == (404, "call_not_found")
        assert "1 other gateway could not be asked" in said[1]["error"]["message"], "it asks for a key"
    assert not strict.gateway.truths and not open_.gateway.truths


def test_without_keys_gateways_ask_each_other_too(gateways):
    _, addresses = gateways(2, keys=Everybody(), require_api_key=False)
    assert asked(addresses[0], answered(addresses[1], {}), {})[0] == 200


def test_a_call_id_alone_is_not_passed_on_and_the_way_out_is_told(gateways):
    (_, two), addresses = gateways(2)
    headers = {**OURS, "X-Call-Id": "c1"}
    answered(addresses[1], headers)
    status, said = asked(addresses[0], None, call_id="c1")
    assert status == 404 and "request_id" in said["error"]["message"] and said["error"]["param"] == "call_id"
    assert not two.gateway.truths


def test_gateways_that_are_gone_or_strange_are_left_out_and_counted(gateways, caplog):
    (one, two), addresses = gateways(2)
    with listening_socket("127.0.0.1", 0) as dead, ExitStack() as running:
        known = {"request_id": "x", "call_id": None, "adapter": "sentiment", "accepted": True, "repeated": False}
        strange = [
            running.enter_context(stranger(*said))
            for said in (
                (b"no JSON",), (b'{"accepted": true}',), (b"[]", 404), (b"[" * 9000,),
                (b"x" * (subject.MOST_BYTES + 1),),
                (json.dumps(known).encode(), 201), (b"", 301, [("Location", f"{addresses[1]}/v1/feedback")]),
                (b"\x1f\x8b", 200, [("Content-Encoding", "gzip")]), (b'{"error": {"code": "model_error"}}', 500),
                (b'{"error": {"code": ["call_not_found"]}}', 404),
            )
        ]  # fmt: skip
        closed = f"http://127.0.0.1:{dead.getsockname()[1]}"
        one.watch.others = Peers((closed, *(address for address, _ in strange), addresses[1]), beyond=1)
        assert asked(addresses[0], answered(addresses[1]))[0] == 200
        status, said = asked(addresses[0], "never")
        assert status == 404 and f"{len(strange) + 1} other gateways could not be asked" in said["error"]["message"]
        assert all(path == "/v1/feedback" for _, seen in strange for path in seen)
    assert two.gateway.truths
    assert "df-ours" not in caplog.text and "positive" not in caplog.text and closed in caplog.text


def test_a_gateway_that_hangs_delays_no_answer_and_is_given_up(gateways, monkeypatch):
    (one, _), addresses = gateways(2)
    with stranger() as (hanging, seen):
        one.watch.others = Peers((hanging, addresses[1]))
        # With the usual time this test would last: the first who knows is enough.
        monkeypatch.setattr(subject, "ANSWER_SECONDS", 1000.0)
        assert asked(addresses[0], answered(addresses[1]))[0] == 200
        monkeypatch.setattr(subject, "ANSWER_SECONDS", 0.2)
        assert code_of(asked(addresses[0], "never")) == (429, "overloaded") and seen


def test_feedback_comes_again_where_a_gateway_that_may_know_it_stalls_and_not_where_one_is_gone(gateways, monkeypatch):
    (one, _), addresses = gateways(2)
    monkeypatch.setattr(subject, "ANSWER_SECONDS", 0.2)
    given = {"json": {"request_id": "x", "task": "sentiment", "truth": "positive"}, "headers": OURS}
    with stranger() as (hanging, _), listening_socket("127.0.0.1", 0) as dead:
        one.watch.others = Peers((hanging,))
        answer = httpx.post(f"{addresses[0]}/v1/feedback", **given, timeout=60, trust_env=False)
        assert answer.status_code == 429 and answer.headers["Retry-After"]
        one.watch.others = Peers((f"http://127.0.0.1:{dead.getsockname()[1]}",))
        status, said = asked(addresses[0], "x")
        assert status == 404 and "could not be asked" not in said["error"]["message"]


@pytest.mark.parametrize("starts", [True, False])
def test_what_a_gateway_does_not_serve_the_others_are_asked_about(gateways, starts):
    """While it starts, and for good where it serves other adapters alone."""
    (one, two), addresses = gateways(2)
    one.gateway.table = {} if starts else {"nlu": fakes.route("nlu")}
    request = answered(addresses[1])
    assert asked(addresses[0], request)[0] == 200 and two.gateway.truths
    refusal = (429, "starting") if starts else (404, "model_not_found")
    assert code_of(asked(addresses[0], "never")) == refusal
    # One that asks is told that it did not answer: what it remembered went with its start.
    assert code_of(asked(addresses[1], "never")) == (404, "call_not_found")


def test_what_nothing_can_score_is_told_so_by_a_gateway_that_does_not_serve_it_too(gateways):
    (one, _), addresses = gateways(2)
    del one.gateway.table["tts"]
    said = asked(addresses[0], "any", task=None, adapter="tts", truth="നന്ദി")
    assert code_of(said) == (400, "not_scorable")


def test_feedback_of_one_caller_leaves_room_for_that_of_others(gateways, monkeypatch):
    monkeypatch.setattr(subject, "MOST_AT_ONCE", 4)
    (one, _), addresses = gateways(2)
    with stranger() as (hanging, seen):
        one.watch.others = Peers((hanging,))
        waiting = [threading.Thread(target=asked, args=(addresses[0], "never", THEIRS)) for _ in range(2)]
        for each in waiting:
            each.start()
        wait_for(lambda: len(seen) == 2)
        assert code_of(asked(addresses[0], "never", THEIRS)) == (429, "overloaded") and len(seen) == 2
        one.watch.others = Peers((hanging, addresses[1]))
        assert asked(addresses[0], answered(addresses[1]))[0] == 200
    for each in waiting:
        each.join()


def test_feedback_that_waits_for_others_is_bounded(gateways, monkeypatch):
    monkeypatch.setattr(subject, "MOST_AT_ONCE", 1)
    (one, _), addresses = gateways(2)
    with stranger() as (hanging, seen):
        one.watch.others = Peers((hanging,))
        waiting = threading.Thread(target=asked, args=(addresses[0], "never"))
        waiting.start()
        wait_for(lambda: seen)
        assert code_of(asked(addresses[0], "never")) == (429, "overloaded")
        # What this gateway knows itself waits for nobody.
        assert asked(addresses[0], answered(addresses[0]))[0] == 200
    waiting.join()


def test_where_another_gateway_has_too_much_to_keep_it_is_to_be_told_again(gateways, monkeypatch):
    monkeypatch.setattr(operations, "WAITING_FEEDBACK", 1)
    (_, two), addresses = gateways(2)
    request, score = answered(addresses[1]), two.gateway.feedback
    waits, unlocked = threading.Event(), threading.Event()

    def locked(*given, **named):
        waits.set()
        assert unlocked.wait(60)
        return score(*given, **named)

    monkeypatch.setattr(two.gateway, "feedback", locked)
    waiting = threading.Thread(target=asked, args=(addresses[1], request))
    waiting.start()
    try:
        assert waits.wait(60)
        assert code_of(asked(addresses[0], request)) == (429, "overloaded")
    finally:
        unlocked.set()
        waiting.join()
    assert asked(addresses[0], request)[1]["repeated"]


def test_without_the_file_of_gateways_feedback_says_what_it_can_not_look_up(gateways, monkeypatch):
    (one, _), addresses = gateways(2)

    def damaged():
        raise FoundryError("The file of tallies can't be used.", "Move it away.")

    monkeypatch.setattr(one.watch, "peers", damaged)
    assert asked(addresses[0], answered(addresses[0]))[0] == 200
    status, said = asked(addresses[0], "never")
    assert status == 404 and "can't be looked up" in said["error"]["message"] and "tallies" not in str(said)
