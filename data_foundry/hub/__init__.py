"""Where datasets and base models come from: a Hub, or a folder laid out like one. Nothing else talks to a Hub.

Both name what they hold by a commit (40 hex digits) and a list of files with hashes, and a file counts as fetched only
when its bytes match that list. A folder's commit is the id that git gives to the folder's tree.
"""

from __future__ import annotations

from pathlib import Path

from data_foundry.bundled import FOLDER as BUNDLED
from data_foundry.config import Settings
from data_foundry.hub.explain import NO_LOGIN, disk_error
from data_foundry.hub.fetching import Fetched, fetch, fetch_all
from data_foundry.hub.files import (
    TOKEN_VARIABLES,
    Hub,
    HubFile,
    Kind,
    Snapshot,
    Withheld,
    check_repo_id,
    licence_tag,
    token_from,
)
from data_foundry.hub.hashing import git_tree_id, hash_file
from data_foundry.hub.ledger import Ledger
from data_foundry.hub.patience import Patience

__all__ = [
    "NO_LOGIN",
    "TOKEN_VARIABLES",
    "Fetched",
    "Hub",
    "HubFile",
    "Kind",
    "Snapshot",
    "Withheld",
    "disk_error",
    "fetch",
    "fetch_all",
    "git_tree_id",
    "hash_file",
    "licence_tag",
    "model_folder",
    "model_revision",
    "open_hub",
    "token_from",
]

# Shared by a run's worker processes; see data_foundry.hub.ledger.
LEDGER = ".hub_retries"
HASTY_STALL_SECONDS = 10.0


def open_hub(settings: Settings, patient: bool = True, bundled: bool = False) -> Hub:
    """Return the folder that `hub.source` names, or the Hub at HF_ENDPOINT; for what is bundled, the package's folder.

    `patient` false is for a quick look: nearly nothing is tried again, and nothing is written.
    """
    source = BUNDLED if bundled else settings.hub.source
    if source is not None:
        from data_foundry.hub.folder import FolderHub

        index = settings.base_path / "storage" / ".hub_index"
        return FolderHub(source, index, name="package" if bundled else "folder")
    from data_foundry.hub.remote import RemoteHub

    limits = settings.hub
    if patient:
        patience = Patience(limits.retries, limits.retry_budget, Ledger(settings.base_path / "storage" / LEDGER))
    else:
        patience = Patience(min(limits.retries, 1), limits.retry_budget, limit="a quick look tries no more")
    return RemoteHub(
        patience=patience,
        parallel=limits.max_parallel_downloads,
        stall_seconds=limits.stall_seconds if patient else min(limits.stall_seconds, HASTY_STALL_SECONDS),
        xet=limits.xet,
    )


def model_folder(settings: Settings, repo_id: str, revision: str | None = None) -> Path:
    """Return a local folder of a base model for from_pretrained; on a Hub its files are downloaded and verified.

    A folder Hub holds one revision of each model, so `revision` is not looked at there. Raises FoundryError.
    """
    return open_hub(settings).model_folder(check_repo_id(repo_id), revision)


def model_revision(settings: Settings, repo_id: str, revision: str | None = None, resolve: bool = False) -> str:
    """Return the commit of a base model; where only the Hub could tell, the name of the ref, unless `resolve`.

    A ref on a Hub stands for the commit that `model_folder` brought by it last. Without `resolve` no request is made,
    so a plan may ask. Raises FoundryError for a model that a folder Hub lacks.
    """
    hub = open_hub(settings)
    known = hub.known_revision("models", check_repo_id(repo_id), revision)
    if known is None and resolve:
        return hub.resolve("models", repo_id, None, revision or "main")
    return known or revision or "main"
