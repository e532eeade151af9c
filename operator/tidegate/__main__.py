"""The `tidegate` program: `tidegate operator` reconciles, `tidegate flags` serves flags to applications."""

import asyncio
import socket
from enum import StrEnum
from typing import Annotated

import typer

from tidegate import build, logs

app = typer.Typer(
    help="Turns features on a step at a time, watches Prometheus while it does, and takes them back when the numbers turn.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class LogFormat(StrEnum):
    """How log lines look."""

    JSON = "json"
    TEXT = "text"


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tidegate {build.version()}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", is_eager=True, callback=_say_version, help="Prints the version and ends.")]
LogLevel = Annotated[str, typer.Option(envvar="TIDEGATE_LOG_LEVEL", help="DEBUG, INFO, WARNING or ERROR.")]
Format = Annotated[LogFormat, typer.Option(envvar="TIDEGATE_LOG_FORMAT", help="json for machines, text for people.")]
Namespaces = Annotated[
    list[str] | None,
    typer.Option("--namespace", help="Namespace to watch; may be given several times. Default: all. The operator takes globs too."),
]
Kubeconfig = Annotated[str | None, typer.Option(help="Default: the pod's service account, or kubectl's own file.")]
Grace = Annotated[float, typer.Option(help="Seconds that work under way gets to end after SIGTERM.")]


@app.callback()
def program(version: Version = False) -> None:
    """The options that need no command."""


@app.command()
def operator(
    namespace: Namespaces = None,
    kubeconfig: Kubeconfig = None,
    own_namespace: Annotated[
        str, typer.Option(envvar="POD_NAMESPACE", help="Holds the Lease, and the Secrets that RolloutPolicies name.")
    ] = "default",
    candidate: Annotated[str | None, typer.Option(envvar="POD_NAME", help="Names this replica in the Lease. Default: the host.")] = None,
    pod_uid: Annotated[
        str | None, typer.Option(envvar="POD_UID", help="Of the pod that this is the only operator of: its next container leads at once.")
    ] = None,
    port: Annotated[int, typer.Option(help="Serves /healthz, /readyz and /metrics.")] = 8080,
    host: Annotated[str, typer.Option(help="Address to serve them on.")] = "0.0.0.0",
    workers: Annotated[int, typer.Option(help="Objects reconciled in parallel, beside those that wait for slow queries.")] = 16,
    lease_name: Annotated[str, typer.Option(help="Replicas with the same Lease elect one leader.")] = "tidegate",
    lease_duration: Annotated[float, typer.Option(help="Seconds after which a silent leader is replaced.")] = 10.0,
    grace: Grace = 10.0,
    run_history_limit: Annotated[
        int, typer.Option(help="Attempts of each rollout whose RolloutRuns are kept, 10 or more; 0 for all. What rejects a revision stays.")
    ] = 50,
    log_level: LogLevel = "INFO",
    log_format: Format = LogFormat.JSON,
    version: Version = False,
) -> None:
    """Reconciles FeatureRollouts: watch → observe → decide → act → report. Run two replicas; the Lease lets one of them write."""
    from tidegate.app import run
    from tidegate.settings import OperatorSettings

    _log(log_level, log_format)
    try:
        settings = OperatorSettings(
            own_namespace=own_namespace,
            candidate=candidate or socket.gethostname(),
            pod_uid=pod_uid,
            kubeconfig=kubeconfig,
            namespaces=tuple(namespace or ()),
            host=host,
            port=port,
            workers=workers,
            lease_name=lease_name,
            lease_duration=lease_duration,
            grace=grace,
            run_history_limit=run_history_limit,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    raise typer.Exit(run(settings))


@app.command()
def lift_finalizers(
    namespace: Namespaces = None,
    kubeconfig: Annotated[str | None, typer.Option(help="Default: the pod's service account, or kubectl's own file.")] = None,
    limit: Annotated[float, typer.Option(help="Seconds that it may take.")] = 60.0,
    log_level: LogLevel = "INFO",
    log_format: Format = LogFormat.JSON,
) -> None:
    """Takes the operator's finalizer from all FeatureRollouts. Only for when no operator runs any more; flags stay as they are."""
    from tidegate.clients.kubernetes import Kubernetes
    from tidegate.uninstall import lift_finalizers as lift

    _log(log_level, log_format)

    async def lifted() -> int:
        async with Kubernetes.connect(kubeconfig) as kubernetes:
            return await lift(kubernetes, tuple(namespace or ()), limit)

    raise typer.Exit(asyncio.run(lifted()))


@app.command()
def flags(
    namespace: Namespaces = None,
    kubeconfig: Kubeconfig = None,
    host: Annotated[str, typer.Option(help="Address to serve on.")] = "0.0.0.0",
    grpc_port: Annotated[int, typer.Option(help="Serves flagd.sync.v1 to in-process providers.")] = 8015,
    http_port: Annotated[int, typer.Option(help="Serves OFREP, /healthz, /readyz and /metrics.")] = 8016,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(help="Origin whose pages may use OFREP, such as https://shop.example; may be given several times."),
    ] = None,
    ofrep_metadata: Annotated[
        bool, typer.Option("--ofrep-metadata", help="OFREP gives metadata too: names of rollouts, of namespaces, and what people wrote.")
    ] = False,
    max_streams: Annotated[int, typer.Option(help="Connected clients at most.")] = 5000,
    grace: Grace = 10.0,
    log_level: LogLevel = "INFO",
    log_format: Format = LogFormat.JSON,
    version: Version = False,
) -> None:
    """Pushes flag sets (ConfigMaps labelled tidegate.io/flag-set=true) to applications: flagd's sync protocol and OFREP. Read-only."""
    from tidegate.flags.flag_settings import FlagServerSettings
    from tidegate.flags.server import run

    _log(log_level, log_format)
    try:
        settings = FlagServerSettings(
            kubeconfig=kubeconfig,
            grpc_host=host,
            grpc_port=grpc_port,
            http_host=host,
            http_port=http_port,
            namespaces=tuple(namespace or ()),
            cors_origins=tuple(cors_origin or ()),
            ofrep_metadata=ofrep_metadata,
            max_streams=max_streams,
            grace_seconds=grace,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    run(settings)


def _log(level: str, log_format: LogFormat) -> None:
    try:
        logs.configure(level, "json" if log_format is LogFormat.JSON else "text")
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def main() -> None:
    """The console script."""
    app(prog_name="tidegate")


if __name__ == "__main__":
    main()
