"""docs/pictures: a screen of the demo, copied from a terminal, as a picture for README.md. `make generate` draws it."""

import io
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "pictures"
TITLE = "make demo"
STYLES = {
    r"\b(ADVANCE|ROLLING_OUT)\b": "green",
    r"\b(HOLD)\b": "yellow",
    r"\b(ROLLBACK|rolled back)\b": "bold red",
    r"█+": "green",
    r"░+": "bright_black",
    r"^ \d\d:\d\d ": "reverse",
    r"\b(gate +reading +thresholds +verdict|guards)\b": "bright_black",
    r"(?<=─ )[a-z][a-z-]+(?= ─)": "bold",
}
"""As the demo colours them."""
_FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
  <style>
    .{unique_id}-matrix {{ font-family: "Fira Code", "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: {char_height}px;
      line-height: {line_height}px; font-variant-east-asian: full-width; }}
    .{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
    {styles}
  </style>
  <defs>
    <clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
    {lines}
  </defs>
  {chrome}
  <g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
    {backgrounds}
    <g class="{unique_id}-matrix">{matrix}</g>
  </g>
</svg>
"""
"""rich's own form asks a server for its font, which pictures in a README may not."""


def rendered() -> dict[Path, str]:
    """Every picture and what it must hold."""
    return {path.with_suffix(".svg"): drawn(path.read_text()) for path in sorted(FOLDER.glob("*.txt"))}


def drawn(screen: str) -> str:
    """A screen as SVG, in the colours of a terminal."""
    text = Text(screen.rstrip("\n"), no_wrap=True)
    for pattern, style in STYLES.items():
        text.highlight_regex(f"(?m){pattern}", style)
    width = max(len(line) for line in screen.splitlines())
    console = Console(record=True, file=io.StringIO(), width=width, color_system="truecolor", force_terminal=True, legacy_windows=False)
    console.print(text)
    svg = console.export_svg(title=TITLE, theme=MONOKAI, code_format=_FORMAT, unique_id="demo")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"
