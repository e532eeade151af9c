"""The picture of the demo says what its screen says, and needs nothing from elsewhere."""

import html
import re

import tidegate_picture

(SCREEN,) = tidegate_picture.FOLDER.glob("*.txt")


def test_the_picture_has_every_word_of_the_screen() -> None:
    svg = tidegate_picture.drawn(SCREEN.read_text())
    shown = html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", svg, flags=re.DOTALL)).replace("\xa0", " ")
    words = set(re.findall(r"[\w.%-]+", SCREEN.read_text()))
    assert len(words) > 50
    assert words <= set(re.findall(r"[\w.%-]+", shown))
    assert set(re.findall(r"https?://[^\s\"]+", svg)) == {"http://www.w3.org/2000/svg"}


def test_a_rollback_stands_out() -> None:
    svg = tidegate_picture.drawn("│ ROLLBACK  ░░  0 %\n│ ADVANCE\n")
    colours = dict(re.findall(r"\.(demo-r\d+) \{ fill: (#\w+)", svg))
    spans = {text: colours[style] for style, text in re.findall(r'class="(demo-r\d+)"[^>]*>(ROLLBACK|ADVANCE)<', svg)}
    assert len(set(spans.values())) == 2
