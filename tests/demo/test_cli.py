"""The command line refuses what can't work, and explains itself."""

import pytest

from demo.cli import main


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for part in ("make demo", "--seconds-per-day", "--keep", "exit status"):
        assert part in text


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--seconds-per-day", "9"], "'9': give a whole number from 10 to 3600"),
        (["--seconds-per-day", "ten"], "'ten': give a whole number"),
        (["--interval", "0"], "'0': give a whole number from 1 to 30"),
        (["--requests-per-second", "²"], "'²': give a whole number from 20 to 1000"),
        (["--name", "Not a name"], "cluster name 'Not a name'"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_a_wrong_command_line_is_refused_with_the_remedy(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err
