"""An application of a test: OpenFeature's flagd provider, in process, which evaluates by the document that a flag server pushed."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from openfeature import api as openfeature
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.evaluation_context import EvaluationContext

from tests.e2e.support.exposure import nearest_percent
from tests.e2e.support.flag_sets import FLAG_SET
from tests.e2e.support.world import World

USERS = [EvaluationContext(f"user-{number}") for number in range(400)]


@asynccontextmanager
async def connected(host: str, port: int, world: World) -> AsyncIterator[OpenFeatureClient]:
    """An application in the test's namespace, with its flags."""
    provider = FlagdProvider(
        resolver_type=ResolverType.IN_PROCESS,
        host=host,
        port=port,
        selector=f"{world.namespace}/{FLAG_SET}",
        deadline_ms=30_000,
        retry_backoff_ms=100,
        retry_backoff_max_ms=500,
    )
    domain = uuid.uuid4().hex
    await asyncio.to_thread(openfeature.set_provider_and_wait, provider, domain)
    try:
        yield openfeature.get_client(domain)
    finally:
        await asyncio.to_thread(provider.shutdown)


async def share(client: OpenFeatureClient, flag: str = "feature") -> int | None:
    """The percent of the users who get the feature on from one document; none of the evaluations may fail."""

    def evaluate() -> float:
        while True:
            answers = [client.get_boolean_details(flag, False, user) for user in USERS]
            failed = [answer.error_message for answer in answers if answer.error_code is not None]
            assert not failed, failed[0]
            if len({answer.flag_metadata["epoch"] for answer in answers}) == 1:  # else the document changed on the way
                return 100 * sum(answer.value for answer in answers) / len(answers)

    return nearest_percent(await asyncio.to_thread(evaluate))
