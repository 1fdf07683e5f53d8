"""What is answered with an error is counted by its code, of which the program names all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from data_foundry.serving.http import errors
from data_foundry.serving.http.app import create_app
from tests.serving import fakes


@pytest.fixture
def service(tmp_path):
    return fakes.FakeService(fakes.settings(tmp_path))


def test_every_error_is_counted_by_its_code_whoever_answered_it(service):
    with TestClient(create_app(service, fakes.Gate()), headers={"Authorization": "Bearer df-ours"}) as client:
        client.post("/v1/understand", json={"text": "ബിൽ"}, headers={"Authorization": "Bearer df-guessed"})
        client.post("/v1/understand", json={"text": ""})
        client.post("/v1/understand", json={"text": 7})
        client.post("/v1/understand", content=b"{", headers={"Content-Type": "application/json"})
        client.get("/v1/nothing")
        assert client.post("/v1/understand", json={"text": "ബിൽ"}).status_code == 200
    assert service.watch.codes == ["invalid_api_key", "empty_text", "invalid_value", "invalid_json", "not_found"]


def test_the_codes_that_are_counted_are_all_that_the_endpoints_name_and_no_others():
    places = Path(errors.__file__).parent.glob("*.py")
    named = {code for place in places for code in re.findall(r'Refused\(\s*\d{3}, "(\w+)"', place.read_text("utf-8"))}
    assert len(named) > 25 and named <= errors.CODES
    assert errors.counted_as(errors.Refused(400, "a_callers_own_word", "no")) == "other"
