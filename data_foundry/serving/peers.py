"""The gateways beside this one on the same base path, and the URL at which each of them is reached.

Each says with its counts, on the disk, that it is there and at which URL (see `watch/tallies.py`). A caller's key goes
to these URLs, so who may write that file is trusted as who may write the registry is.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from data_foundry.config import Settings
from data_foundry.serving.http.api_keys import is_loopback
from data_foundry.serving.watch.tallies import Heard
from data_foundry.serving_settings import PEER_URL

SILENT_SECONDS = 120.0
"""One that wrote nothing for so long is not asked any more; asking too many costs little, and clocks may differ."""
# Addresses for documentation, which nobody has.
_ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}


@dataclass(frozen=True)
class Peers:
    """The URLs of the others; `beyond`: how many more there are that are not reached from this machine."""

    addresses: tuple[str, ...] = ()
    beyond: int = 0


def peers_of(gateways: Iterable[Heard], own: str, address: str, now: float) -> Peers:
    """Return who else takes calls of callers, of all that wrote; `own` and `address` are the asking gateway's.

    One of another machine that listens on its own loopback interface is beyond; one that tells of no URL has no peers.
    """
    found: list[str] = []
    beyond = 0
    for heard in gateways:
        told = heard.state.get("address")
        if heard.gateway == own or heard.source != "live" or not heard.running(now, SILENT_SECONDS):
            continue
        if not isinstance(told, str) or not re.fullmatch(PEER_URL, told) or told == address:
            continue
        if not (name := _hostname(told)):
            continue
        if heard.host != socket.gethostname() and is_loopback(name):
            beyond += 1
        else:
            found.append(told)
    return Peers(tuple(dict.fromkeys(found)), beyond)


def peer_address(bound: str, settings: Settings) -> str:
    """Return the URL at which other gateways reach one that is bound to a URL.

    `serving.peer_url` where it is set; else what it is bound to. Where that is every address of this machine: the
    loopback address if the base path is this machine's alone (`storage.type` local), or if there is no network; else
    the address that this machine has towards others.
    """
    if settings.serving.peer_url is not None:
        return settings.serving.peer_url
    parts = urlsplit(bound)
    try:
        host = ipaddress.ip_address(_hostname(bound))
    except ValueError:
        return bound
    if not host.is_unspecified:
        return bound
    family = socket.AF_INET6 if host.version == 6 else socket.AF_INET
    own = _outward(family) if settings.storage.type == "shared" else None
    own = own or ("::1" if host.version == 6 else "127.0.0.1")
    return f"http://[{own}]:{parts.port}" if ":" in own else f"http://{own}:{parts.port}"


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _outward(family: socket.AddressFamily) -> str | None:
    """Return the address that this machine would call others from. Sends nothing."""
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect((_ELSEWHERE[family], 9))
        except OSError:
            return None
        host: str = asking.getsockname()[0]
        return host
