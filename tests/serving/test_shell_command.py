"""Commands that a person is told to run are about the base path that is meant."""

import shlex

import pytest

from data_foundry.config import PROJECT_ROOT, Settings
from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Registry, Stage
from data_foundry.lake import Lake
from data_foundry.serving.admission import admit
from data_foundry.serving.http.app import keys_of
from data_foundry.serving.shell_command import shell_command
from data_foundry.serving.trials.approval import approve, goes_on
from data_foundry.serving.trials.rollback import foreseen, meant_by
from tests.serving.watch.calls import registered


def base_path_in(sentence):
    words = shlex.split(sentence[sentence.index("python -m data_foundry") :])
    return words[words.index("--base-path") + 1]


def test_a_command_names_the_base_path_as_a_shell_reads_it(tmp_path):
    settings = Settings(base_path=tmp_path / "line one")
    assert base_path_in(shell_command(settings, "serve")) == f"{tmp_path}/line one"


def test_a_command_names_no_base_path_where_it_is_the_projects_own():
    assert shell_command(Settings(base_path=PROJECT_ROOT), "serve") == "python -m data_foundry serve"


def test_a_command_names_the_profile_that_was_chosen(tmp_path):
    words = shlex.split(shell_command(Settings(base_path=tmp_path, profile="sample"), "models list"))
    assert words == [
        "python",
        "-m",
        "data_foundry",
        "models",
        "list",
        "--profile",
        "sample",
        "--base-path",
        str(tmp_path),
    ]


def test_hints_to_list_versions_name_the_base_path(settings, lake):
    here, registry = str(settings.base_path), Registry(lake)
    asks = (
        lambda: meant_by(settings, registry, "nlu"),
        lambda: approve(settings, "nlu", "v9", actor="asha", reason="heard it"),
        lambda: admit(settings, "nlu", "v9", actor="asha", reason="heard it"),
    )
    for ask in asks:
        with pytest.raises(FoundryError) as refused:
            ask()
        assert base_path_in(refused.value.hint.replace("`", " ")) == here


def test_hints_to_roll_back_to_revoke_and_to_make_a_key_name_the_base_path(settings, lake):
    here = str(settings.base_path)
    serving = registered(lake, "nlu", "v1", Stage.PRODUCTION)
    assert base_path_in(goes_on(settings, serving)) == here
    idle = registered(lake, "nlu", "v2")
    with pytest.raises(FoundryError) as refused:
        foreseen(settings, Registry(Lake(settings)), idle)
    assert base_path_in(refused.value.hint) == here
    with pytest.raises(FoundryError) as refused:
        keys_of(settings)
    assert base_path_in(refused.value.hint) == here
