"""What is loaded goes by a name that other bytes do not have."""

from __future__ import annotations

from serving.gateway_world import CONFIG, TOPIC, World

from data_foundry.finetuning.versions.registry import Stage
from data_foundry.lake import Layer
from data_foundry.serving.weights import Weights, base_weights


def test_a_head_with_other_bytes_has_another_name_even_under_its_versions_name(world: World) -> None:
    world.publish(TOPIC, "v1", probe=True)
    version = world.move(TOPIC, "v1", Stage.SHADOW)

    def head() -> Weights:
        return base_weights(world.settings, world.lake, TOPIC, [version])

    first = head()
    assert first.name == head().name and first.artefact_hash is None
    with world.lake.commit(Layer.MODELS, f"{TOPIC}/v1", "another key") as commit:
        commit.path("linear_probe/adapter_model.safetensors").write_text("another head")
        commit.publish(details={"config": {**CONFIG, "max_length": 64}})
    assert head().folder == first.folder and head().name != first.name
