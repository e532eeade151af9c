"""What the lever writes and the flag server pushes, evaluated by the real providers in process: who has the feature at each percent.

Everything is as in production but for the API server: the flag server is a process of its own, so is each application, and the documents
come by gRPC.
"""

import asyncio
import itertools
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.builders import CONFIG_MAP
from tests.fakes.apiserver import ApiServer
from tests.flags.process import flag_server, is_ready, loopback_address, until
from tests.languages import node
from tests.languages.applications import LANGUAGES, started
from tests.languages.cases import CASES, LISTS, PERCENTS, Case, written
from tests.languages.generations import GENERATIONS, predicted, row
from tidegate.levers.flag.flag_set import parse_flag_set, to_config_map

EVERY_CASE = pytest.mark.parametrize("case", CASES, ids=lambda case: case.flag)
EVERY_LANGUAGE = pytest.mark.parametrize("language", LANGUAGES)
FLAGS_GUIDE = Path(__file__).resolve().parents[2] / "docs/flags.md"


Answers = dict[tuple[str, str, int], dict[str, Any]]
"""What the clients of each language and flag were told at each percent: `on` has a digit for each, `anonymous` is who has no name."""


@pytest.fixture(scope="module")
def answers(packages: node.Packages, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """One climb of all flags together, every client asked at every step."""
    return asyncio.run(_climb(packages, tmp_path_factory.mktemp("climb")))


async def _climb(packages: node.Packages, folder: Path) -> Answers:
    found, host, flag_set = Answers(), loopback_address(), written(parse_flag_set(None), 0)
    async with ApiServer.running() as api:
        await api.put("configmaps", "shop", to_config_map(flag_set, "shop", CONFIG_MAP))
        async with flag_server(api.kubeconfig(folder), host), AsyncExitStack() as stack:
            await until(partial(is_ready, host))
            applications = await stack.enter_async_context(started(packages, folder / "application", host, f"shop/{CONFIG_MAP}"))

            async def ask_all(language: str, percent: int) -> None:
                for case in CASES:
                    question = {"flag": case.flag, "epoch": flag_set.epoch, "clients": case.clients, "attributes": case.attributes}
                    found[language, case.flag, percent] = await applications[language].ask(do="evaluate", **question)

            for percent in PERCENTS:
                flag_set = written(flag_set, percent)
                await api.put("configmaps", "shop", to_config_map(flag_set, "shop", CONFIG_MAP))
                await asyncio.gather(*(ask_all(language, percent) for language in LANGUAGES))
    return found


@EVERY_LANGUAGE
@EVERY_CASE
def test_the_share_of_clients_is_the_percent(answers: Answers, language: str, case: Case) -> None:
    rest = case.rest
    for percent in PERCENTS:
        digits, wanted = answers[language, case.flag, percent]["on"], min(percent, case.most)
        assert len(digits) == case.clients
        assert set(digits) <= {"0", "1"}, "an evaluation failed"
        if not rest:
            continue
        share = 100 * sum(digits[number] == "1" for number in rest) / len(rest)
        assert abs(share - wanted) <= (case.tolerance if 0 < wanted < 100 else 0), f"{share} % at {percent} %"


@EVERY_LANGUAGE
@EVERY_CASE
def test_nobody_who_has_the_feature_loses_it_at_a_higher_step(answers: Answers, language: str, case: Case) -> None:
    for lower, higher in itertools.pairwise(PERCENTS):
        before, now = answers[language, case.flag, lower]["on"], answers[language, case.flag, higher]["on"]
        assert [number for number in range(case.clients) if before[number] == "1" and now[number] != "1"] == []


@EVERY_LANGUAGE
@EVERY_CASE
@pytest.mark.parametrize("percent", PERCENTS)
def test_whoever_is_named_has_it_always_or_never(answers: Answers, language: str, case: Case, percent: int) -> None:
    digits = answers[language, case.flag, percent]["on"]
    assert [number for number in case.always if digits[number] != "1"] == []
    assert [number for number in case.never if digits[number] != "0"] == []
    assert answers[language, case.flag, percent]["anonymous"] is (percent == 100 and case.anonymous_at_100)


@EVERY_LANGUAGE
def test_clients_are_dealt_as_the_documentation_says(answers: Answers, language: str) -> None:
    """An upgrade that deals anew shows here. It belongs in the documentation, and in the news of the release."""
    dealt = {percent: "".join(answers[language, LISTS.flag, percent]["on"][number] for number in LISTS.rest) for percent in PERCENTS}
    found = [each for each in GENERATIONS if all(predicted(each, LISTS, percent) == dealt[percent] for percent in PERCENTS)]
    assert len(found) == 1, "this provider deals clients in a way that is not known: find out which, and add it to generations.py"
    assert row(language, found[0]) in FLAGS_GUIDE.read_text()


def test_how_many_clients_differ_between_the_languages_is_what_the_documentation_says(answers: Answers) -> None:
    python, javascript = (answers[language, LISTS.flag, 25]["on"] for language in ("python", "javascript"))
    differ = sum(one != other for one, other in zip(python, javascript, strict=True))
    assert f"{differ:,} of {LISTS.clients:,} clients" in FLAGS_GUIDE.read_text()
