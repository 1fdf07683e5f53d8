"""The gateway on Ray Serve: as many replicas as are asked for, each the same app on the same registry and trial store.

Each replica is a whole gateway in a process of its own; what they share is what lies under the base path. Ray sends a
call to any of them. So each also listens by itself, on a port of its own, where the others ask it for feedback on what
it answered and Prometheus reads its metrics; `python -m data_foundry status` lists these addresses.

Without RAY_ADDRESS, Ray starts here and ends with the command, keeps to the loopback interface, and lets in only who
has the token that this command drew. With it, replicas go to that cluster, whose machines must all see the base path.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_foundry.compute import add_log_file
from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.serving.ray_folder import ray_folder

if TYPE_CHECKING:
    from fastapi import FastAPI

log = logging.getLogger("data_foundry")

APPLICATION, DEPLOYMENT = "data-foundry", "gateway"
LOOPBACK = "127.0.0.1"
SERVED_BY = "x-served-by"
"""The header of every response that names the replica it came from."""
HEALTH_CHECK_SECONDS = 2.0
ALONE = {
    # Ray reports its use to its makers unless told not to.
    "RAY_USAGE_STATS_ENABLED": "0",
    # What Ray calls "no cluster": every port of its own is on the loopback interface.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
}


class Replica:
    """One gateway among several. Ray Serve makes it in a process of its own and asks it for its app."""

    def __init__(self, settings: str, only: tuple[str, ...], loopback: bool) -> None:
        """`settings` is their JSON; `only` names adapters, all by default; `loopback`: there is this machine alone."""
        from ray import serve

        from data_foundry.serving.http.server import address_of, listening_socket, server_of
        from data_foundry.serving.service import Service

        if loopback:
            _keep_to_loopback()
        resolved = Settings.model_validate_json(settings)
        self.name: str = serve.get_replica_context().replica_id.unique_id
        logs = resolved.base_path / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        add_log_file(str(logs / f"gateway_{self.name}.log"))
        listening = listening_socket(_own_host(resolved, loopback), 0)
        self.service = Service(resolved, only=only, address=address_of(listening))
        self._server = server_of(self.service)
        # Before it starts, which tells others of the address and takes as long as its models do.
        threading.Thread(
            target=self._server.run, kwargs={"sockets": [listening]}, name="replica-listens", daemon=True
        ).start()
        self.service.start()

    def __serve_build_asgi_app__(self) -> FastAPI:
        from data_foundry.serving.http.app import create_app

        app = create_app(self.service)
        app.add_middleware(_Named, name=self.name)
        return app

    def __del__(self) -> None:
        # Ray calls this when a replica ends in good order, one that could not start too.
        if server := getattr(self, "_server", None):
            server.should_exit = True
        if service := getattr(self, "service", None):
            service.close()


class _Named:
    """ASGI middleware that says which replica answered."""

    def __init__(self, app: Any, name: str) -> None:
        self.app, self.header = app, (SERVED_BY.encode(), name.encode())

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def named(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), self.header]}
            await send(message)

        await self.app(scope, receive, named if scope["type"] == "http" else send)


def run(settings: Settings, started: Callable[[str], None], only: Sequence[str] = ()) -> None:
    """Serve until SIGINT or SIGTERM; `started` is told the address once all replicas have loaded.

    `only` names adapters, none means all. Raises FoundryError when Ray or a replica does not start.
    """
    ended = threading.Event()
    with deployed(settings, only) as address:
        # Now, not before: Ray puts handlers of its own in their place, which end a process at once.
        before = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            log.info("serving on %s: %d replicas on Ray", address, settings.serving.replicas)
            started(address)
            ended.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def deployed(settings: Settings, only: Sequence[str] = ()) -> Iterator[str]:
    """Start the replicas, yield the address that they are reached at, and take them down."""
    serving = settings.serving
    cluster = os.environ.get("RAY_ADDRESS")
    if cluster and settings.storage.type != "shared":
        raise FoundryError(
            f"On the Ray cluster {cluster} gateways run on several machines; storage.type is {settings.storage.type}.",
            "Put the base path where all machines see it and set storage.type to shared, or unset RAY_ADDRESS.",
        )
    if not cluster:
        os.environ.update(ALONE, RAY_AUTH_TOKEN=secrets.token_hex(32))
    try:
        import ray
        from ray import serve
    except ImportError as error:
        raise FoundryError(f"serving.engine ray needs Ray: {error}.", "pip install 'ray[serve]'.") from None
    most = max(serving.replicas, serving.max_replicas or 0)
    with _ray(cluster, most * serving.threads):
        require_gpus(ray.cluster_resources().get("GPU", 0.0), serving.gpus_per_replica, serving.replicas)
        port = serving.port or _free_port(serving.host)
        serve.start(http_options={"host": serving.host, "port": port, "location": "HeadOnly"})
        gateway: Any = serve.deployment(serve.ingress()(Replica))
        gateway = gateway.options(name=DEPLOYMENT, **options(settings))
        bound = gateway.bind(settings.model_dump_json(), tuple(only), not cluster)
        try:
            serve.run(bound, name=APPLICATION, route_prefix="/")
        except RuntimeError as error:
            raise FoundryError(f"The gateway does not start on Ray: {error}", "Its logs say more.") from error
        yield f"http://{serving.host}:{port}"


@contextmanager
def _ray(cluster: str | None, cpus: int) -> Iterator[None]:
    """Connect to a cluster, or start Ray here, and let go of it in the end, with what Ray Serve has there."""
    import ray
    from ray import serve

    with nullcontext() if cluster else ray_folder() as folder:
        try:
            if folder is None:
                ray.init(log_to_driver=False)
            else:
                _start_ray(folder, cpus)
            yield
        finally:
            with suppress(Exception):
                serve.shutdown()
            ray.shutdown()


def options(settings: Settings) -> dict[str, Any]:
    """Return how many replicas there are, what each takes, and when another one comes."""
    serving = settings.serving
    copies: dict[str, Any] = {"num_replicas": serving.replicas}
    if serving.max_replicas and serving.max_replicas > serving.replicas:
        copies = {
            "autoscaling_config": {
                "min_replicas": serving.replicas,
                "initial_replicas": serving.replicas,
                "max_replicas": serving.max_replicas,
                # A replica that has a full batch to answer has enough to do.
                "target_ongoing_requests": serving.max_batch,
            }
        }
    return copies | {
        "ray_actor_options": {"num_cpus": serving.threads, "num_gpus": serving.gpus_per_replica},
        # The gateway turns away what is too much for it, adapter by adapter, and says so.
        "max_ongoing_requests": 16 * serving.max_waiting_calls,
        "graceful_shutdown_timeout_s": serving.request_timeout_seconds,
        "health_check_period_s": HEALTH_CHECK_SECONDS,
    }


def _start_ray(folder: Path, cpus: int) -> None:
    """Start Ray on this machine, for this process alone."""
    import ray

    ray.init(
        address="local",
        # A gateway counts its threads itself; one that waits for a core of its own would never start.
        num_cpus=max(cpus, os.cpu_count() or 1),
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        object_store_memory=2**27,
        _temp_dir=str(folder),
        _node_ip_address=LOOPBACK,
        _system_config={"enable_metrics_collection": False},
    )


def require_gpus(there: float, each: float, replicas: int) -> None:
    if (needed := each * replicas) > there:
        raise FoundryError(
            f"{replicas} replicas with serving.gpus_per_replica {each:g} need {needed:g} GPUs; Ray has {there:g}.",
            "Lower serving.replicas or serving.gpus_per_replica (a fraction shares one GPU).",
        )


def _keep_to_loopback() -> None:
    """Let the port that replicas hear each other on be on the loopback interface too; Ray opens it on every one."""
    from ray.serve._private import replica

    add_port = replica.add_port_to_grpc_server
    replica.add_port_to_grpc_server = lambda server, address: add_port(server, address.replace("[::]", LOOPBACK))


def _own_host(settings: Settings, loopback: bool) -> str:
    """Return where a replica listens by itself: the address of its machine in a cluster where API keys are asked for.

    Else the loopback interface. Replicas of other machines are not asked then, and whose feedback it is hears so.
    """
    if loopback or not settings.serving.require_api_key:
        return LOOPBACK
    import ray

    host: str = ray.util.get_node_ip_address()
    return host


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
