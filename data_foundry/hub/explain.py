"""What a failed request to the Hub means: whether it may pass, and in the user's words the cause and the way out."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_foundry.errors import FoundryError
from data_foundry.hub.files import TOKEN_VARIABLES, Kind, Withheld
from data_foundry.hub.patience import GaveUp, Setback, now, server_wish
from data_foundry.hub.proxies import proxy_for
from data_foundry.lake import storage_error

# What a file system says of names and rights; what it says of its disk is the lake's to know.
OF_NAMES = (errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG)
# As much as is quoted of what a server says.
QUOTED = 200
RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
# A refused connection rarely heals within seconds, unlike a busy or stumbling server.
CONNECT_RETRIES = 2
VARIABLES = " or ".join(TOKEN_VARIABLES)
NO_LOGIN = " (what `hf auth login` left on this machine is not read)"
KEPT = "what is done is kept, and the same command goes on there"


class WrongAnswer(Exception):
    """The server answered with something that can't be the file: another length, another commit, a web page."""


def judge(error: Exception, token: str | None) -> Setback | None:
    """Return how far a failure may pass, or None where trying again is no use; `token` does not show in the cause."""
    import ssl

    import httpx2
    from huggingface_hub import errors

    for cause in causes(error):
        status = status_of(cause)
        if status is not None:
            if status not in RETRIED_STATUS:
                return None
            wish = server_wish(getattr(cause, "response").headers, now())  # noqa: B009
            return Setback(f"HTTP {status}", wish=wish, crowded=status == 429 or wish is not None)
        if isinstance(cause, errors.OfflineModeIsEnabled | ssl.SSLCertVerificationError):
            return None
    if any(isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout) for cause in causes(error)):
        return Setback(brief(error, token), limit=CONNECT_RETRIES)
    passing = (httpx2.RequestError, WrongAnswer, errors.LocalEntryNotFoundError, errors.FileMetadataError)
    if any(isinstance(cause, passing) for cause in causes(error)):
        return Setback(brief(error, token))
    if isinstance(error, OSError) and str(error).startswith("Consistency check failed"):
        return Setback("fewer bytes came than the file has")
    # Another thread's client met a connection error and closed the session that all of them share.
    if isinstance(error, RuntimeError) and "client has been closed" in str(error):
        return Setback("the session was closed")
    return None


class Explainer:
    """Turns failures of one Hub into errors for users. `account` is what whoami told of the token, None if unknown."""

    def __init__(self, endpoint: str, token: str | None, account: dict[str, Any] | None) -> None:
        self.endpoint, self.token, self.account = endpoint, token, account
        self.tokens_page = f"{endpoint}/settings/tokens"

    def explain(self, kind: Kind, repo_id: str, subject: str, gave_up: GaveUp) -> FoundryError:
        """Return the error that names the subject, the cause, and what to do or where to click."""
        page = f"{self.endpoint}/{'datasets/' if kind == 'datasets' else ''}{repo_id}"
        withheld = self._access(page, subject, gave_up.error)
        message, hint = withheld or self._failure(page, subject, gave_up)
        kind_of_error = Withheld if withheld else FoundryError
        return kind_of_error(redacted(message, self.token), redacted(hint, self.token))

    def _access(self, page: str, subject: str, error: Exception) -> tuple[str, str] | None:
        """Explain what the Hub refuses by its error code, message and the token's rights; None for other failures."""
        from huggingface_hub import errors

        refused = next((cause for cause in causes(error) if status_of(cause) is not None), None)
        if refused is None:
            return None
        status, code, said = status_of(refused), *_told(refused, self.token)
        if code == "GatedRepo" or (status in (401, 403) and "gated" in said.lower()):
            return self._gated(page, subject, status, said)
        if status == 407 or (status == 401 and self.token and (code != "RepoNotFound" or self._refused_token())):
            return None
        if code == "RepoNotFound":
            return self._missing(page, subject, status)
        if code == "RevisionNotFound":
            return f"{subject}: the pinned revision is gone ({status}).", f"Pin one that {page}/commits/main lists."
        if code == "EntryNotFound" or isinstance(refused, errors.RemoteEntryNotFoundError):
            return (
                f"{subject} is gone from its commit ({status}).",
                f"Look at {page}; run again, or pin another revision.",
            )
        if "disabled" in said.lower():
            return (
                f"{subject}: the Hub has disabled this repository ({status}: {said}).",
                f"Nobody can read it now; see {page}.",
            )
        if status == 403:
            return self._forbidden(page, subject, said)
        return None

    def _gated(self, page: str, subject: str, status: int | None, said: str) -> tuple[str, str]:
        if not self.token:
            return (
                f"{subject} is gated ({status}) and no access token is set.",
                f"Accept its terms at {page}, make a read token at {self.tokens_page}, then set {VARIABLES}{NO_LOGIN}.",
            )
        who = self._who()
        if "await" in said.lower() or "pending" in said.lower():
            return (
                f"{subject} is gated ({status}): the request of {who} waits for its owners.",
                f"Wait until {page} shows access granted, then run again.",
            )
        if "reject" in said.lower():
            return (
                f"{subject} is gated ({status}): its owners rejected {who}.",
                f"Ask them at {page}, or leave it out with --datasets.",
            )
        rights = self._fine_grained()
        if "fine-grained" in said.lower() or (rights is not None and not rights.get("canReadGatedRepos", True)):
            return (
                f"{subject} is gated ({status}) and the fine-grained token of {who} may not read gated repositories.",
                f"Allow it 'read access to contents of all public gated repos' at {self.tokens_page}, and accept the "
                f"terms at {page}.",
            )
        return (
            f"{subject} is gated ({status}) and {who} has not accepted its terms.",
            f"Accept them at {page}: ask for access on that page with the account of your token; then run again.",
        )

    def _missing(self, page: str, subject: str, status: int | None) -> tuple[str, str]:
        at = f"{subject}: no such repository at {self.endpoint} ({status}): missing, renamed, or"
        if not self.token:
            return f"{at} private; without a token the Hub does not say which.", (
                f"Look at {page}; where it is private, make a token at {self.tokens_page}; then set "
                f"{VARIABLES}{NO_LOGIN}."
            )
        scope = " and its fine-grained token may lack this repository" if self._fine_grained() is not None else ""
        return f"{at} private and hidden from {self._who()}{scope}.", (
            f"Look at {page} with that account, and at the token's rights at {self.tokens_page}."
        )

    def _forbidden(self, page: str, subject: str, said: str) -> tuple[str, str]:
        told = f" ({said})" if said else ""
        if not self.token:
            return f"{subject}: {self.endpoint} forbids reading it (403){told}.", (
                f"Look at {page}; a token from {self.tokens_page} in {VARIABLES} may help."
            )
        kind = "fine-grained token" if self._fine_grained() is not None else "token"
        return (
            f"{subject}: the {kind} of {self._who()} lacks the right to read it (403){told}.",
            f"Give it read access to this repository at {self.tokens_page}, or use a token of role 'read'; see {page}.",
        )

    def _failure(self, page: str, subject: str, gave_up: GaveUp) -> tuple[str, str]:
        import ssl

        from huggingface_hub import errors

        error = gave_up.error
        refused = next((cause for cause in causes(error) if status_of(cause) is not None), None)
        status = status_of(refused) if refused else None
        proxy = proxy_for(self.endpoint)
        through = f" through the proxy {proxy}" if proxy else ""
        times = f" after {gave_up.tries} tries" if gave_up.tries > 1 else ""
        reason = f"; {gave_up.reason}" if gave_up.reason else ""
        if any(isinstance(cause, errors.OfflineModeIsEnabled) for cause in causes(error)):
            return f"{subject}: HF_HUB_OFFLINE forbids asking {self.endpoint}.", "Unset it once; then run again."
        if status == 407:
            return (
                f"{subject}: the proxy {proxy or 'on the way'} wants a name and a password (407).",
                f"Set them in {proxy.variable if proxy else 'HTTPS_PROXY'}, http://NAME:PASSWORD@HOST:PORT; run again.",
            )
        if refused and status == 401 and self.token:
            expired = "has expired" if "expired" in _told(refused, self.token)[1].lower() else "is wrong"
            return (
                f"{subject}: {self.endpoint} refuses the access token (401): it {expired}; such a token fails on "
                "public data, too.",
                f"Make a new one at {self.tokens_page} and set {VARIABLES}, or unset them for public data.",
            )
        if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes(error)):
            return (
                f"{subject}: the certificate of {self.endpoint} can't be trusted: {brief(error, self.token)}.",
                "A proxy may stand in between: give its certificate with SSL_CERT_FILE, or use another network.",
            )
        if status is not None and status not in RETRIED_STATUS:
            return (
                f"{subject}: {self.endpoint} answers {status}, without a reason that a Hub would give.",
                f"Check that HF_ENDPOINT names a Hub, and open {page} in a browser on this network.",
            )
        if status == 429:
            more = "" if self.token else f" A token in {VARIABLES} raises the Hub's limit."
            return (
                f"{subject}: {self.endpoint} answers 429, too many requests in a time{times}{reason}.",
                f"Run again later: {KEPT}.{more}",
            )
        if status is not None:
            return (
                f"{subject}: {self.endpoint} answers {status}{times}{reason}.",
                f"Run again later: {KEPT}. The limits are hub.retries and hub.retry_budget.",
            )
        if any(isinstance(cause, WrongAnswer) for cause in causes(error)):
            return (
                f"{subject}: {brief(error, self.token)}{times}{reason}.",
                f"A proxy, mirror or login page stands before {self.endpoint}: open {page} in a browser on this "
                f"network{through}, then run again: {KEPT}.",
            )
        return (
            f"{subject}: can't reach {self.endpoint}{times}{through}: {brief(error, self.token)}{reason}.",
            f"Check the network, HF_ENDPOINT and {proxy.variable if proxy else 'proxies'}, or set hub.source to a "
            f"folder Hub; then run again: {KEPT}.",
        )

    def _who(self) -> str:
        name = (self.account or {}).get("name")
        return f"the account {name!r}" if name else "your token's account"

    def _refused_token(self) -> bool:
        return self.account is not None and self.account.get("status") == 401

    def _fine_grained(self) -> dict[str, Any] | None:
        """Return what a fine-grained token may do, or None for a token of another kind."""
        token = ((self.account or {}).get("auth") or {}).get("accessToken") or {}
        return token.get("fineGrained") or {} if token.get("role") == "fineGrained" else None


def disk_error(error: OSError, subject: str, path: Path | None = None) -> FoundryError:
    """Return what an error of the file system means for the user, and what could not be done for it."""
    told = storage_error(error, path)
    if told is not None:
        return FoundryError(f"{subject}: {told.message}", told.hint)
    return FoundryError(
        f"{subject}: can't read or write {error.filename or path}: {error.strerror or error}.",
        "Mend that place, or choose another --base-path; then run again.",
    )


def redacted(text: str, token: str | None) -> str:
    """Return a text without the access token, which a server may echo."""
    return text.replace(token, "<token>") if token else text


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status that an error carries."""
    return getattr(getattr(error, "response", None), "status_code", None)


def of_disk(error: BaseException) -> bool:
    """Return whether an error is this machine's file system, not the Hub or the network."""
    return isinstance(error, OSError) and (storage_error(error) is not None or error.errno in OF_NAMES)


def of_hub(error: BaseException) -> bool:
    """Return whether an error is the Hub's or the network's, rather than a defect of this program."""
    import httpx2
    from huggingface_hub import errors

    kinds = (
        httpx2.HTTPError,
        httpx2.InvalidURL,
        errors.EntryNotFoundError,
        errors.XetDownloadError,
        OSError,
        WrongAnswer,
    )
    return any(isinstance(cause, kinds) for cause in causes(error))


def brief(error: BaseException, token: str | None) -> str:
    """Say in one line what happened, without the token."""
    status = status_of(error)
    # The token goes before the cut, which could leave the beginning of it.
    first = (redacted(str(error), token).strip().splitlines() or [""])[0][:QUOTED].rstrip(".")
    if isinstance(error, WrongAnswer):
        return first
    return f"HTTP {status}" if status else f"{type(error).__name__} {first}".strip()


def _told(error: BaseException, token: str | None) -> tuple[str, str]:
    """Return the Hub's error code and message."""
    headers = getattr(error, "response").headers  # noqa: B009
    said = headers.get("X-Error-Message") or getattr(error, "server_message", None) or ""
    line = " ".join(redacted(str(said), token).split())[:QUOTED].rstrip(".")
    return headers.get("X-Error-Code", ""), "".join(each for each in line if each.isprintable())
