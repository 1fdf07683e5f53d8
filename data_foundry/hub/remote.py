"""A Hub behind HTTP, through huggingface_hub's session, headers and errors, with the retries that it leaves out.

Files of datasets come by one request each, straight from the resolved commit: what a HEAD request would tell, the
commit's list of files has told already, and hashes. Xet and the cache of models are the client's own work.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from data_foundry import __version__
from data_foundry.errors import FoundryError
from data_foundry.hub.client_downloads import ClientDownloads
from data_foundry.hub.explain import Explainer, WrongAnswer, causes, judge, of_disk, of_hub, status_of
from data_foundry.hub.files import (
    TOKEN_VARIABLES,
    HubFile,
    Kind,
    Snapshot,
    is_commit,
    safe_path,
    token_from,
)
from data_foundry.hub.hashing import Digest
from data_foundry.hub.listing import read_info, read_page
from data_foundry.hub.model_cache import bring_model, brought_commit
from data_foundry.hub.patience import GaveUp, Patience, Setback
from data_foundry.hub.proxies import check_proxies
from data_foundry.hub.session import use_session
from data_foundry.hub.transfer import Transfer

log = logging.getLogger("data_foundry")
T = TypeVar("T")
DEFAULT_ENDPOINT = "https://huggingface.co"
REACH_SECONDS = 2.0


class RemoteHub:
    """The Hub at `endpoint` (default: HF_ENDPOINT, or huggingface.co).

    `patience` says how often a request is tried again, `parallel` bounds concurrent downloads of one model, a transfer
    that brings nothing for `stall_seconds` is cut, and `xet` false keeps to plain HTTP.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        patience: Patience | None = None,
        parallel: int = 4,
        stall_seconds: float = 30.0,
        xet: bool = True,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self.name = _plain_endpoint(endpoint or self._environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT)
        self.patience = patience or Patience(retries=5, budget=200)
        self.parallel = parallel
        self.stall_seconds = stall_seconds
        self._xet = xet
        # Commits that the Hub itself named: of these nothing is asked again.
        self._named: set[tuple[str, str, str]] = set()
        token = token_from(self._environ)
        if token and token in self.name:
            raise FoundryError(
                "HF_ENDPOINT holds the access token.", f"Leave it out; it belongs in {TOKEN_VARIABLES[0]}."
            )

    def known_revision(self, kind: Kind, repo_id: str, pinned: str | None) -> str | None:
        if is_commit(pinned):
            return pinned
        # A model's ref stands where it stood when the model was brought last; a plan asks nobody for more.
        return brought_commit(repo_id, pinned or "main") if kind == "models" else None

    def resolve(self, kind: Kind, repo_id: str, pinned: str | None, ref: str = "main") -> str:
        return pinned if pinned and is_commit(pinned) else self._resolve(kind, repo_id, pinned or ref)

    def snapshot(self, kind: Kind, repo_id: str, pinned: str | None, ref: str = "main") -> Snapshot:
        named = pinned if (kind, repo_id, pinned) in self._named else None
        sha = named or self._resolve(kind, repo_id, pinned or ref)
        files = self._tree(kind, repo_id, sha)
        for file in files:
            safe_path(repo_id, file.path)
        return Snapshot(kind, repo_id, sha, self.name, tuple(sorted(files, key=lambda file: file.path)))

    def bring(
        self, snapshot: Snapshot, file: HubFile, part: Path, again: bool, halt: threading.Event | None = None
    ) -> Digest:
        subject = f"{snapshot.repo_id}: {file.path}"
        if not again and not part.exists() and self._downloads.by_xet(file):
            digest = self._downloads.by_xet_to(part, snapshot, file)
            if digest is not None:
                return digest
        headers = self._headers | ({"Cache-Control": "no-cache"} if again else {})
        url = self._file_url(snapshot, file.path)
        with Transfer(file, snapshot.revision, part) as transfer:

            def run() -> None:
                from huggingface_hub import get_session

                transfer.run(get_session(), url, headers, halt)

            self.call(snapshot.kind, snapshot.repo_id, subject, run, lambda: transfer.came, halt)
            return transfer.digest

    def model_folder(self, repo_id: str, revision: str | None) -> Path:
        return bring_model(self, repo_id, revision)

    def access(self, kind: Kind, repo_id: str, revision: str = "main") -> dict[str, Any]:
        info = self._info(kind, repo_id, revision, "gated", "tags")
        self.call(kind, repo_id, repo_id, lambda: self._api.auth_check(repo_id, repo_type=kind.rstrip("s")))
        licence = next((tag.partition(":")[2] for tag in info["tags"] if tag.startswith("license:")), None)
        files = self._tree(kind, repo_id, info["sha"])
        return {
            "revision": info["sha"],
            "gated": bool(info["gated"]),
            "licence": licence,
            "bytes": sum(file.bytes for file in files),
            "files": len(files),
            "renamed_to": info["id"] if info["id"] != repo_id else None,
        }

    def account(self) -> dict[str, Any] | None:
        """Return what the Hub says of the token (name, auth), {"status": 401} when it refuses it; None without one.

        Raises FoundryError when the Hub can't be asked.
        """
        if self.token is None:
            return None
        try:
            return self.patience.call("the access token", self._whoami, self._judge)
        except GaveUp as gave_up:
            status = status_of(gave_up.error)
            if status in (401, 403):
                return {"status": status}
            explainer = Explainer(self.name, self.token, None)
            raise explainer.explain("models", "", "the access token", gave_up) from None

    def reach(self) -> None:
        """Raise FoundryError where nothing answers; one request without the token and without a second try."""
        import httpx2
        from huggingface_hub import constants
        from huggingface_hub.errors import OfflineModeIsEnabled

        check_proxies()
        try:
            if constants.HF_HUB_OFFLINE:
                raise OfflineModeIsEnabled
            answer = httpx2.get(f"{self.name}/api/datasets?limit=1", timeout=REACH_SECONDS, follow_redirects=True)
            if answer.is_server_error:
                answer.raise_for_status()
            kind = answer.headers.get("Content-Type", "no type")
            if answer.status_code not in (401, 403, 429) and not (answer.is_success and "json" in kind):
                raise WrongAnswer(f"what answers at {self.name} is no Hub ({answer.status_code}, {kind})")
        except Exception as error:
            explainer = Explainer(self.name, None, None)
            raise explainer.explain("datasets", "", "the Hub", GaveUp(error, 1)) from None

    @cached_property
    def token(self) -> str | None:
        """The access token: from the environment only, so that what is sent can be seen and unset there."""
        return token_from(self._environ)

    def download(self, snapshot: Snapshot, file: HubFile, again: bool) -> Path:
        """Have the client download a file to its cache, tried again as every request here. Raises FoundryError."""
        subject = f"{snapshot.repo_id}: {file.path}"

        def run() -> Path:
            return self._downloads.to_cache(snapshot, file, again)

        return self.call(snapshot.kind, snapshot.repo_id, subject, run)

    @cached_property
    def _downloads(self) -> ClientDownloads:
        self._connect()
        return ClientDownloads(self.name, self.token, self._xet)

    def _resolve(self, kind: Kind, repo_id: str, revision: str) -> str:
        """Ask where a revision stands, which is one small request, and tell of a new name."""
        info = self._info(kind, repo_id, revision)
        if info["id"] != repo_id:
            log.warning("%s was renamed: the Hub sends to %s; mend its entry in the registry", repo_id, info["id"])
        self._named.add((kind, repo_id, info["sha"]))
        return info["sha"]

    def _info(self, kind: Kind, repo_id: str, revision: str, *more: str) -> dict[str, Any]:
        """Return a repository's "id", the "sha" where a revision stands, and `more`, of which tags are strings."""
        wanted = "&".join(f"expand={name}" for name in ("sha", *more))
        url = f"{self.name}/api/{kind}/{repo_id}/revision/{quote(revision, safe='')}?{wanted}"
        info = self.call(kind, repo_id, repo_id, lambda: read_info(self._get(url)))
        if is_commit(revision) and info["sha"] != revision:
            raise FoundryError(
                f"{repo_id}: asked for {revision}, the Hub at {self.name} answered with another commit.",
                "The endpoint is not a faithful mirror; use another HF_ENDPOINT.",
            )
        return info

    def _tree(self, kind: Kind, repo_id: str, sha: str) -> list[HubFile]:
        """Return every file of a commit as the API lists it; each page is a request of its own."""
        url = f"{self.name}/api/{kind}/{repo_id}/tree/{sha}?recursive=true"
        listed: dict[str, HubFile | None] = {}
        while url:
            page, url = self.call(kind, repo_id, repo_id, lambda: read_page(self._get(url), self.name))  # noqa: B023
            before = len(listed)
            listed.update(page)
            # Else a list that begins again with each page would never end.
            if len(listed) != before + len(page):
                raise FoundryError(
                    f"{repo_id}: {self.name} lists a path twice.",
                    "The endpoint is not a faithful mirror; use another HF_ENDPOINT.",
                )
        return [file for file in listed.values() if file is not None]

    def _get(self, url: str) -> Any:
        """Return the API's answer. Raises what the session and the client raise for a refusal."""
        from huggingface_hub import get_session
        from huggingface_hub.utils import hf_raise_for_status

        # First, because they set up the session.
        headers = self._headers
        response = get_session().get(url, headers=headers, follow_redirects=True)
        hf_raise_for_status(response)
        return response

    def _file_url(self, snapshot: Snapshot, path: str) -> str:
        kind = "datasets/" if snapshot.kind == "datasets" else ""
        return f"{self.name}/{kind}{snapshot.repo_id}/resolve/{snapshot.revision}/{quote(path)}"

    @cached_property
    def _api(self) -> Any:
        from huggingface_hub import HfApi

        self._connect()
        return HfApi(endpoint=self.name, token=self.token or False)

    @cached_property
    def _headers(self) -> dict[str, str]:
        from huggingface_hub.utils import build_hf_headers

        self._connect()
        token = self.token or False
        return dict(build_hf_headers(token=token, library_name="data-foundry", library_version=__version__))

    def _connect(self) -> None:
        """Set up the client in this process; to be called before its first request."""
        check_proxies()
        use_session(self.stall_seconds)

    def _whoami(self) -> dict[str, Any]:
        return dict(self._api.whoami())

    def call(
        self,
        kind: Kind,
        repo_id: str,
        subject: str,
        request: Callable[[], T],
        progress: Callable[[], int] = lambda: 0,
        halt: threading.Event | None = None,
    ) -> T:
        """Return what a request gives, tried again as the settings allow.

        Raises FoundryError, Halted, or OSError where this machine's disk fails.
        """
        try:
            return self.patience.call(subject, request, self._judge, progress, halt)
        except GaveUp as gave_up:
            error = gave_up.error
            if of_disk(error) or not of_hub(error):
                raise error from None
            explainer = Explainer(self.name, self.token, self._account_behind(error))
            raise explainer.explain(kind, repo_id, subject, gave_up) from None

    def _judge(self, error: Exception) -> Setback | None:
        return judge(error, self.token)

    def _account_behind(self, error: Exception) -> dict[str, Any] | None:
        """Ask once who the token belongs to, where that explains why the Hub refuses it."""
        if self.token is None or not any(status_of(cause) in (401, 403, 404) for cause in causes(error)):
            return None
        return self._asked_account

    @cached_property
    def _asked_account(self) -> dict[str, Any] | None:
        try:
            return self._whoami()
        except Exception as error:
            # It only makes a message more telling; the failure that is being explained is reported anyway.
            status = next((status_of(cause) for cause in causes(error)), None)
            return {"status": status} if status else None


def _plain_endpoint(address: str) -> str:
    """Return an address that may stand in messages, logs and metadata.json. Raises FoundryError."""
    address = address.strip().rstrip("/")
    parts = urlsplit(address)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise FoundryError(
            "HF_ENDPOINT holds a user name, a password or a query.",
            f"Leave them out; a token belongs in {TOKEN_VARIABLES[0]}.",
        )
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise FoundryError(
            f"HF_ENDPOINT {address!r} is no web address.", f"It is like {DEFAULT_ENDPOINT}, without a path to a page."
        )
    return address
