"""Who else answers on a base path, and where others reach a gateway."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import pytest
from pydantic import ValidationError

from data_foundry.config import Settings
from data_foundry.lake import Lake
from data_foundry.serving import peers as subject
from data_foundry.serving.peers import Peers, peer_address, peers_of
from data_foundry.serving.watch import watcher as watching
from data_foundry.serving.watch.tallies import Heard, TallyReader
from data_foundry.serving.watch.watcher import Watcher
from tests.processes import wait_for

NOW = 1_800_000_000.0
HERE = socket.gethostname()


def heard(gateway="b", address="http://127.0.0.1:1", host=HERE, source="live", at=NOW, closed=None, pid=None):
    return Heard(gateway, host, pid or os.getpid(), source, NOW - 60, at, closed, {"address": address})


def among(*gateways):
    return peers_of(gateways, "a", "http://127.0.0.1:9", NOW)


def test_those_that_run_are_peers_each_once_and_nobody_is_its_own():
    same = [heard("b"), heard("c"), heard("d", "http://[::1]:2"), heard("e", "https://gateway-2", host="elsewhere")]
    assert among(*same) == Peers(("http://127.0.0.1:1", "http://[::1]:2", "https://gateway-2"))
    assert among(heard("a", "http://127.0.0.1:4"), heard("b", "http://127.0.0.1:9")) == Peers()


@pytest.mark.parametrize(
    "gone",
    [{"closed": NOW}, {"at": NOW - 121}, {"source": "replay"}, {"address": None}, {"address": ["http://127.0.0.1:1"]},
     {"address": "file:///etc/passwd"}, {"address": "http://key@127.0.0.1:1"}, {"address": "http://127.0.0.1:1/v2"},
     {"address": "http://127.0.0.1:1\n"}, {"address": "http://[::1"}],
    ids=str,
)  # fmt: skip
def test_what_closed_is_silent_replays_or_tells_of_no_plain_url_is_no_peer(gone):
    assert among(heard(**gone)) == Peers()


def test_one_that_ended_without_a_word_on_this_machine_is_no_peer():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert among(heard(pid=process.pid)).addresses
        process.kill()
    assert not among(heard(pid=process.pid)).addresses


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1"])
def test_the_loopback_address_of_another_machine_is_beyond(address):
    assert among(heard(address=address, host="elsewhere"), heard("c", "http://192.0.2.7:1", host="elsewhere")) == Peers(
        ("http://192.0.2.7:1",), beyond=1
    )


def settings_with(storage="local", peer_url=None):
    return Settings.model_validate({"storage": {"type": storage}, "serving": {"peer_url": peer_url}})


@pytest.mark.parametrize(
    ("bound", "reached"),
    [("http://192.0.2.5:80", "http://192.0.2.5:80"), ("http://localhost:80", "http://localhost:80"),
     ("http://0.0.0.0:80", "http://127.0.0.1:80"), ("http://[::]:80", "http://[::1]:80")],
)  # fmt: skip
def test_a_gateway_is_reached_where_it_listens_and_on_loopback_where_that_is_everywhere(bound, reached):
    assert peer_address(bound, settings_with()) == reached
    assert peer_address(bound, settings_with(peer_url="https://gateway-1:8443")) == "https://gateway-1:8443"


@pytest.mark.parametrize(
    ("bound", "outward", "reached"),
    [("http://0.0.0.0:80", "192.0.2.5", "http://192.0.2.5:80"), ("http://[::]:80", "2001:db8::5", "http://[2001:db8::5]:80"),
     ("http://0.0.0.0:80", None, "http://127.0.0.1:80"), ("http://192.0.2.6:80", "192.0.2.5", "http://192.0.2.6:80")],
)  # fmt: skip
def test_on_a_shared_path_it_is_reached_at_its_machines_address(monkeypatch, bound, outward, reached):
    monkeypatch.setattr(subject, "_outward", lambda family: outward)
    assert peer_address(bound, settings_with("shared")) == reached


def test_the_address_towards_others_is_one_of_this_machine_or_none():
    for family in (socket.AF_INET, socket.AF_INET6):
        if (found := subject._outward(family)) is not None:
            with socket.socket(family) as own:
                own.bind((found, 0))


@pytest.mark.parametrize("wrong", ["gateway-1:80", "ftp://gateway-1", "http://key@gateway-1", "http://gateway-1/v", ""])
def test_a_peer_url_that_is_no_plain_url_is_refused(wrong):
    with pytest.raises(ValidationError, match="peer_url"):
        settings_with(peer_url=wrong)


def test_gateways_on_one_base_path_meet_and_part_and_others_never_meet(settings, lake, tmp_path, monkeypatch):
    monkeypatch.setattr(watching, "STATUS_SECONDS", 0.0)
    alone = Watcher(settings.model_copy(update={"base_path": tmp_path / "other"}), address="http://127.0.0.1:7")
    replays = Watcher(settings, source="replay")
    with Watcher(settings, address="http://127.0.0.1:1") as one, alone, replays:
        assert one.peers() == Peers()
        with Watcher(settings, address="http://127.0.0.1:2") as two:
            wait_for(lambda: one.peers() == Peers(("http://127.0.0.1:2",)))
            wait_for(lambda: two.peers() == Peers(("http://127.0.0.1:1",)))
            assert alone.peers() == replays.peers() == Peers()
            told = {gateway["address"] for gateway in one.status()["gateways"]}
            assert told == {"http://127.0.0.1:1", "http://127.0.0.1:2"}
        assert one.peers() == Peers()
    assert not TallyReader(Lake(settings)).gateways(since=time.time() + 1)
