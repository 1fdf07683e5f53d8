"""An MLflow server as its REST API shows it: what an export needs of it, and nothing to install for it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlsplit

from data_foundry.errors import FoundryError

START = "`mlflow server --backend-store-uri sqlite:///mlflow.db` starts one at http://127.0.0.1:5000"
TESTED = "3.17"
SECONDS = 60.0
PAGE = 200
# Of one request; the server refuses more.
METRICS_AT_ONCE, PARAMS_AT_ONCE = 1000, 100
ABSENT = "RESOURCE_DOES_NOT_EXIST"
Json = dict[str, Any]


class MlflowServer:
    """A connection to an MLflow server at http(s)://host:port; use it in a `with`.

    Who needs to log in sets MLflow's own variables: MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and
    MLFLOW_TRACKING_PASSWORD. Every call raises FoundryError where the server can't be reached or refuses.
    """

    def __init__(self, uri: str, environ: Mapping[str, str] | None = None) -> None:
        import httpx2

        parts = urlsplit(uri)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise FoundryError(f"{uri!r} is not the address of an MLflow server.", f"{START}.")
        if parts.username or parts.password:
            raise FoundryError(
                "The address of the MLflow server holds a login, which would end in logs and histories.",
                "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead.",
            )
        environ = os.environ if environ is None else environ
        token, user = environ.get("MLFLOW_TRACKING_TOKEN"), environ.get("MLFLOW_TRACKING_USERNAME")
        login = (user, environ.get("MLFLOW_TRACKING_PASSWORD", "")) if user and not token else None
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.uri = uri.rstrip("/")
        self._client = httpx2.Client(base_url=self.uri, auth=login, headers=headers, timeout=SECONDS)

    def __enter__(self) -> MlflowServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def experiment(self, name: str) -> str:
        """Return the id of the experiment with this name, made where there is none."""
        found = self._get("experiments/get-by-name", absent_is_none=True, experiment_name=name)
        if found is not None:
            return str(found["experiment"]["experiment_id"])
        return str(self._post("experiments/create", {"name": name})["experiment_id"])

    def runs(self, experiment: str, tag: str, value: str) -> list[Json]:
        """Return the runs of an experiment that carry a tag, newest first."""
        wanted = {"experiment_ids": [experiment], "filter": f"tags.`{tag}` = '{value}'", "max_results": PAGE}
        return list(self._post("runs/search", wanted).get("runs", []))

    def start_run(self, experiment: str, name: str, start: int, tags: Mapping[str, str]) -> Json:
        """Start a run; `start` is in milliseconds since 1970."""
        content = {"experiment_id": experiment, "run_name": name, "start_time": start, "tags": _pairs(tags)}
        run: Json = self._post("runs/create", content)["run"]
        return run

    def run(self, run_id: str) -> Json:
        found: Json = self._get("runs/get", run_id=run_id)["run"]
        return found

    def log(self, run_id: str, params: Mapping[str, str], metrics: Sequence[Json]) -> None:
        """Log params, and metrics as {"key", "value", "timestamp", "step"}; what is there already stays as it is."""
        pairs = _pairs(params)
        for start in range(0, len(pairs), PARAMS_AT_ONCE):
            self._post("runs/log-batch", {"run_id": run_id, "params": pairs[start : start + PARAMS_AT_ONCE]})
        for start in range(0, len(metrics), METRICS_AT_ONCE):
            self._post("runs/log-batch", {"run_id": run_id, "metrics": metrics[start : start + METRICS_AT_ONCE]})

    def finish_run(self, run_id: str, end: int) -> None:
        self._post("runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": end})

    def curve(self, run_id: str, key: str) -> list[Json]:
        """Return every value of a metric, as logged."""
        return list(self._pages("metrics/get-history", "metrics", run_id=run_id, metric_key=key))

    def put(self, run: Json, path: str, content: bytes) -> None:
        """Store a file among a run's artefacts."""
        self._send("PUT", self._artefact(run, path), content=content, what=path)

    def get(self, run: Json, path: str) -> bytes:
        """Return a file of a run's artefacts."""
        content: bytes = self._send("GET", self._artefact(run, path), what=path).content
        return content

    def files(self, run: Json, under: str = "") -> list[str]:
        """Return the paths of a run's artefacts, sorted."""
        found = self._get("artifacts/list", run_id=run["info"]["run_id"], path=under).get("files", [])
        paths: list[str] = []
        for each in found:
            paths += self.files(run, each["path"]) if each.get("is_dir") else [each["path"]]
        return sorted(paths)

    def model(self, name: str) -> Json | None:
        """Return a registered model, None where there is none; its "aliases" are [{"alias", "version"}]."""
        found = self._get("registered-models/get", absent_is_none=True, name=name)
        model: Json | None = found and found["registered_model"]
        return model

    def create_model(self, name: str, description: str) -> None:
        self._post("registered-models/create", {"name": name, "description": description})

    def versions(self, name: str) -> list[Json]:
        """Return the versions of a registered model, oldest first; "tags" is a dictionary."""
        found = self._pages("model-versions/search", "model_versions", filter=f"name='{name}'")
        versions = [{**each, "tags": tags_of(each)} for each in found]
        return sorted(versions, key=lambda each: int(each["version"]))

    def create_version(self, name: str, run: Json, description: str, tags: Mapping[str, str]) -> Json:
        """Create a version with all of its tags, in one transaction of the server."""
        info = run["info"]
        content = {"name": name, "source": info["artifact_uri"], "run_id": info["run_id"]}
        made = self._post("model-versions/create", {**content, "description": description, "tags": _pairs(tags)})
        version: Json = made["model_version"]
        return {**version, "tags": dict(tags)}

    def set_tag(self, name: str, version: str, key: str, value: str) -> None:
        self._post("model-versions/set-tag", {"name": name, "version": version, "key": key, "value": value})

    def delete_tag(self, name: str, version: str, key: str) -> None:
        self._send("DELETE", f"{_API}/model-versions/delete-tag", json={"name": name, "version": version, "key": key})

    def set_alias(self, name: str, alias: str, version: str) -> None:
        self._post("registered-models/alias", {"name": name, "alias": alias, "version": version})

    def delete_alias(self, name: str, alias: str) -> None:
        self._send("DELETE", f"{_API}/registered-models/alias", json={"name": name, "alias": alias})

    def _artefact(self, run: Json, path: str) -> str:
        uri = run["info"]["artifact_uri"]
        parts = urlsplit(uri)
        if parts.scheme != "mlflow-artifacts":
            raise FoundryError(
                f"{self.uri} keeps artefacts at {uri}, which it does not serve.",
                f"Start it with --serve-artifacts and --artifacts-destination: {START}.",
            )
        return f"/api/2.0/mlflow-artifacts/artifacts/{quote(parts.path.strip('/'))}/{quote(path)}"

    def _pages(self, method: str, field: str, **parameters: Any) -> Iterator[Json]:
        token = None
        while True:
            page = self._get(method, **parameters, max_results=PAGE, **({"page_token": token} if token else {}))
            yield from page.get(field, [])
            token = page.get("next_page_token")
            if not token:
                return

    def _get(self, method: str, *, absent_is_none: bool = False, **parameters: Any) -> Any:
        answer = self._send("GET", f"{_API}/{method}", absent_is_none=absent_is_none, params=parameters)
        return None if answer is None else answer.json()

    def _post(self, method: str, content: Json) -> Any:
        return self._send("POST", f"{_API}/{method}", json=content).json()

    def _send(self, verb: str, path: str, *, absent_is_none: bool = False, what: str = "", **given: Any) -> Any:
        import httpx2

        what = what or path.removeprefix(f"{_API}/")
        try:
            answer = self._client.request(verb, path, **given)
        except httpx2.HTTPError as error:
            raise FoundryError(f"The MLflow server {self.uri} can't be reached: {error}.", f"{START}.") from None
        if answer.is_success:
            return answer
        code, said = _refusal(answer)
        if absent_is_none and code == ABSENT:
            return None
        raise FoundryError(
            f"The MLflow server {self.uri} refused {what}: {answer.status_code} {said}.",
            "Log in with MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
            if answer.status_code in (401, 403)
            else f"Its log may say more. Exports are tested with MLflow {TESTED}: an older one takes shorter tags.",
        )


_API = "/api/2.0/mlflow"


def tags_of(entity: Json) -> dict[str, str]:
    """Return the tags of a run's data or of a model version as a dictionary."""
    return {tag["key"]: tag.get("value", "") for tag in entity.get("tags", [])}


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _refusal(answer: Any) -> tuple[str, str]:
    try:
        told = answer.json()
        return told["error_code"], told["message"]
    except (ValueError, KeyError, TypeError):
        return "", answer.text[:200].strip()
