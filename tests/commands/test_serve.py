"""python -m data_foundry serve: what it says before it serves. That it serves: tests/serving/http/test_server.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from finetuning.version_builders import details_of, make_version, register_version

from data_foundry import __main__ as command
from data_foundry.config import PROJECT_ROOT
from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.lake import Lake, Layer
from data_foundry.serving.http.api_keys import ApiKeys
from data_foundry.serving.http.server import listening_socket
from tests.serving import fakes

HEAVY = {"torch", "transformers", "fastapi", "uvicorn", "numpy", "ray", "pyarrow", "httpx"}


@pytest.fixture
def serve(lake: Lake, capfd: pytest.CaptureFixture[str]):
    def start(*words: str, code: int = 0) -> str:
        ended = command.main(["serve", *words, "--base-path", str(lake.base_path)])
        said = capfd.readouterr()
        assert ended == code, said.err
        return said.out if code == 0 else said.err

    return start


@pytest.fixture
def registered(lake: Lake) -> str:
    version = make_version(lake, "nlu", "a").partition("/")[2]
    Registry(lake).transition("nlu", version, Stage.SHADOW, actor="phase4", reason="passed", evidence={})
    return version


def test_without_a_key_the_command_that_makes_one_is_named(serve, registered, lake):
    said = serve(code=2)
    assert f"python -m data_foundry keys create NAME --base-path {lake.base_path}" in said


def test_nothing_to_serve_is_said(serve, lake):
    ApiKeys(lake.base_path / "serving" / "api_keys.json").create("ivr")
    assert "phase 4" in serve(code=2)


@pytest.mark.parametrize(
    "name, why", [("data-foundry/no-such-codec", "is missing"), ("data-foundry/tiny-t5-ml-en", "t5")]
)
def test_a_codec_that_is_none_is_said_before_a_caller_waits_for_it(serve, registered, lake, monkeypatch, name, why):
    ApiKeys(lake.base_path / "serving" / "api_keys.json").create("ivr")
    monkeypatch.setenv("DATA_FOUNDRY_HUB__SOURCE", str(PROJECT_ROOT / "storage" / "sample-hub"))
    monkeypatch.setenv("DATA_FOUNDRY_SERVING__CODEC", name)
    said = serve(code=2)
    assert f"serving.codec names {name}" in said and why in said and "encodec" in said


def test_versions_of_the_sample_are_not_served_from_bases_of_the_network(serve, registered, lake):
    ApiKeys(lake.base_path / "serving" / "api_keys.json").create("ivr")
    stamp = lake.base_path / "storage" / "hub_source.json"
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text('{"hub_source": "storage/sample-hub"}')
    assert "set hub.source to storage/sample-hub, as --profile sample does" in serve(code=2)
    # Another copy of what they were trained on will do.
    for source in ("https://mirror.example", "/mnt/hub"):
        stamp.write_text(json.dumps({"hub_source": source}))
        with listening_socket("127.0.0.1", 0) as taken:
            taken.listen()
            assert "--port" in serve("--port", str(taken.getsockname()[1]), code=2)


def test_a_port_in_use_is_said(serve, registered, lake):
    ApiKeys(lake.base_path / "serving" / "api_keys.json").create("ivr")
    with listening_socket("127.0.0.1", 0) as taken:
        taken.listen()
        assert "--port" in serve("--port", str(taken.getsockname()[1]), code=2)


def test_everybody_may_call_from_this_machine_alone(serve, registered, monkeypatch):
    monkeypatch.setenv("DATA_FOUNDRY_SERVING__REQUIRE_API_KEY", "false")
    assert "require_api_key" in serve("--host", "0.0.0.0", code=2)


def test_a_port_that_is_none_is_refused(serve):
    assert "--port 70000" in serve("--port", "70000", code=2)


def test_a_preview_tells_who_would_answer_and_loads_nothing(serve, registered, lake):
    said = json.loads(serve("--dry-run", "--json", "--port", "0", "--engine", "ray"))
    assert (said["address"], said["engine"]) == ("127.0.0.1:0", "ray")
    nlu = next(each for each in said["adapters"] if each["adapter"] == "nlu")
    assert nlu["answers"] == "base" and registered in nlu["on_trial"]
    assert not (lake.base_path / "serving").exists()
    assert registered in serve("--dry-run")


@pytest.fixture
def head_in_shadow(lake: Lake) -> None:
    """A version in shadow whose base can't do its task without the head that was fitted on it."""
    with lake.commit(Layer.MODELS, "nlu/v1", "key") as commit:
        for file in ("adapter/weights", "linear_probe/weights", "evaluation.json"):
            commit.path(file).write_text("{}")
        register_version(lake, commit.publish(details=details_of()))
    Registry(lake).transition("nlu", "v1", Stage.SHADOW, actor="phase4", reason="passed", evidence={})


def test_a_preview_says_nobody_where_callers_would_get_no_answer_and_the_base_where_they_would(
    serve, head_in_shadow, monkeypatch
):
    monkeypatch.setenv("DATA_FOUNDRY_TRAINING__VARIANTS", '{"stt.malabar": {}}')
    said = {each["adapter"]: each for each in json.loads(serve("--dry-run", "--json"))["adapters"]}
    assert said["nlu"]["answers"] is None and "serving.stand_in_heads" in said["nlu"]["why"]
    assert [said[name]["answers"] for name in ("stt", "stt.malabar", "sentiment")] == ["base", "base", None]
    assert "nobody" in serve("--dry-run")
    monkeypatch.setenv("DATA_FOUNDRY_SERVING__STAND_IN_HEADS", "true")
    said = {each["adapter"]: each for each in json.loads(serve("--dry-run", "--json"))["adapters"]}
    assert said["nlu"]["answers"] == "base"


def test_what_would_answer_nobody_is_not_started(serve, head_in_shadow, lake):
    ApiKeys(lake.base_path / "serving" / "api_keys.json").create("ivr")
    assert "serving.stand_in_heads" in serve("--engines", "nlu", code=2)


@pytest.mark.parametrize(
    "wrong,known", [('{"malabr": "stt"}', "travancore, cochin, malabar"), ('{"malabar": "nlu"}', "There are: stt"),
                    ('{"malabar": "stt.malabr"}', "There are: stt")]
)  # fmt: skip
@pytest.mark.parametrize("words", [(), ("--dry-run",)])
def test_a_dialect_and_an_adapter_that_there_are_not_are_refused_with_those_that_there_are(
    serve, registered, lake, monkeypatch, wrong, known, words
):
    ApiKeys(lake.base_path / "serving" / "api_keys.json").create("ivr")
    monkeypatch.setenv("DATA_FOUNDRY_SERVING__DIALECT_ADAPTERS", wrong)
    said = serve(*words, code=2)
    assert "serving.dialect_adapters names" in said and known in said


def test_a_host_that_is_none_is_named_as_the_mistake(serve, registered, lake):
    ApiKeys(lake.base_path / "serving" / "api_keys.json").create("ivr")
    said = serve("--host", "nosuch.invalid", code=2)
    assert "nosuch.invalid" in said and "--host" in said and "--port" not in said


def test_a_preview_and_the_help_import_nothing_heavy(tmp_path):
    program = (
        "import sys\n"
        "from data_foundry.__main__ import main\n"
        f"main(['serve', '--dry-run', '--base-path', {str(tmp_path)!r}])\n"
        f"heavy = {HEAVY!r} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    subprocess.run([sys.executable, "-c", program], check=True, cwd=PROJECT_ROOT, env=environment, capture_output=True)


def test_what_is_served_is_told_with_how_to_call_it(lake, capsys):
    from data_foundry.commands.serve import _tell

    service = fakes.FakeService(fakes.settings(lake.base_path))
    service.gateway.table["tts"].why = "no base"
    _tell(service, "http://127.0.0.1:1", as_json=False)
    said = capsys.readouterr().out
    assert f"stt           {fakes.VERSION}" in said and "no base" in said
    assert 'curl http://127.0.0.1:1/v1/audio/transcriptions -H "Authorization: Bearer $KEY" -F file=@call.wav' in said
    assert said.count("/v1/understand") == 1 and "/v1/audio/tokens" not in said
    _tell(service, "http://127.0.0.1:1", as_json=True)
    assert json.loads(capsys.readouterr().out)["not_served"] == [{"adapter": "tts", "why": "no base"}]
