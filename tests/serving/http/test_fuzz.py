"""Broken requests against a real server: a few hundred of what benchmarks/serving/fuzz.py sends by the ten thousand."""

from __future__ import annotations

import json

import pytest

from benchmarks.serving import fuzz
from benchmarks.serving.broken import broken_requests
from tests.serving import fakes

# hypothesis and schemathesis keep caches, and jsonschema's successor warns of itself.
pytestmark = pytest.mark.filterwarnings("ignore")


def fuzzed(service, requests, **named):
    with fakes.running(service) as address:
        return fuzz.fuzz(address, "df-ours", "df-theirs", requests, threads=2, **named)


def test_no_broken_request_is_a_fault_or_tells_of_another_caller(tmp_path):
    service = fakes.FakeService(fakes.settings(tmp_path))
    findings = fuzzed(service, 400, seed=3, schema_share=0.0).as_json()
    assert not findings["faults"], findings["examples"]
    assert findings["requests"] == 400 and findings["victim_calls"] > 0
    assert {"200", "400", "401", "404", "405", "413", "415"} <= set(findings["by_status"]), "every refusal was met"


@pytest.mark.slow
def test_every_answer_is_as_the_openapi_document_says(tmp_path):
    """schemathesis draws requests from the document and holds the answers to it, for every endpoint."""
    service = fakes.FakeService(fakes.settings(tmp_path))
    findings = fuzzed(service, 300, seed=3, schema_share=1.0).as_json()
    assert not findings["faults"], findings["examples"]
    assert findings["requests"] >= 250


def test_the_same_seed_breaks_the_same_requests():
    # Streams of OGG have serial numbers from the time of day.
    first, again, other = ([(r.kind, r.path, r.headers, len(r.content)) for r in broken_requests(seed, 40)]
                           for seed in (5, 5, 6))  # fmt: skip
    assert first == again != other


def test_a_gateway_that_mixes_up_its_callers_is_found_out(tmp_path):
    """The check that finds nothing must be able to find something."""

    class Mixed(fakes.FakeGateway):
        said = "nothing yet"

        def _answer(self, adapter, call_id, row):
            answer = super()._answer(adapter, call_id, row)
            said, self.said = self.said, row.get("text") or self.said
            return type(answer)(**{**vars(answer), "output": said})

    service = fakes.FakeService(fakes.settings(tmp_path), Mixed())
    findings = fuzzed(service, 150, schema_share=0.0)
    assert findings.faults["leak"], json.dumps(findings.as_json())


def test_a_gateway_that_fails_is_found_out(tmp_path):
    service = fakes.FakeService(fakes.settings(tmp_path))
    service.gateway.fails = RuntimeError("broken")
    findings = fuzzed(service, 20, schema_share=0.0, seed=2)
    assert findings.faults["victim"]


def test_what_was_said_is_found_where_it_was_stored(tmp_path):
    (tmp_path / "kept.log").write_text("he said കാനറി")
    (tmp_path / "clean.log").write_text("nothing")
    assert list(fuzz.search(tmp_path, ["കാനറി"])) == [str(tmp_path / "kept.log")]
