"""Broken requests against a running gateway: no 5xx, no hang, and never another caller's words in an answer.

    python -m data_foundry keys create fuzzer; python -m data_foundry keys create victim
    python -m data_foundry serve &
    PYTHONPATH=. python benchmarks/serving/fuzz.py http://127.0.0.1:8080 --key KEY --victim-key KEY --requests 10000

A share of the requests is drawn by schemathesis from the gateway's own OpenAPI document, and each answer is held to it;
the rest is broken below that: audio, forms, JSON, headers, HTTP itself. Meanwhile another caller, the victim,
goes on calling with words that stand nowhere else; every answer to the fuzzer is searched for them. `--files` folders
(the gateway's base path) are searched for them, too, at the end: what callers say is not to be stored. Exit code 1
where anything was found.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import h11
import httpx

from benchmarks.serving.broken import BrokenRequest, broken_requests

PATIENCE = 60.0
"""Seconds after which a request counts as hung: longer than the gateway may take to answer or refuse."""
EXAMPLES = 20
# A text that fits the schema may still be none that a model takes; which those are, only the model knows.
LEFT_OUT = ("positive_data_acceptance",)


@dataclass
class Findings:
    """What came of the requests. `faults` are what must not be, by kind, and examples of them."""

    statuses: dict[str, Counter[str]] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    victim_calls: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, source: str, status: int | str) -> None:
        with self._lock:
            self.statuses.setdefault(source, Counter())[str(status)] += 1
            if not (done := sum(counts.total() for counts in self.statuses.values())) % 1000:
                print(f"{done} requests", file=sys.stderr, flush=True)

    def fault(self, kind: str, example: str) -> None:
        with self._lock:
            self.faults[kind] += 1
            if len(self.examples) < EXAMPLES:
                self.examples.append(f"{kind}: {example[:400]}")

    def as_json(self) -> dict[str, Any]:
        total: Counter[str] = sum(self.statuses.values(), Counter())
        return {
            "requests": total.total(),
            "by_status": dict(sorted(total.items())),
            "by_source": {name: dict(sorted(counts.items())) for name, counts in sorted(self.statuses.items())},
            "victim_calls": self.victim_calls,
            "faults": dict(self.faults),
            "examples": self.examples,
        }


def fuzz(
    address: str,
    key: str,
    victim_key: str,
    requests: int,
    *,
    seed: int = 0,
    threads: int = 4,
    schema_share: float = 0.5,
) -> Findings:
    """Send so many requests to a gateway and return what came of them; the same requests for a seed."""
    findings = Findings()
    canaries = _canaries(seed)
    with _Victim(address, victim_key, canaries, findings):
        by_schema = round(requests * schema_share)
        if by_schema:
            _by_schema(address, key, by_schema, seed, canaries, findings)
        _by_hand(address, key, list(broken_requests(seed, requests - by_schema)), threads, canaries, findings)
    with httpx.Client(base_url=address, timeout=PATIENCE) as client:
        if client.get("/health").status_code != 200:
            findings.fault("dead", "the gateway does not say that it lives")
    return findings


def search(folder: Path, words: Sequence[str]) -> Iterator[str]:
    """Yield the files that hold any of the words, in UTF-8."""
    for file in sorted(folder.rglob("*")):
        if file.is_file() and any(word.encode() in file.read_bytes() for word in words):
            yield str(file)


def _canaries(seed: int) -> list[str]:
    """Words that stand in no request but the victim's: one that is said, and the start of call ids."""
    draw = random.Random(f"canary {seed}")
    return ["".join(draw.choices("കഖഗചജടഡതദനപബമയരലവശസഹ", k=14)), f"canary{draw.getrandbits(60):x}"]


class _Victim:
    """Another caller, who calls as long as the fuzzing lasts and looks at what comes back."""

    def __init__(self, address: str, key: str, canaries: Sequence[str], findings: Findings) -> None:
        self._address, self._key, self._findings = address, key, findings
        self._word, self._id = canaries
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._call, name="victim")

    def __enter__(self) -> _Victim:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _call(self) -> None:
        headers = {"Authorization": f"Bearer {self._key}"}
        with httpx.Client(base_url=self._address, headers=headers, timeout=PATIENCE) as client:
            while True:
                number = self._findings.victim_calls
                path = ("/v1/sentiment", "/v1/translate", "/v1/understand")[number % 3]
                name = f"{self._id}-{number}"
                try:
                    answer = client.post(path, json={"text": f"എന്റെ പേര് {self._word}"}, headers={"X-Call-Id": name})
                    if answer.status_code not in (200, 429) or answer.headers["x-call-id"] != name:
                        self._findings.fault("victim", f"{path}: {answer.status_code} {answer.text}")
                except httpx.HTTPError as error:
                    self._findings.fault("victim", f"{path}: {type(error).__name__}")
                self._findings.victim_calls += 1
                if self._ended.wait(0.2):
                    return


def _judge(findings: Findings, what: str, status: int, head: str, body: bytes, canaries: Sequence[str]) -> None:
    if status >= 500 and not (status == 503 and "/ready" in what):
        findings.fault(f"status {status}", f"{what}: {body[:200]!r}")
    if any(word in head or word.encode() in body or json.dumps(word)[1:-1].encode() in body for word in canaries):
        findings.fault("leak", what)


def _by_hand(
    address: str, key: str, requests: list[BrokenRequest], threads: int, canaries: Sequence[str], findings: Findings
) -> None:
    def send(share: list[BrokenRequest]) -> None:
        with httpx.Client(base_url=address, timeout=PATIENCE) as client:
            for request in share:
                if request.raw is not None:
                    _send_raw(address, key, request.raw, canaries, findings)
                else:
                    _send(client, key, request, canaries, findings)

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(send, requests[start::threads]) for start in range(threads)]:
            done.result()


def _send(client: httpx.Client, key: str, request: BrokenRequest, canaries: Sequence[str], findings: Findings) -> None:
    what = f"{request.kind} {request.method} {request.path}"
    try:
        answer = client.request(
            request.method,
            request.path,
            content=request.content,
            headers={"Authorization": f"Bearer {key}", **request.headers},  # type: ignore[dict-item]
        )
    except httpx.TimeoutException:
        findings.fault("hang", what)
        findings.count(request.kind.partition(":")[0], "hang")
        return
    except (httpx.TransportError, httpx.InvalidURL, h11.ProtocolError) as error:
        # What HTTP itself forbids is refused by the client, or the server closes the connection.
        findings.count(request.kind.partition(":")[0], type(error).__name__)
        return
    findings.count(request.kind.partition(":")[0], answer.status_code)
    _judge(findings, what, answer.status_code, str(answer.headers), answer.content, canaries)
    known = answer.headers.get("content-type", "").startswith("application/json")
    if 400 <= answer.status_code < 500 and known and answer.content and "error" not in answer.json():
        findings.fault("shape", f"{what}: {answer.text}")


def _send_raw(address: str, key: str, raw: bytes, canaries: Sequence[str], findings: Findings) -> None:
    parts = urlsplit(address)
    raw = raw.replace(b"Host: x\r\n", b"Host: x\r\nAuthorization: Bearer " + key.encode() + b"\r\n")
    answer = b""
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=PATIENCE) as connection:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65_536):
                answer += part
    except TimeoutError:
        findings.fault("hang", f"raw {raw[:60]!r}")
    except OSError:
        pass  # The server may close on what is no HTTP before all of it is sent.
    status = answer.split(b" ", 2)[1].decode() if answer.startswith(b"HTTP/") else "closed"
    findings.count("raw", status)
    if status.isdecimal():
        _judge(findings, f"raw {raw[:60]!r}", int(status), "", answer, canaries)


def _by_schema(address: str, key: str, requests: int, seed: int, canaries: Sequence[str], findings: Findings) -> None:
    """Let schemathesis draw what fits the document and what does not, and hold every answer to the document."""
    import schemathesis
    from schemathesis.checks import CHECKS, load_all_checks
    from schemathesis.core.failures import FailureGroup

    load_all_checks()
    left_out = [CHECKS.get_one(name) for name in LEFT_OUT]
    schema = schemathesis.openapi.from_dict(httpx.get(f"{address}/openapi.json", timeout=PATIENCE).json())
    headers = {"Authorization": f"Bearer {key}"}
    spent = 0

    def check(case: Any, what: str) -> None:
        nonlocal spent
        spent += 1
        try:
            answer = case.call(base_url=address, headers=headers, timeout=PATIENCE)
        except Exception as error:
            name = type(error).__name__
            findings.count("schema", name)
            if "Timeout" in name:
                findings.fault("hang", what)
            return
        findings.count("schema", answer.status_code)
        _judge(findings, what, answer.status_code, str(answer.headers), answer.content, canaries)
        try:
            case.validate_response(answer, headers=headers, excluded_checks=left_out)
        except FailureGroup as failures:
            for failure in failures.exceptions:
                findings.fault(type(failure).__name__, f"{what}: {failure} <- {case.as_curl_command()}")

    modes = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
    shares = [(found.ok(), mode) for found in schema.get_all_operations() for mode in modes]
    for number, (operation, mode) in enumerate(shares):
        _draw(operation, mode, (requests - spent) // (len(shares) - number), seed, check)


def _draw(operation: Any, mode: Any, examples: int, seed: int, check: Callable[[Any, str], None]) -> None:
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded

    @seeded(seed)
    @settings(max_examples=max(examples, 1), phases=[Phase.generate], deadline=None, database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def run(case: Any) -> None:
        check(case, f"schema {mode.value} {operation.label}")

    try:
        run()
    except Exception as error:
        # What can't be made wrong: an endpoint without parameters or body.
        if type(error).__name__ not in ("Unsatisfiable", "SkipTest", "Skipped"):
            raise


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("--key", required=True)
    parser.add_argument("--victim-key", required=True)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--schema-share", type=float, default=0.5, help="of the requests, what schemathesis draws")
    parser.add_argument("--files", type=Path, nargs="*", default=[])
    given = parser.parse_args(argv)
    started = time.monotonic()
    findings = fuzz(
        given.address, given.key, given.victim_key, given.requests,
        seed=given.seed, threads=given.threads, schema_share=given.schema_share,
    )  # fmt: skip
    for folder in given.files:
        for file in search(folder, _canaries(given.seed)):
            findings.fault("stored", file)
    print(json.dumps({**findings.as_json(), "seconds": round(time.monotonic() - started, 1)}, indent=1))
    return 1 if findings.faults else 0


if __name__ == "__main__":
    sys.exit(main())
