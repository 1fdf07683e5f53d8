"""What MLflow's own client finds at a server, as JSON: run by the Python that MLflow is installed for.

python mlflow_reader.py URI MODEL ALIAS
"""

import hashlib
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow import MlflowClient


def read(client: MlflowClient, model: str, alias: str) -> dict:
    version = client.get_model_version_by_alias(model, alias)
    run = client.get_run(version.run_id)
    histories = {key: client.get_metric_history(version.run_id, key) for key in run.data.metrics}
    with TemporaryDirectory() as folder:
        root = Path(client.download_artifacts(version.run_id, "", folder))
        files = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
        hashes = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    return {
        "version": version.version,
        "status": [version.status, run.info.status],
        "aliases": client.get_registered_model(model).aliases,
        "tags": version.tags,
        "params": run.data.params,
        "metrics": {key: sorted([p.step, p.value] for p in points) for key, points in histories.items()},
        "files": hashes,
    }


if __name__ == "__main__":
    print(json.dumps(read(MlflowClient(sys.argv[1]), *sys.argv[2:])))
