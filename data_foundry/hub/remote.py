"""A Hub behind HTTP, through the real huggingface_hub client, with the retries that the client leaves out."""

from __future__ import annotations

import errno
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from data_foundry.errors import FoundryError
from data_foundry.hub.files import TOKEN_VARIABLES, HubFile, Kind, Snapshot, is_commit, safe_path, token_from

log = logging.getLogger("data_foundry")
T = TypeVar("T")
DEFAULT_ENDPOINT = "https://huggingface.co"
RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 522, 524})
# A refused connection rarely heals within seconds, unlike a busy or stumbling server.
CONNECT_RETRIES = 2
LONGEST_WAIT = 300.0
OTHER_FRAMEWORKS = (".msgpack", ".h5", ".ot", ".onnx", ".onnx_data", ".gguf", ".tflite", ".mlmodel", ".pb")
PICKLED = (".bin", ".pt", ".pth", ".ckpt")


class RemoteHub:
    """The Hub at `endpoint` (default: HF_ENDPOINT, or huggingface.co).

    `retries` bounds how often one request is tried again, the first time after `first_delay` seconds and then twice as
    long each time, or as long as the server asks. `parallel` bounds concurrent downloads of one repository.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        retries: int = 5,
        parallel: int = 4,
        environ: Mapping[str, str] | None = None,
        first_delay: float = 1.0,
    ) -> None:
        environ = os.environ if environ is None else environ
        self.name = (endpoint or environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
        # The address stands in messages, logs and metadata.json, where no secret may stand.
        if "@" in self.name.partition("://")[2].partition("/")[0]:
            raise FoundryError(
                "HF_ENDPOINT holds a user name or a password.",
                f"Leave them out; a token belongs in {TOKEN_VARIABLES[0]}.",
            )
        self.retries = retries
        self.parallel = parallel
        self.first_delay = first_delay
        self._token = token_from(environ)

    def known_revision(self, kind: Kind, repo_id: str, pinned: str | None) -> str | None:
        return pinned if is_commit(pinned) else None

    def snapshot(self, kind: Kind, repo_id: str, pinned: str | None, ref: str = "main") -> Snapshot:
        info = self._info(kind, repo_id, pinned or ref)
        if not is_commit(info.sha) or (is_commit(pinned) and info.sha != pinned):
            raise FoundryError(
                f"{repo_id}: asked for {pinned or ref}, the Hub at {self.name} answered with commit {info.sha}.",
                "The endpoint is not a faithful mirror; use another HF_ENDPOINT.",
            )
        files = tuple(sorted((_hub_file(sibling) for sibling in info.siblings or ()), key=lambda file: file.path))
        snapshot = Snapshot(kind, repo_id, info.sha, self.name, files)
        for file in files:
            safe_path(snapshot, file.path)
            if file.bytes < 0:
                raise FoundryError(
                    f"{repo_id}: {self.name} lists {file.path} without a size.", "Use another HF_ENDPOINT."
                )
        return snapshot

    def bring(self, snapshot: Snapshot, file: HubFile, folder: Path, again: bool) -> None:
        self._download(snapshot, file, again, local_dir=folder)

    def model_folder(self, repo_id: str, revision: str | None) -> Path:
        from huggingface_hub import constants, snapshot_download

        if constants.HF_HUB_OFFLINE:
            name = f"{repo_id}@{revision or 'main'}"
            found = self._call(name, lambda: snapshot_download(repo_id, revision=revision, local_files_only=True))
            return Path(found)
        pinned = revision if is_commit(revision) else None
        snapshot = self.snapshot("models", repo_id, pinned, revision or "main")
        wanted = list(_for_transformers(snapshot.files))
        if not wanted:
            raise FoundryError(f"{repo_id} at {self.name} holds no files of a model.", "Choose another base model.")
        with ThreadPoolExecutor(self.parallel) as pool:
            folders = list(pool.map(lambda file: self._cached(snapshot, file), wanted))
        return folders[0]

    def access(self, kind: Kind, repo_id: str) -> dict[str, Any]:
        info = self._info(kind, repo_id, "main")
        self._call(repo_id, lambda: self._api().auth_check(repo_id, repo_type=kind.rstrip("s"), token=self._token))
        licence = next((tag.partition(":")[2] for tag in info.tags or () if tag.startswith("license:")), None)
        return {"revision": info.sha, "gated": bool(info.gated), "licence": licence}

    def _api(self) -> Any:
        from huggingface_hub import HfApi
        from huggingface_hub.utils import disable_progress_bars

        disable_progress_bars()
        return HfApi(endpoint=self.name, token=self._token)

    def _info(self, kind: Kind, repo_id: str, revision: str) -> Any:
        api, repo_type = self._api(), kind.rstrip("s")
        return self._call(
            repo_id, lambda: api.repo_info(repo_id, repo_type=repo_type, revision=revision, files_metadata=True)
        )

    def _download(self, snapshot: Snapshot, file: HubFile, again: bool, **target: Any) -> Path:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.utils import disable_progress_bars

        disable_progress_bars()

        def download() -> str:
            return hf_hub_download(
                snapshot.repo_id,
                file.path,
                repo_type=snapshot.kind.rstrip("s"),
                revision=snapshot.revision,
                endpoint=self.name,
                token=self._token,
                force_download=again,
                **target,
            )

        return Path(self._call(f"{snapshot.repo_id}: {file.path}", download))

    def _cached(self, snapshot: Snapshot, file: HubFile) -> Path:
        """Return the snapshot folder of the client's cache after bringing and verifying one file there."""
        fault: str | None = None
        for attempt in range(3):
            path = self._download(snapshot, file, again=attempt > 0)
            fault = file.fault(path)
            if fault is None:
                return path.parents[len(Path(file.path).parts) - 1]
        raise FoundryError(f"{snapshot.repo_id}: {file.path} {fault}, 3 times in a row.", "Try another HF_ENDPOINT.")

    def _call(self, subject: str, request: Callable[[], T]) -> T:
        for attempt in range(self.retries + 1):
            try:
                return request()
            except FoundryError:
                raise
            except Exception as error:
                limit, asked = _patience(error, self.retries)
                if attempt >= limit:
                    raise self._explained(subject, error, attempt) from None
                wait = min(max(self.first_delay * 2**attempt, asked), LONGEST_WAIT)
                log.warning("%s: %s; trying again in %.0f s", subject, _brief(error), wait)
                time.sleep(wait)
        raise AssertionError("unreachable")

    def _explained(self, subject: str, error: Exception, retried: int) -> FoundryError:
        from huggingface_hub import errors

        repo_id = subject.split(":")[0].split("@")[0]
        kinds = {type(cause) for cause in _causes(error)}

        def any_of(*types: type) -> bool:
            return any(issubclass(kind, types) for kind in kinds)

        status = next((code for code in map(_status, _causes(error)) if code), None)
        page = f"{self.name}/datasets/{repo_id} (or {self.name}/{repo_id} for a model)"
        variables = " or ".join(TOKEN_VARIABLES)
        if any_of(errors.OfflineModeIsEnabled):
            return FoundryError(
                f"{subject} is not on this machine and HF_HUB_OFFLINE forbids asking.", "Unset it once."
            )
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return FoundryError(f"{subject}: the disk is full.", "Free space, then run again: finished files are kept.")
        if any_of(errors.GatedRepoError):
            do = "ask for access on that page with the account of your token" if self._token else f"set {variables}"
            return FoundryError(f"{subject} is gated ({status}).", f"Accept its terms at {page}; then {do}.")
        if status == 401 and self._token and not any_of(errors.RepositoryNotFoundError):
            return FoundryError(
                f"{subject}: {self.name} refuses the access token (401); a bad token fails on public data too.",
                f"Renew the token, or unset {variables}.",
            )
        if any_of(errors.RepositoryNotFoundError):
            who = "your token's account may not see it" if self._token else f"private; then set {variables}"
            return FoundryError(
                f"{subject}: no such repository at {self.name} ({status}): missing, renamed, or {who}.",
                f"Look at {page}.",
            )
        if any_of(errors.RevisionNotFoundError):
            return FoundryError(f"{subject}: the pinned revision is gone ({status}).", f"Pin one that {page} lists.")
        if any_of(errors.RemoteEntryNotFoundError):
            return FoundryError(f"{subject} is gone from its commit ({status}).", f"Look at {page}; run again.")
        if status in (401, 403):
            return FoundryError(
                f"{subject}: {self.name} forbids reading it ({status}).",
                f"Check the scope of the token in {variables} (it needs read access to this repository), and {page}.",
            )
        times = f" after {retried + 1} tries" if retried else ""
        if status is not None:
            return FoundryError(
                f"{subject}: {self.name} answers {status}{times}.", "Run again later: what is done is kept."
            )
        return FoundryError(
            f"{subject}: can't reach {self.name}{times}: {_brief(error)}.",
            "Check the network, HF_ENDPOINT and proxies, or set hub.source to a folder Hub; then run again.",
        )


def _hub_file(sibling: Any) -> HubFile:
    """Read one file of repo_info(files_metadata=True): for a large file only the sha256 is that of its bytes."""
    size = -1 if sibling.size is None else sibling.size
    if sibling.lfs is not None:
        return HubFile(sibling.rfilename, sibling.lfs.size, sha256=sibling.lfs.sha256)
    return HubFile(sibling.rfilename, size, git_blob=sibling.blob_id)


def _for_transformers(files: tuple[HubFile, ...]) -> Iterator[HubFile]:
    """Leave out weights of other frameworks, and pickled ones where safetensors stand beside them."""
    safe = any(file.path.endswith(".safetensors") for file in files)
    for file in files:
        if not file.path.endswith(OTHER_FRAMEWORKS) and not (safe and file.path.endswith(PICKLED)):
            yield file


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _patience(error: Exception, retries: int) -> tuple[int, float]:
    """Return how often a request that failed so may be tried again, and the seconds the server asks to wait."""
    import httpx2
    from huggingface_hub import errors

    for cause in _causes(error):
        if isinstance(
            cause, errors.OfflineModeIsEnabled | errors.RepositoryNotFoundError | errors.RevisionNotFoundError
        ):
            return 0, 0.0
        status = _status(cause)
        if status is not None:
            return (retries, _asked_delay(cause)) if status in RETRIED_STATUS else (0, 0.0)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return 0, 0.0
    if any(isinstance(cause, httpx2.ConnectError) for cause in _causes(error)):
        return min(retries, CONNECT_RETRIES), 0.0
    passing = (httpx2.RequestError, errors.LocalEntryNotFoundError, errors.XetDownloadError, OSError)
    return (retries, 0.0) if any(isinstance(cause, passing) for cause in _causes(error)) else (0, 0.0)


def _asked_delay(error: BaseException) -> float:
    """Read Retry-After in seconds, or the t=N of a RateLimit header."""
    headers = getattr(error, "response").headers  # noqa: B009
    if headers.get("Retry-After", "").isdigit():
        return float(headers["Retry-After"])
    limited = re.search(r"\bt=(\d+)", headers.get("RateLimit", ""))
    return float(limited.group(1)) + 1 if limited else 0.0


def _brief(error: BaseException) -> str:
    status = _status(error)
    first = (str(error).strip().splitlines() or [""])[0][:160]
    return f"HTTP {status}" if status else f"{type(error).__name__} {first}".strip()
