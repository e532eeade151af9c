"""The flag server dies under real applications, and comes back with other flags: each language, set up as the example says."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from tests.builders import CONFIG_MAP
from tests.fakes.apiserver import ApiServer
from tests.flags.process import flag_server, loopback_address
from tests.languages import node
from tests.languages.applications import LANGUAGES, Application, started
from tests.languages.cases import LISTS, written
from tidegate.levers.flag_set import parse_flag_set, to_config_map

CLIENTS = 500
NOTICED_SECONDS, BACK_SECONDS = 60.0, 10.0


async def test_applications_keep_their_flags_while_the_server_is_away_and_soon_have_the_new_ones(
    packages: node.Packages, tmp_path: Path
) -> None:
    host, flag_set = loopback_address(), written(parse_flag_set(None), 25)
    async with ApiServer.running() as api:
        kubeconfig = api.kubeconfig(tmp_path)
        await api.put("configmaps", "shop", to_config_map(flag_set, "shop", CONFIG_MAP))
        async with flag_server(kubeconfig, host) as first, started(packages, tmp_path / "app", host, f"shop/{CONFIG_MAP}") as applications:
            before = {language: await on(applications[language], flag_set.epoch) for language in LANGUAGES}
            first.kill()
            await first.wait()
            for language in LANGUAGES:
                await until(partial(given_up, applications[language]), NOTICED_SECONDS)
                assert await on(applications[language], flag_set.epoch) == before[language]
            later = written(flag_set, 0)
            await api.put("configmaps", "shop", to_config_map(later, "shop", CONFIG_MAP))
            async with flag_server(kubeconfig, host):
                async with asyncio.timeout(BACK_SECONDS):
                    for language in LANGUAGES:
                        now = await on(applications[language], later.epoch)
                        assert [number for number, digit in enumerate(now) if digit == "1"] == list(LISTS.always)


async def on(application: Application, epoch: int) -> str:
    answer = await application.ask(do="evaluate", flag=LISTS.flag, epoch=epoch, clients=CLIENTS, attributes=[{}])
    return str(answer["on"])


async def given_up(application: Application) -> bool:
    """The provider no longer takes the loss for a short one."""
    return await application.status() == "ERROR"


async def until(condition: Callable[[], Coroutine[Any, Any, bool]], within: float) -> None:
    async with asyncio.timeout(within):
        while not await condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.05)
