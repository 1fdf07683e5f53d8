"""What the Hub's API says of a repository and lists of its files, page by page; what is neither is never believed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

from data_foundry.errors import FoundryError
from data_foundry.hub.explain import WrongAnswer
from data_foundry.hub.files import HubFile, check_repo_id, is_commit


def read_info(response: Any) -> dict[str, Any]:
    """Return what one answer says of a repository: {"id", "sha", "gated", "tags"}. Raises WrongAnswer."""
    try:
        said = response.json()
        check_repo_id(said["id"])
        if not is_commit(said["sha"]):
            raise ValueError("no commit")
        tags = [tag for tag in said.get("tags") or () if isinstance(tag, str)]
        return {"id": said["id"], "sha": said["sha"], "gated": said.get("gated"), "tags": tags}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, FoundryError):
        raise WrongAnswer("the server sent something else than what it knows of a repository") from None


def read_page(response: Any, home: str) -> tuple[list[tuple[str, HubFile | None]], str]:
    """Return (path, file or None for a folder) of one answer of the tree API, and where the next page is or "".

    `home` is the Hub's address: the token goes along to the next page, so that has to be there, too. Raises
    WrongAnswer.
    """
    try:
        listed = [(entry["path"], _file(entry) if entry["type"] == "file" else None) for entry in response.json()]
        if not all(isinstance(path, str) for path, _ in listed):
            raise ValueError("a path is no text")
    except (ValueError, KeyError, TypeError, RecursionError):
        kind = response.headers.get("Content-Type", "no type")
        raise WrongAnswer(f"the server sent something else than a list of files ({kind})") from None
    following = response.links.get("next", {}).get("url", "")
    # The answer may come from where the Hub redirected to, which got no token.
    following = urljoin(str(response.url), following) if following else ""
    if following and not _at_home(following, home):
        raise WrongAnswer("the list of files goes on at another host")
    if following and not listed:
        raise WrongAnswer("the list of files goes on after an empty page")
    return listed, following


def _at_home(url: str, home: str) -> bool:
    """Return whether an address is at the Hub's host and port, or at the same host by https where the Hub's is http."""
    there, here = urlsplit(url), urlsplit(home)
    upgraded = (here.scheme, there.scheme, here.netloc) == ("http", "https", there.netloc) and here.port is None
    return there[:2] == here[:2] or upgraded


def _file(entry: Mapping[str, Any]) -> HubFile:
    """Read one entry: of a large file only the sha256 is that of its bytes. Raises ValueError, KeyError, TypeError."""
    large, xet = entry.get("lfs"), bool(entry.get("xetHash"))
    size, digest = (large["size"], large["oid"]) if large else (entry["size"], entry["oid"])
    if not isinstance(size, int) or size < 0 or not re.fullmatch(r"[0-9a-f]{64}" if large else r"[0-9a-f]{40}", digest):
        raise ValueError(f"{entry['path']!r} has no size or hash")
    if large:
        return HubFile(entry["path"], size, sha256=digest, xet=xet)
    return HubFile(entry["path"], size, git_blob=digest, xet=xet)
