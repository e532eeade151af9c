"""The check of words and line lengths: what it finds, what it leaves alone, and that it names place and remedy."""

from pathlib import Path

import pytest

import words


def found(root: Path, name: str, text: str) -> list[str]:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return list(words.faults(root))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("x\nIt is put right.", '2: "put right": say correct'),
        ("Putting it right costs a write.", '1: "put right": say correct'),
        ("what is at rest", '1: "at rest": say terminal'),
        ("That is a person's word.", '1: "a person\'s word": say manual override'),
        ("`seen` is told each object", '1: "is told": say record or report; a callback gets its argument'),
        ("Both are told.", '1: "are told": say record or report; callbacks get their argument'),
        ("It tells of changes.", '1: "tells of": say record or report'),
        ("def note_lapse(): ...", '1: "lapse": say lease expired'),
        ("{lapsedPercent: 10}", '1: "lapsed": say lease expired'),
        ("if put_right(draft):", '1: "put right": say correct'),
        ("lapsed_percent = 1", '1: "lapsed": say lease expired'),
        ("Somebody else's flag", '1: "somebody else": say external writer'),
        ("x\n# written by somebody\n# else", '2: "somebody else": say external writer'),
    ],
)
def test_a_replaced_word_is_named_with_its_place_and_what_to_say(text: str, fault: str, tmp_path: Path) -> None:
    assert found(tmp_path, "operator/tidegate/a.py", text) == [f"operator/tidegate/a.py:{fault}"]


@pytest.mark.parametrize("name", ["README.md", "docs/a.md", "docs/adr/a.md", "helm/tidegate/values.yaml", "examples/a/b.mjs"])
def test_every_place_is_searched(name: str, tmp_path: Path) -> None:
    assert len(found(tmp_path, name, "put right")) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("docs/adr/0001-x.md", text) for text in ("time has elapsed", "lapsing is no word of ours", "somebody", "at restart", "it says")),
        *((name, "put right") for name in ("tests/a.py", "dev/words.py", "CHANGELOG.md")),
        *(("docs/semantics.md", f"| {'x' * 161} |"), ("docs/reference/a.md", "x" * 161), ("helm/README.md", "x" * 161)),
    ],
)
def test_other_words_other_places_and_long_lines_where_they_may_be_are_left_alone(name: str, text: str, tmp_path: Path) -> None:
    assert found(tmp_path, name, text) == []


def test_the_glossary_may_name_what_it_replaces_and_only_there(tmp_path: Path) -> None:
    rows = "| correct | make it as decided | put right |\n| drift | what was put right | – |\n"
    assert found(tmp_path, "docs/glossary.md", rows) == ['docs/glossary.md:2: "put right": say correct']


@pytest.mark.parametrize("name", ["README.md", "docs/a.md", "docs/adr/a.md", "docs/semantics.md"])
def test_a_long_line_is_named_with_its_length(name: str, tmp_path: Path) -> None:
    fault = f"{name}:2: 161 characters: wrap the line, or shorten the cell, to at most 160"
    assert found(tmp_path, name, f"{'x' * 160}\n{'x' * 161}\n") == [fault]


def test_its_exit_status_and_last_line_say_whether_anything_was_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert words.main([], tmp_path) == 0
    found(tmp_path, "README.md", "put right\nat rest\n")
    assert words.main([], tmp_path) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("2 to mend")


def test_help_lists_every_word_and_its_replacement(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        words.main(["--help"])
    printed = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(word in printed and instead in printed for word, instead in words.INSTEAD.items())
