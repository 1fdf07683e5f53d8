"""Proxies that the environment sets: named where they fail, refused where no request can go through them."""

import pytest
from huggingface_hub import close_session

from data_foundry.errors import FoundryError
from data_foundry.hub.patience import Patience
from data_foundry.hub.proxies import check_proxies, proxy_for
from data_foundry.hub.remote import RemoteHub
from tests.hub.builders import ID

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
HUB = "http://hub.invalid"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    # The client's session is made once for a process, with the proxies of that moment.
    close_session()
    yield
    close_session()


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"HTTP_PROXY": "notaurl"}, "http://notaurl (HTTP_PROXY)"),
        ({"http_proxy": "http://someone:sesame@127.0.0.1:3128"}, "http://127.0.0.1:3128 (http_proxy)"),
        ({"ALL_PROXY": "http://127.0.0.1:9"}, "http://127.0.0.1:9 (ALL_PROXY)"),
        ({"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "hub.invalid"}, "None"),
        ({"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "*"}, "None"),
        ({"HTTPS_PROXY": "http://127.0.0.1:9"}, "None"),
        ({}, "None"),
    ],
)
def test_the_proxy_of_a_request_is_named_without_its_password(monkeypatch, given, shown):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    check_proxies()
    assert str(proxy_for(HUB)) == shown


def test_a_proxy_that_does_not_answer_is_named_in_the_message(monkeypatch, waits):
    monkeypatch.setenv("HTTP_PROXY", "http://someone:sesame@127.0.0.1:9")
    with pytest.raises(
        FoundryError, match=r"can't reach .* through the proxy http://127\.0\.0\.1:9 \(HTTP_PROXY\)"
    ) as no:
        RemoteHub(HUB, Patience(1, 9), environ={}).snapshot("datasets", ID, None)
    assert "Check the network, HF_ENDPOINT and HTTP_PROXY" in no.value.hint and "sesame" not in str(no.value)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ftp://someone:sesame@127.0.0.1:21", "ALL_PROXY names no proxy that can be used: ftp://127.0.0.1:21"),
        ("http://127.0.0.1:port", "ALL_PROXY names no proxy that can be used"),
        ("http://", "ALL_PROXY names no proxy that can be used"),
        ("socks5://127.0.0.1:1080", r"ALL_PROXY names a SOCKS proxy, socks5://127.0.0.1:1080 .* can't speak"),
    ],
)
@pytest.mark.parametrize("ask", [lambda hub: hub.reach(), lambda hub: hub.snapshot("datasets", ID, None)])
def test_a_proxy_that_no_request_can_go_through_is_refused_by_its_variable(monkeypatch, address, words, ask):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("ALL_PROXY", address)
    with pytest.raises(FoundryError, match=words) as caught:
        ask(RemoteHub(HUB, Patience(1, 9), environ={}))
    assert "sesame" not in str(caught.value) and "unset" in caught.value.hint
