"""How a page's commands are found, and what of the shown text was not printed."""

from tests.pages import Command, commands, missing

PAGE = """
```console
$ NAME=value
$ first --with \\
    --two
NAME    AGE
a       …
$ second -w
…
end
```

```sh
another way
```
"""


def test_commands_come_with_what_the_page_shows_of_their_output() -> None:
    found = commands(PAGE)
    assert found == [Command("NAME=value", ()), Command("first --with --two", ("NAME AGE", "a …")), Command("second -w", ("end",))]
    assert [command.assigns for command in found] == [("NAME", "value"), None, None]
    assert [command.watches for command in found] == [False, False, True]


def test_what_is_shown_must_be_printed_in_order_whatever_stands_between() -> None:
    shown = ("NAME AGE", "a …")
    assert missing(shown, ["NAME   AGE", "b   1", "a   2s"]) == []
    assert missing(shown, ["a 2s", "NAME AGE"]) == ["a …"]
    assert missing(shown, ["NAME AGES", "a 2s"]) == ["NAME AGE", "a …"]
