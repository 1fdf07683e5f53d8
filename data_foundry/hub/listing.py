"""Lists of a commit's files as the Hub's API sends them, page by page; what is no list is never believed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

from data_foundry.hub.explain import WrongAnswer
from data_foundry.hub.files import HubFile


def read_page(response: Any) -> tuple[list[HubFile], str]:
    """Return the files of one answer of the tree API, and the address of the next page or "". Raises WrongAnswer."""
    try:
        files = [_file(entry) for entry in response.json() if entry["type"] == "file"]
    except (ValueError, KeyError, TypeError):
        kind = response.headers.get("Content-Type", "no type")
        raise WrongAnswer(f"the server sent something else than a list of files ({kind})") from None
    here, following = str(response.url), response.links.get("next", {}).get("url", "")
    following = urljoin(here, following) if following else ""
    if following and urlsplit(following)[:2] != urlsplit(here)[:2]:
        # The token would go there, too.
        raise WrongAnswer("the list of files goes on at another host")
    return files, following


def _file(entry: Mapping[str, Any]) -> HubFile:
    """Read one entry: of a large file only the sha256 is that of its bytes. Raises ValueError, KeyError, TypeError."""
    large, xet = entry.get("lfs"), bool(entry.get("xetHash"))
    size, digest = (large["size"], large["oid"]) if large else (entry["size"], entry["oid"])
    if not isinstance(size, int) or size < 0 or not re.fullmatch(r"[0-9a-f]{64}" if large else r"[0-9a-f]{40}", digest):
        raise ValueError(f"{entry['path']!r} has no size or hash")
    if large:
        return HubFile(entry["path"], size, sha256=digest, xet=xet)
    return HubFile(entry["path"], size, git_blob=digest, xet=xet)
