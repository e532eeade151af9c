"""A replica of the flag server is full: the applications that it refuses have their flags from another one, in each language."""

import asyncio
from pathlib import Path

import grpc
from openfeature.schemas.protobuf.flagd.sync.v1.sync_pb2 import SyncFlagsRequest
from openfeature.schemas.protobuf.flagd.sync.v1.sync_pb2_grpc import FlagSyncServiceStub

from tests.builders import CONFIG_MAP
from tests.flags.balancer import balanced
from tests.flags.process import loopback_address
from tests.flags.support import ServerThread, eventually
from tests.languages import node
from tests.languages.applications import LANGUAGES, started
from tests.languages.cases import LISTS, written
from tidegate.flags.flag_settings import FlagServerSettings
from tidegate.levers.flag.flag_set import DOCUMENT_KEY, parse_flag_set, to_config_map

SELECTOR = f"shop/{CONFIG_MAP}"
CLIENTS = 100


async def test_applications_that_a_full_replica_refuses_have_their_flags_from_another(packages: node.Packages, tmp_path: Path) -> None:
    held = written(parse_flag_set(None), 0)
    document = to_config_map(held, "shop", CONFIG_MAP)["data"][DOCUMENT_KEY]
    full, free = replica(document, max_streams=1), replica(document, max_streams=100)
    try:
        with grpc.insecure_channel(full.sync_address) as channel, balanced(full.settings.grpc_host, free.settings.grpc_host) as service:
            held_place = FlagSyncServiceStub(channel).SyncFlags(SyncFlagsRequest(), timeout=300)
            await asyncio.to_thread(next, held_place)
            async with started(packages, tmp_path / "application", service, SELECTOR) as applications:
                for language in LANGUAGES:
                    answer = await applications[language].ask(
                        do="evaluate", flag=LISTS.flag, epoch=held.epoch, clients=CLIENTS, attributes=[{}]
                    )
                    assert [number for number, digit in enumerate(answer["on"]) if digit == "1"] == list(LISTS.always)
            assert (full.metric("tidegate_flags_refused_total", protocol="sync") or 0) >= 1
    finally:
        full.stop()
        free.stop()


def replica(document: str, *, max_streams: int) -> ServerThread:
    host = loopback_address()
    server = ServerThread(FlagServerSettings(grpc_host=host, http_host=host, max_streams=max_streams), {SELECTOR: document}, synced=True)
    server.start()
    eventually(lambda: server.answers(200))
    return server
