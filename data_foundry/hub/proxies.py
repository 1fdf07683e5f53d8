"""The proxies that the environment sets: what is wrong with one, and which of them a request goes through."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from data_foundry.errors import FoundryError

EXAMPLE = "http://proxy.example.org:3128"


@dataclass(frozen=True)
class Proxy:
    """A proxy and the variable that names it. Its text shows no name and no password."""

    variable: str
    address: str

    def __str__(self) -> str:
        scheme, _, rest = self.address.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]} ({self.variable})"


def proxy_for(address: str) -> Proxy | None:
    """Return the proxy that requests to an address go through, or None."""
    import urllib.request

    parts, found = urlsplit(address), _proxies()
    if urllib.request.proxy_bypass(parts.netloc):
        return None
    return found.get(parts.scheme) or found.get("all")


def check_proxies() -> None:
    """Refuse proxies that no request can go through; otherwise the session could not even be made.

    Raises FoundryError naming the variable.
    """
    for proxy in _proxies().values():
        parts = urlsplit(proxy.address)
        try:
            usable = parts.scheme in ("http", "https", "socks5", "socks5h") and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise FoundryError(
                f"{proxy.variable} names no proxy that can be used: {proxy}.", f"It is like {EXAMPLE}, or is unset."
            )
        if parts.scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
            raise FoundryError(
                f"{proxy.variable} names a SOCKS proxy, {proxy}, and this Python can't speak to one.",
                f"Run `pip install socksio`, name an HTTP proxy like {EXAMPLE}, or unset it.",
            )


def _proxies() -> dict[str, Proxy]:
    """Return the proxies by scheme ("http", "https", "all"), as the session reads them."""
    import urllib.request

    given = urllib.request.getproxies()
    if "*" in [host.strip() for host in given.get("no", "").split(",")]:
        return {}
    found = {}
    for scheme in ("http", "https", "all"):
        if address := given.get(scheme):
            name = f"{scheme}_proxy"
            variable = name if os.environ.get(name) else name.upper()
            found[scheme] = Proxy(variable, address if "://" in address else f"http://{address}")
    return found
