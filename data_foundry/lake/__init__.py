"""The lake: the only package that spells a storage path or commits a part.

A part is written in a staging folder, fsynced and renamed into place; then the manifest replaces the old one in a
single rename. The manifest is what "complete" means: readers see only what it lists. A killed process leaves staging
files, or published files that no manifest lists; both are swept by the next run that holds the lake.
Manifests hold no time, path of this machine or worker name, so equal inputs leave equal bytes.
"""

from data_foundry.lake.commit import Commit
from data_foundry.lake.database import Database
from data_foundry.lake.durable import sha256_file, storage_error, write_atomically
from data_foundry.lake.lake import Lake
from data_foundry.lake.lock import LEASE_SECONDS, LeaseLost, end_with
from data_foundry.lake.manifest import MANIFEST, LakeFile, Layer, Manifest, fingerprint
from data_foundry.lake.publication import STAGING

__all__ = [
    "LEASE_SECONDS",
    "MANIFEST",
    "STAGING",
    "Commit",
    "Database",
    "Lake",
    "LakeFile",
    "Layer",
    "LeaseLost",
    "Manifest",
    "end_with",
    "fingerprint",
    "sha256_file",
    "storage_error",
    "write_atomically",
]
