"""The connection to a Ray cluster: with a token, without usage statistics, without words on the terminal."""

import contextlib
import logging
import os
import secrets
import signal
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from resnet_cli.planning.conditions import Conditions, Machine, this_machine
from resnet_cli.settings.errors import UserError, printable, shorten

AUTH_MODE = "RAY_AUTH_MODE"
ENVIRONMENT = {
    AUTH_MODE: "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # without it, Ray warns about its next version
}
"""What Ray is told unless the environment says otherwise."""


def load_ray() -> Any:
    """The package ray. Raises UserError, saying how to install it, if it is not there."""
    imported = sys.modules.get("ray") is not None
    for name, value in ENVIRONMENT.items():
        if not (imported and name == AUTH_MODE):  # which Ray has read by then; it takes care of a cluster of its own
            os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise UserError(
            "executor (=ray) needs the package ray, which is not installed; "
            "install it with `pip install 'resnet-exp[ray]'`."
        ) from None
    import ray._private.worker

    ray._private.worker._worker_logs_enabled = False  # what raylets say would be printed between the lines of a view
    return ray


def connect(address: str) -> Any:
    """Ray, connected to the cluster at an address. Raises UserError if that is impossible."""
    ray = load_ray()
    if not ray.is_initialized():
        try:
            _begin(ray, address=address)
        except UserError as error:
            raise UserError(
                f"address (={shorten(address)}): {error} See that a cluster runs there and that its token is here, in "
                "~/.ray/auth_token or RAY_AUTH_TOKEN; or leave --address out to use this machine alone."
            ) from None
    return ray


@contextlib.contextmanager
def opened(conditions: Conditions) -> Iterator[Any]:
    """Ray, connected to the cluster of the conditions or started for them on this machine alone."""
    if conditions.address is not None:
        yield connect(conditions.address)
        return
    ray = load_ray()
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    cpus = conditions.workers * conditions.threads
    gpus = this_machine().gpus if conditions.device == "cuda" else 0
    _begin(ray, address="local", num_cpus=cpus, num_gpus=gpus, include_dashboard=False)
    try:
        yield ray
    finally:
        ray.shutdown()


def _begin(ray: Any, **options: Any) -> None:
    """Let Ray connect to a cluster or start one, in silence. Raises UserError if it cannot."""
    try:
        with _own_signals(), warnings.catch_warnings(action="ignore"):
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, ImportError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        reason = shorten(" ".join(str(error).split()).rstrip("."), 200)
        raise UserError(f"Ray cannot begin: {reason}.") from None


def machines(address: str | None) -> Sequence[Machine]:
    """The nodes of the cluster at an address that have CPUs; without one, this machine."""
    if address is None:
        return [this_machine()]
    resources = [node["Resources"] for node in _nodes(connect(address))]
    return [Machine(int(found["CPU"]), int(found.get("GPU", 0))) for found in resources if found.get("CPU", 0) >= 1]


def node_names(ray: Any) -> dict[str, str]:
    """Names of the nodes by id: what they were started with, or their hosts', with a part of the id where two agree."""
    names = {}
    for node in _nodes(ray):
        named = node["NodeName"] not in ("", node["NodeManagerAddress"])
        names[node["NodeID"]] = printable(node["NodeName"] if named else node["NodeManagerHostname"])
    shared = Counter(names.values())
    return {key: f"{name}-{key[:4]}" if shared[name] > 1 else name for key, name in names.items()}


def _nodes(ray: Any) -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Keep this process's answer to SIGTERM, which Ray would replace by its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
