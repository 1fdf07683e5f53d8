"""Downloads that are the client's own work: through Xet, and into its cache of models."""

from __future__ import annotations

import importlib.util
import logging
import shutil
from pathlib import Path
from typing import Any

from data_foundry.hub.explain import brief, causes, of_disk, status_of
from data_foundry.hub.files import HubFile, Snapshot
from data_foundry.hub.hashing import Digest

log = logging.getLogger("data_foundry")


class ClientDownloads:
    """What hf_hub_download does at one endpoint; `xet` false keeps to plain HTTP.

    Where Xet fails, this process goes on by plain HTTP, with one warning: the client itself would only fail.
    """

    def __init__(self, endpoint: str, token: str | None, xet: bool) -> None:
        from huggingface_hub import constants
        from huggingface_hub.utils import disable_progress_bars

        self.endpoint = endpoint
        self.token = token
        disable_progress_bars()
        if not xet:
            constants.HF_HUB_DISABLE_XET = True

    def by_xet(self, file: HubFile) -> bool:
        """Return whether a file can come through Xet."""
        from huggingface_hub import constants

        return file.xet and not constants.HF_HUB_DISABLE_XET and importlib.util.find_spec("hf_xet") is not None

    def by_xet_to(self, part: Path, snapshot: Snapshot, file: HubFile) -> Digest | None:
        """Bring a file to `part` through Xet; return its digest, or None where plain HTTP has to bring it."""
        place = part.with_name(f"{part.name}.xet")
        # What a killed run left there is of no use: its name is random.
        shutil.rmtree(place, ignore_errors=True)
        try:
            found = self._download(snapshot, file, again=False, local_dir=place)
            digest = file.digest().take_file(found)
            found.replace(part)
            return digest
        except Exception as error:
            if of_disk(error):
                raise
            self._leave_xet(snapshot, file, error)
            return None
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def to_cache(self, snapshot: Snapshot, file: HubFile, again: bool) -> Path:
        """Bring a file to the client's cache and return where it lies. Raises what the client raises."""
        by_xet = self.by_xet(file)
        try:
            return self._download(snapshot, file, again)
        except Exception as error:
            if of_disk(error) or not by_xet or not self._leave_xet(snapshot, file, error):
                raise
        return self._download(snapshot, file, again)

    def _download(self, snapshot: Snapshot, file: HubFile, again: bool, **target: Any) -> Path:
        from huggingface_hub import hf_hub_download

        found = hf_hub_download(
            snapshot.repo_id,
            file.path,
            repo_type=snapshot.kind.rstrip("s"),
            revision=snapshot.revision,
            endpoint=self.endpoint,
            token=self.token or False,
            force_download=again,
            **target,
        )
        return Path(found)

    def _leave_xet(self, snapshot: Snapshot, file: HubFile, error: Exception) -> bool:
        """Keep this process to plain HTTP if Xet is what failed; return whether it is."""
        from huggingface_hub import constants

        answered = next((cause for cause in causes(error) if status_of(cause) is not None), None)
        if answered is not None and "xet" not in str(getattr(answered, "response").url):  # noqa: B009
            # The Hub itself refused or stumbled, before Xet was asked.
            return False
        if not constants.HF_HUB_DISABLE_XET:
            constants.HF_HUB_DISABLE_XET = True
            cause = brief(error, self.token)
            log.warning("%s: %s: Xet failed (%s); going on by plain HTTP", snapshot.repo_id, file.path, cause)
        return True
