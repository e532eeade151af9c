"""The command line refuses what can't work, and explains itself."""

import re
from collections.abc import Callable
from datetime import timedelta
from unittest.mock import Mock

import aiohttp
import pytest

from demo import cli
from demo.api import NoAnswerError
from demo.cli import main
from demo.embedded import Embedded
from demo.installation import Installation
from demo.scaling import Clock
from demo.stage import Stage, Steps
from tidegate.clients.errors import CredentialsError
from tidegate_dev import backends, settings
from tidegate_dev.errors import ClusterError
from tidegate_dev.progress import progress


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for part in ("make demo KEEP=1", "make demo-cluster", "--seconds-per-day", "exit status"):
        assert part in text


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--seconds-per-day", "9"], "'9': give a whole number from 10 to 3600"),
        (["--seconds-per-day", "ten"], "'ten': give a whole number"),
        (["--interval", "0"], "'0': give a whole number from 1 to 30"),
        (["--requests-per-second", "²"], "'²': give a whole number from 20 to 1000"),
        (["--name", "Not a name"], "cluster name 'Not a name'"),
        (["--stage", "moon"], "invalid choice: 'moon'"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_a_wrong_command_line_is_refused_with_the_remedy(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "docker", "stage"),
    [
        ([], False, Embedded),
        ([], True, Installation),
        (["--name", "second"], False, Installation),
        (["--stage", "cluster"], False, Installation),
        (["--stage", "embedded"], True, Embedded),
    ],
)
def test_plain_processes_unless_docker_makes_a_cluster_fast_or_one_is_asked_for(
    arguments: list[str], docker: bool, stage: type[Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "docker_answers", lambda: docker)
    assert isinstance(cli.stage_of(cli.parser().parse_args(arguments), settings.load("default")), stage)


@pytest.mark.parametrize("stage", [Embedded, Installation])
def test_it_says_at_first_what_it_does_and_how_long_that_takes(stage: Callable[[settings.Settings], Stage]) -> None:
    text = cli.beginning(stage(settings.load("default")), Clock(timedelta(seconds=20), timedelta(seconds=1)))
    assert re.search(r"climbs to 100 %; .* its numbers take it back\. That takes about \d minutes; the first time .* \d+ minutes", text)


def test_steps_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(progress, "say", said.append)
    steps = Steps(("start Prometheus", "tidy up"))
    steps.next()
    steps.next()
    assert said == ["1/2 start Prometheus", "2/2 tidy up"]


def installed(problem: BaseException, *, begun: bool = True, stays: Exception | None = None) -> Mock:
    """Stands for the demo's installation, which fails with `problem`; `stays` says why something of it can't be removed."""
    failing = {"prepare.side_effect": problem, "remove.side_effect": stays}
    face = {"names": (), "about": "The demo.", "setup": timedelta(0), "first_time": "a while", "stays": True}
    return Mock(begun=begun, **face, **{"how_to_remove.return_value": "kubectl delete everything"}, **failing)


def ended(monkeypatch: pytest.MonkeyPatch, installation: Mock) -> int:
    """The exit status of a demo with this installation."""
    monkeypatch.setattr(cli, "stage_of", lambda *_: installation)
    return main([])


@pytest.mark.parametrize(
    ("problem", "code", "told"),
    [
        (ClusterError("the node is not ready"), 1, "demo: the node is not ready\n"),
        (NoAnswerError("GET /: 503"), 1, "demo: GET /: 503\n"),
        (CredentialsError("no kubeconfig"), 1, "demo: no kubeconfig\n"),
        (OSError(28, "No space left on device"), 1, "demo: [Errno 28] No space left on device\n"),
        (aiohttp.ServerDisconnectedError(), 1, "demo: Server disconnected\n"),
        (aiohttp.ClientError(), 1, "demo: ClientError\n"),
        (KeyboardInterrupt(), 130, "demo: interrupted\n"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_whatever_goes_wrong_is_one_sentence_and_is_tidied_up(
    problem: BaseException, code: int, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = installed(problem)
    assert ended(monkeypatch, demo) == code
    assert told in capsys.readouterr().err
    assert demo.remove.called


def test_an_error_of_the_demo_s_own_is_tidied_up_and_still_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    demo = installed(KeyError("status"))
    with pytest.raises(KeyError):
        ended(monkeypatch, demo)
    assert demo.remove.called


def test_before_anything_is_in_the_cluster_nothing_is_removed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    demo = installed(ClusterError("no"), begun=False)
    assert ended(monkeypatch, demo) == 1
    assert "nothing of the demo is running" in capsys.readouterr().err
    assert not demo.remove.called


@pytest.mark.parametrize("stays", [ClusterError("helm hangs"), OSError("helm is gone")])
def test_what_could_not_be_removed_is_told_with_the_commands(
    stays: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(monkeypatch, installed(KeyboardInterrupt(), stays=stays)) == 130
    assert f"not everything was removed: {stays}\nto remove the rest:\nkubectl delete everything" in capsys.readouterr().err
