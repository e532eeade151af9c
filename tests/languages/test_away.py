"""The flag server dies under real applications, and comes back with other flags: each language, set up as the example says."""

import asyncio
from functools import partial
from pathlib import Path

from tests.builders import CONFIG_MAP
from tests.fakes.apiserver import ApiServer
from tests.flags.process import flag_server, is_ready, loopback_address, until
from tests.languages import node
from tests.languages.applications import LANGUAGES, Application, started
from tests.languages.cases import LISTS, written
from tidegate.levers.flag.flag_set import parse_flag_set, to_config_map

CLIENTS = 500
NOTICED_SECONDS = 120.0


async def test_applications_keep_their_flags_while_the_server_is_away_and_get_the_new_ones_from_the_next(
    packages: node.Packages, tmp_path: Path
) -> None:
    host, held = loopback_address(), written(parse_flag_set(None), 25)
    async with ApiServer.running() as api:
        kubeconfig = api.kubeconfig(tmp_path)
        await api.put("configmaps", "shop", to_config_map(held, "shop", CONFIG_MAP))
        async with flag_server(kubeconfig, host) as first:
            await until(partial(is_ready, host))
            async with started(packages, tmp_path / "application", host, f"shop/{CONFIG_MAP}") as applications:
                before = {language: await on(applications[language], held.epoch) for language in LANGUAGES}
                first.kill()
                await first.wait()
                for language in LANGUAGES:
                    await gives_up(applications[language])
                    assert await on(applications[language], held.epoch) == before[language]
                lowered = written(held, 0)
                await api.put("configmaps", "shop", to_config_map(lowered, "shop", CONFIG_MAP))
                async with flag_server(kubeconfig, host):
                    for language in LANGUAGES:
                        now = await on(applications[language], lowered.epoch)
                        assert [number for number, digit in enumerate(now) if digit == "1"] == list(LISTS.always)


async def on(application: Application, epoch: int) -> str:
    answer = await application.ask(do="evaluate", flag=LISTS.flag, epoch=epoch, clients=CLIENTS, attributes=[{}])
    return str(answer["on"])


async def gives_up(application: Application) -> None:
    """Waits until the provider no longer takes the loss for a short one."""
    async with asyncio.timeout(NOTICED_SECONDS):
        while await application.status() != "ERROR":  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.05)
