"""What is answered with an error is counted by its code, of which the program names all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from data_foundry.errors import FoundryError
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


def test_what_the_page_and_its_data_are_refused_with_is_counted_too_in_the_shape_of_every_refusal(service):
    def unreadable():
        raise FoundryError("The registry can't be read.", "Mend it.")

    service.watch.status = unreadable
    with TestClient(create_app(service, fakes.Gate()), headers={"Authorization": "Bearer df-ours"}) as client:
        told = [client.get(path) for path in ("/v1/status", "/page/none.js")]
    errors_told = [each.json()["error"] for each in told]
    assert [each.status_code for each in told] == [503, 404] and told[0].headers["cache-control"] == "no-store"
    assert [each["type"] for each in errors_told] == ["server_error", "not_found_error"]
    assert "registry" in errors_told[0]["message"] and all(each["request_id"] for each in errors_told)
    assert service.watch.codes == [each["code"] for each in errors_told] == ["unreadable", "not_found"]


def test_the_codes_that_are_counted_are_all_that_the_endpoints_name_and_no_others():
    places = Path(errors.__file__).parent.glob("*.py")
    named = {code for place in places for code in re.findall(r'Refused\(\s*\d{3}, "(\w+)"', place.read_text("utf-8"))}
    assert len(named) > 25 and named <= errors.CODES
    assert errors.counted_as(errors.Refused(400, "a_callers_own_word", "no")) == "other"
