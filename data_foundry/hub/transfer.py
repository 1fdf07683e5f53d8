"""One file on its way from the Hub: bytes go to disk and through the hashes at once, and a cut is taken up again."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_foundry.hub.explain import WrongAnswer
from data_foundry.hub.files import HubFile
from data_foundry.hub.hashing import BLOCK
from data_foundry.hub.patience import Halted


class Transfer:
    """Bytes of a file that came so far: in `part` and in `digest`. Use it as a context; it holds the part open."""

    def __init__(self, file: HubFile, revision: str, part: Path) -> None:
        self.file = file
        self.revision = revision
        self.digest = file.digest()
        # Without a buffer: what was counted as come is with the operating system, and survives a kill.
        self._out = part.open("ab+", buffering=0)

    def __enter__(self) -> Transfer:
        if self._out.seek(0, 2) > self.file.bytes:
            self.restart()
        self._out.seek(0)
        while block := self._out.read(BLOCK):
            self.digest.update(block)
        return self

    def __exit__(self, *_: object) -> None:
        self._out.close()

    @property
    def came(self) -> int:
        return self.digest.bytes

    def restart(self) -> None:
        """Forget what came."""
        self._out.truncate(0)
        self.digest = self.file.digest()

    def write(self, block: bytes) -> None:
        """Put the next bytes on disk and through the hashes."""
        rest = memoryview(block)
        while rest:
            rest = rest[self._out.write(rest) or 0 :]
        self.digest.update(block)

    def run(self, session: Any, url: str, headers: Mapping[str, str], halt: threading.Event | None) -> None:
        """Ask for what is missing and take it in. Raises what the session raises, WrongAnswer, OSError or Halted."""
        from huggingface_hub.utils import hf_raise_for_status

        if self.came == self.file.bytes > 0:
            return
        wanted = {**headers, "Accept-Encoding": "identity"}
        if self.came:
            wanted["Range"] = f"bytes={self.came}-"
        with session.stream("GET", url, headers=wanted, follow_redirects=True) as response:
            if response.status_code == 416:
                self.restart()
                raise WrongAnswer("the server has no such part of the file (416)")
            hf_raise_for_status(response)
            self._check(response)
            for block in response.iter_bytes():
                if self.came + len(block) > self.file.bytes:
                    self.restart()
                    raise WrongAnswer(f"the server sent more than the file's {self.file.bytes} bytes")
                self.write(block)
                if halt is not None and halt.is_set():
                    raise Halted
        if self.came < self.file.bytes:
            raise WrongAnswer(f"the server sent {self.came} bytes instead of {self.file.bytes}")

    def _check(self, response: Any) -> None:
        """Compare the answer's headers with the commit, before a wrong body is taken in."""
        for answer in (*response.history, response):
            commit = answer.headers.get("X-Repo-Commit")
            if commit is not None and commit != self.revision:
                raise WrongAnswer(f"the server answered from commit {commit} instead of {self.revision}")
        if response.status_code == 206:
            span = re.match(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
            if span is None or int(span[1]) != self.came or span[2] not in ("*", str(self.file.bytes)):
                self.restart()
                raise WrongAnswer("the server sent another part of the file than was asked for")
            return
        if self.came:
            # The whole file again: the server does not know parts.
            self.restart()
        length, kind = response.headers.get("Content-Length"), response.headers.get("Content-Type", "")
        encoded = response.headers.get("Content-Encoding", "identity") != "identity"
        if length is not None and not encoded and int(length) != self.file.bytes:
            page = ": a web page" if "html" in kind.lower() else ""
            raise WrongAnswer(f"the server sent {length} bytes instead of {self.file.bytes}{page}")
