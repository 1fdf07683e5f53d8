"""Base models in huggingface_hub's own cache, where other tools find them too: brought, verified, healed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from data_foundry.errors import FoundryError
from data_foundry.hub.explain import disk_error
from data_foundry.hub.fetching import PROGRESS_SECONDS, WRONG_TRIES
from data_foundry.hub.files import HubFile, Snapshot, is_commit
from data_foundry.hub.side_by_side import side_by_side
from data_foundry.lake import write_atomically

if TYPE_CHECKING:
    from data_foundry.hub.remote import RemoteHub

OTHER_FRAMEWORKS = (".msgpack", ".h5", ".ot", ".onnx", ".onnx_data", ".gguf", ".tflite", ".mlmodel", ".pb")
PICKLED = (".bin", ".pt", ".pth", ".ckpt")
# Nobody writes any more to a part that has not changed for so long.
ABANDONED_SECONDS = 3600


def bring_model(hub: RemoteHub, repo_id: str, revision: str | None) -> Path:
    """Return the cache's folder of a model's commit with every file verified. Raises FoundryError.

    Where `revision` is a ref, the cache then knows the commit that it stood at, as the client itself would note it.
    """
    from huggingface_hub import constants, snapshot_download

    if constants.HF_HUB_OFFLINE:
        name = f"{repo_id}@{revision or 'main'}"

        def find() -> str:
            return snapshot_download(repo_id, revision=revision, local_files_only=True)

        return Path(hub.call("models", repo_id, name, find))
    pinned = revision if is_commit(revision) else None
    snapshot = hub.snapshot("models", repo_id, pinned, revision or "main")
    wanted = list(_for_transformers(snapshot.files))
    if not wanted:
        raise FoundryError(f"{repo_id} at {hub.name} holds no files of a model.", "Choose another base model.")
    _sweep(_cache_folder(repo_id))
    done = side_by_side(wanted, lambda file, _: _cached(hub, snapshot, file), hub.parallel, PROGRESS_SECONDS)
    folders = [each[1] for each in done if each is not None]
    if pinned is None:
        try:
            write_atomically(_ref_file(repo_id, revision or "main"), snapshot.revision)
        except OSError as error:
            raise disk_error(error, f"{repo_id}: its revision") from None
    return folders[0]


def brought_commit(repo_id: str, ref: str) -> str | None:
    """Return the commit at which a model was brought last by a ref, None where it was not; nobody is asked."""
    try:
        commit = _ref_file(repo_id, ref).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return commit if is_commit(commit) else None


def _ref_file(repo_id: str, ref: str) -> Path:
    return _cache_folder(repo_id) / "refs" / ref


def _cache_folder(repo_id: str) -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{repo_id.replace('/', '--')}"


def _cached(hub: RemoteHub, snapshot: Snapshot, file: HubFile) -> Path:
    """Return the commit's folder in the cache after bringing and verifying one file there."""
    fault: str | None = None
    try:
        for attempt in range(WRONG_TRIES):
            path = hub.download(snapshot, file, again=attempt > 0)
            fault = file.fault(path)
            if fault is None:
                return path.parents[len(Path(file.path).parts) - 1]
        path.unlink(missing_ok=True)
    except OSError as error:
        raise disk_error(error, f"{snapshot.repo_id}: {file.path}") from None
    raise FoundryError(
        f"{snapshot.repo_id}: {file.path} {fault}, {WRONG_TRIES} times in a row.",
        "A proxy or mirror alters or truncates it. Try another network or HF_ENDPOINT, then run again.",
    )


def _for_transformers(files: tuple[HubFile, ...]) -> Iterator[HubFile]:
    """Leave out weights of other frameworks, and pickled ones where safetensors stand beside them."""
    safe = any(file.path.endswith(".safetensors") for file in files)
    for file in files:
        if not file.path.endswith(OTHER_FRAMEWORKS) and not (safe and file.path.endswith(PICKLED)):
            yield file


def _sweep(folder: Path) -> None:
    """Remove the parts that killed downloads of this model left: the client gives them random names and leaves them."""
    for part in folder.glob("blobs/*.incomplete"):
        try:
            if time.time() - part.stat().st_mtime > ABANDONED_SECONDS:
                part.unlink()
        except FileNotFoundError:
            continue
