"""The formats an export can have, and what each is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from data_foundry.engines.spec import EngineSpec
from data_foundry.export.folder import ExportFolder
from data_foundry.export.nemo import NemoWriter
from data_foundry.export.row import SplitWriter
from data_foundry.export.shar import SharWriter
from data_foundry.export.webdataset import WebDatasetWriter

# Bump this when what an export holds changes for the same gold.
EXPORT_RULES = "export-1"


@dataclass(frozen=True)
class ExportFormat:
    """One format: `writer(folder, split, spec, shard_bytes)` writes a split of an engine's gold.

    `speech_only`: it is about recordings, so that only rows with audio can be in it. `sharded`: its files keep to
    `shard_bytes`. `opening` shows how its own reader opens the folder, run from there.
    """

    title: str
    writer: Callable[[ExportFolder, str, EngineSpec, int], SplitWriter]
    speech_only: bool
    sharded: bool
    opening: str


FORMATS: dict[str, ExportFormat] = {
    "nemo": ExportFormat(
        title="NeMo manifests",
        writer=NemoWriter,
        speech_only=True,
        sharded=False,
        opening="""NeMo takes a manifest as it is; paths in it are relative to the manifest's folder:

    model.train_ds.manifest_filepath={split}_manifest.json model.train_ds.sample_rate=16000
""",
    ),
    "shar": ExportFormat(
        title="Lhotse Shar",
        writer=SharWriter,
        speech_only=True,
        sharded=True,
        opening="""With Lhotse (`pip install lhotse`), a folder per split:

```python
from lhotse import CutSet

cuts = CutSet.from_shar(in_dir="{split}")
for cut in cuts:
    samples, text = cut.load_audio(), cut.supervisions[0].text
```
""",
    ),
    "webdataset": ExportFormat(
        title="WebDataset",
        writer=WebDatasetWriter,
        speech_only=False,
        sharded=True,
        opening="""With WebDataset (`pip install webdataset`), a folder of tar files per split:

```python
import json
import webdataset

samples = webdataset.WebDataset("{split}/{{000000..{last:06d}}}.tar", shardshuffle=False)
for sample in samples:
    row = json.loads(sample["json"])
```
""",
    ),
}
