"""Where the API server is and how to prove who we are: a kubeconfig, or the service account of a pod.

Both the client of this package and the watcher log in by these rules, each with a session of its own.
"""

import os
from dataclasses import dataclass, field
from typing import Any, cast

import yaml
from kubernetes.aio import config
from kubernetes.aio.client import Configuration

from tidegate.clients.errors import CredentialsError, short

_BEARER = "BearerToken"
# A kubeconfig is a person's file, and the library that reads it doesn't check its shape first.
_UNREADABLE = (config.ConfigException, OSError, ValueError, TypeError, LookupError, AttributeError, yaml.YAMLError)


@dataclass(frozen=True, slots=True)
class Connection:
    """One way to the API server. Paths are of PEM files; `authorization` is the header's value, or None with client certificates."""

    server: str
    ca_path: str | None
    verify: bool
    certificate_path: str | None
    private_key_path: str | None
    proxy: str | None
    authorization: str | None = field(repr=False)


async def load(kubeconfig: str | None) -> Configuration:
    """Credentials from `kubeconfig`; without one from the pod, or else from kubectl's default file. Read afresh at each call.

    Raises CredentialsError with the remedy.
    """
    configuration = Configuration()
    in_pod = kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ
    load_in_pod = cast(Any, config.load_incluster_config)
    load_file = cast(Any, config.load_kube_config)
    try:
        if in_pod:
            load_in_pod(client_configuration=configuration)
        else:
            await load_file(config_file=kubeconfig, client_configuration=configuration, persist_config=False)
    except _UNREADABLE as error:
        source = "the pod's service account" if in_pod else f"kubeconfig {kubeconfig or 'of $KUBECONFIG or ~/.kube/config'}"
        remedy = "check automountServiceAccountToken" if in_pod else "name one with --kubeconfig"
        raise CredentialsError(f"can't log in with {source}: {short(error, 200)}; {remedy}") from error
    return configuration


async def connection(kubeconfig: str | None) -> Connection:
    """The same credentials as plain values, for a client that is not ours."""
    configuration = await load(kubeconfig)
    return Connection(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        verify=bool(configuration.verify_ssl),
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        proxy=configuration.proxy,
        authorization=token_of(configuration),
    )


def token_of(configuration: Configuration) -> str | None:
    """The value of the Authorization header, or None."""
    token = configuration.api_key.get(_BEARER)
    return token if isinstance(token, str) else None


def replace_token(configuration: Configuration, fresh: Configuration) -> None:
    """Take over `fresh`'s token, leaving connections alone."""
    token = token_of(fresh)
    if token is None:
        configuration.api_key.pop(_BEARER, None)
    else:
        configuration.api_key[_BEARER] = token
