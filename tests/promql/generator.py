"""Queries at random, over the whole grammar: as people write them, as nobody would, and with a mistake in them."""

import random
from collections.abc import Callable, Sequence

KEYWORDS = (
    *("sum", "avg", "count", "min", "max", "group", "stddev", "stdvar", "topk", "bottomk", "quantile", "count_values", "limitk"),
    *("offset", "by", "without", "on", "ignoring", "group_left", "group_right", "bool", "and", "or", "unless", "atan2"),
    *("start", "end", "step", "range", "inf", "nan", "fill", "anchored", "smoothed"),
)
NAMES = ("x", "y", "up", "a:b", "job:errors:rate5m", "rate", "info", "e5", "le", "Sum", "_", "x1", "_0", "s5m", "ALERTS", ":a", ":0", "::")
LABELS = ("a", "b", "job", "ns", "le", "_", "or", "sum", "by", "on", "offset")
QUOTED = ("my.label", "größe", "a b", "or", "}", '"', "\\", "12", "{", "0", "a\nb", "#")
VALUES = (
    "",
    "b",
    "1",
    "shop",
    "other",
    '"',
    "'",
    "`",
    "\\",
    "}",
    "{",
    "#",
    "\n",
    "\r",
    "\t",
    "é",
    "世",
    "\u200b",
    "a or b",
    '", ns="x',
    "12",
    "$1",
)
REGEXES = (
    *("", ".*", ".+", "a|b", "a|", "[a-z]+", "5..", "(?i)abc", r"\d+", r"a\.b", "[]a]", "[^]]", "(a)(b)?", "a{2,3}", "a{", "a{,2}", "^$"),
    *("(?P<n>a)", r"\pL+", r"\Qa.b\E", "[[:alpha:]]*", r"[\]\-a]", "(a*)*", r"\x{10FFFF}", r"a\0\101", "(?s-i:a)", r"\b", r"\B"),
)
ODD_REGEXES = (
    *("(", "[", "a)", "(?<!a)", r"\1", "[z-a]", "*", r"\q", "a{1001}", "[[:nothing:]]", "(?P<n>a)(?P<n>b)", "x++", "a{3,2}", r"[a-\d]"),
    *("a**", "(?=a)", "\\", "(?x)a"),
)
REGEX_PARTS = (*"ab0-][()|*?^$:\\", "{1}", "{2,}", "(?:", "(?i)", "[^", "a-b", ":]", "[:", "[a-", "\\n-", "[^-")
NUMBERS = ("0", "1", "2.5", ".5", "5.", "1e3", "1E-3", "0x1F", "010", "08", "Inf", "NaN", "5m", "1h30m", "1d", "1_000", "1_0.5_0")
ODD_NUMBERS = ("1e400", "0x", "5e", "1__0", "1.2.3", "5M", "0b1", "1_", "0x1e-5", "+ Inf", "- 1", "--1")
DURATIONS = ("5m", "1h", "30s", "1d2h", "100ms", "1w", "1y", "300", "1.5", "0x10", "1h30m5s", "2w3d", "5", "1e2")
ODD_DURATIONS = ("0s", "m", "1m1h", "5M", "-5m", "1.5h", "5m 5s", "300y", "1h1h", "(5m)", "5m+1m", "0")
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
ARITHMETIC = ("+", "-", "*", "/", "%", "^", "atan2")
SETS = ("and", "or", "unless")
OF_VECTORS = ("abs", "ceil", "exp", "floor", "ln", "sqrt", "sort", "timestamp", "absent", "hour", "minute", "sgn", "deg")
OF_RANGES = (
    "rate",
    "increase",
    "irate",
    "delta",
    "max_over_time",
    "avg_over_time",
    "absent_over_time",
    "changes",
    "last_over_time",
    "resets",
)
SPACES = ("", " ", " ", " ", "  ", "\n", "\t", " # a comment\n", "#{}\n", "\r\n")


class Generator:
    """One stream of queries, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def query(self) -> str:
        """A query, one in five of them with a mistake."""
        tokens = self._instant(self._random.choice((1, 2, 2, 3, 3, 4, 5)))
        if self._odds(5):
            self._spoil(tokens)
        return "".join(part for token in tokens for part in (token, self._space(token)))

    def regex(self) -> str:
        """A regular expression, or what looks like one."""
        parts = (*REGEXES, *ODD_REGEXES, *REGEX_PARTS)
        return "".join(self._pick(parts) for _ in range(self._random.randint(1, 6)))

    def _odds(self, one_in: int) -> bool:
        return self._random.randrange(one_in) == 0

    def _mostly(self, among: Sequence[str], odd: Sequence[str]) -> str:
        return self._pick(odd if self._odds(60) else among)

    def _pick(self, among: Sequence[str]) -> str:
        return self._random.choice(among)

    def _space(self, token: str) -> str:
        """What stands after a token. Words and numbers need something, most of the time."""
        spaces = " " if token[-1:].isalnum() or token[-1:] in "_:." else self._pick(SPACES)
        return self._pick(SPACES) if self._odds(12) else spaces

    def _instant(self, depth: int) -> list[str]:
        """What gives numbers at one instant."""
        if depth <= 0:
            return self._selector() if not self._odds(20) else self._scalar(0)
        kinds: tuple[Callable[[int], list[str]], ...] = (
            *(self._moved, self._binary, self._binary, self._binary, self._aggregation, self._aggregation, self._call, self._of_range),
            *(self._of_range, self._bracket, self._unary, self._rewritten),
        )
        return self._random.choice(kinds)(depth - 1)

    def _moved(self, _: int) -> list[str]:
        out = self._selector()
        if self._odds(3):
            out += [self._case("offset"), *(["-"] if self._odds(20) else []), self._mostly(DURATIONS, ODD_DURATIONS)]
        if self._odds(40):
            out += ["@", self._pick(("1700000000", "start()", "end()", "1.5"))]
        return out

    def _selector(self) -> list[str]:
        name = self._pick(KEYWORDS) if self._odds(8) else self._pick(NAMES)
        if self._odds(3):
            return [name]
        if self._odds(4):
            return ["{", *self._matchers(self._string(self._pick((*NAMES, *QUOTED)))), "}"]
        return [name, "{", *self._matchers(), "}"]

    def _matchers(self, *first: str) -> list[str]:
        """Matchers, after one for the metric's name, or instead of it."""
        out: list[str] = [] if self._odds(3) else [*first]
        for _ in range(self._random.choice((0, 1, 1, 1, 2, 3))):
            out += [] if not out else ["," if not self._odds(30) else "or"]
            out += self._matcher()
        return out + ([","] if out and self._odds(10) else [])

    def _matcher(self) -> list[str]:
        label = self._string(self._pick(QUOTED)) if self._odds(6) else self._mostly(LABELS, ("__name__", "1", "a.b"))
        sign = self._pick(("=", "=", "!=", "=~", "!~"))
        value = self._mostly(REGEXES, ODD_REGEXES) if "~" in sign else self._pick(VALUES)
        return [label, sign, self._string(value)]

    def _string(self, text: str) -> str:
        """The text in some spelling."""
        quote = self._pick('""\'`')
        if quote == "`":
            return f"`{text}`" if "`" not in text else f'"{text}"'
        out = "".join(self._escaped(char, quote) for char in text)
        return (
            f"{quote}{out}{quote}"
            if not self._odds(40)
            else f"{quote}{out}{self._pick((chr(92) + 'q', chr(92) + 'xff', '', chr(92)))}{quote}"
        )

    def _escaped(self, char: str, quote: str) -> str:
        if char in (quote, "\\"):
            return f"\\{char}"
        if char == "\n":
            return "\\n"
        if self._odds(12):
            code = ord(char)
            spellings = [f"\\u{code:04x}", f"\\U{code:08x}"] if code < 0x10000 else [f"\\U{code:08x}"]
            return self._pick([*spellings, f"\\x{code:02x}", f"\\{code:03o}"] if code < 128 else spellings)
        return char

    def _binary(self, depth: int) -> list[str]:
        sign = self._pick((*COMPARISONS, *ARITHMETIC, *SETS))
        one_number = self._odds(4)
        left = self._scalar(0) if one_number and self._odds(3) else self._instant(depth)
        right = self._scalar(0) if one_number else self._instant(depth - self._random.randrange(3))
        out = [*left, self._case(sign)]
        if (sign in COMPARISONS and self._odds(2)) or self._odds(40):
            out.append(self._case("bool"))
        if self._odds(3) and (not one_number or self._odds(20)):
            out += [self._case(self._pick(("on", "ignoring"))), *self._labels()]
            if self._odds(3) and (sign not in SETS or self._odds(20)):
                out += [self._pick(("group_left", "group_right")), *([] if self._odds(3) else self._labels())]
        if self._odds(25):
            out += [self._pick(("fill", "fill_left", "fill_right")), "(", self._mostly(NUMBERS, ODD_NUMBERS), ")"]
        return [*out, *right]

    def _labels(self) -> list[str]:
        out = ["("]
        for number in range(self._random.choice((0, 1, 1, 2, 3))):
            out += [] if number == 0 else [","]
            out.append(self._string(self._pick(QUOTED)) if self._odds(8) else self._mostly(LABELS, KEYWORDS))
        return [*out, *([","] if len(out) > 1 and self._odds(8) else []), ")"]

    def _aggregation(self, depth: int) -> list[str]:
        operator = self._pick(
            ("sum", "avg", "min", "max", "count", "group", "stddev", "topk", "bottomk", "quantile", "count_values", "limitk")
        )
        inside = self._instant(depth)
        if operator in ("topk", "bottomk", "quantile", "limitk"):
            inside = [*self._scalar(0), ",", *inside]
        if operator == "count_values":
            inside = [self._string(self._pick(LABELS)), ",", *inside]
        grouping = [self._case(self._pick(("by", "without"))), *self._labels()] if self._odds(2) else []
        if self._odds(2):
            return [self._case(operator), *grouping, "(", *inside, ")"]
        return [self._case(operator), "(", *inside, ")", *grouping]

    def _call(self, depth: int) -> list[str]:
        if self._odds(12):
            return ["info", "(", *self._instant(depth), *([] if self._odds(2) else [",", "{", *self._matchers(), "}"]), ")"]
        if self._odds(8):
            return [self._pick(("histogram_quantile", "clamp_min", "round")), "(", *self._scalar(0), ",", *self._instant(depth), ")"]
        return [self._pick(OF_VECTORS), "(", *self._instant(depth), ")"]

    def _of_range(self, depth: int) -> list[str]:
        if self._odds(2):
            inside = [*self._selector(), f"[{self._mostly(DURATIONS, ODD_DURATIONS)}]"]
        else:
            step = self._pick((":", f":{self._mostly(DURATIONS, ODD_DURATIONS)}"))
            inside = [*self._instant(depth), f"[{self._mostly(DURATIONS, ODD_DURATIONS)}{step}]"]
            inside = ["(", *inside[:-1], ")", inside[-1]] if self._odds(2) else inside
        if self._odds(4):
            inside += [self._case("offset"), self._mostly(DURATIONS, ODD_DURATIONS)]
        return [self._pick(OF_RANGES), "(", *inside, ")"]

    def _bracket(self, depth: int) -> list[str]:
        return ["(", *self._instant(depth), ")"]

    def _unary(self, depth: int) -> list[str]:
        return [self._pick("--+"), *self._instant(depth)]

    def _rewritten(self, depth: int) -> list[str]:
        texts = [self._string(self._pick((*LABELS, *VALUES))) for _ in range(3 if self._odds(30) else 4)]
        return ["label_replace", "(", *self._instant(depth), *(part for one in texts for part in (",", one)), ")"]

    def _scalar(self, _: int) -> list[str]:
        if self._odds(4):
            return self._mostly(("time ( )", "scalar ( x )", "pi ( )"), ("hour ( )", "x")).split()
        return [self._mostly(NUMBERS, ODD_NUMBERS)]

    def _case(self, word: str) -> str:
        return word.upper() if self._odds(20) else word

    def _spoil(self, tokens: list[str]) -> None:
        """Makes one mistake: a token too few, too many, twice, or in another's place; or a character."""
        at = self._random.randrange(len(tokens))
        match self._random.randrange(6):
            case 0:
                del tokens[at]
            case 1:
                tokens.insert(
                    at, self._pick((*"(){}[],@=-+", "by", "offset", "or", "bool", "5m", "x", '"a"', "=~", "#", "\\", "$", "'", "`", ":"))
                )
            case 2:
                tokens.insert(at, tokens[at])
            case 3:
                other = self._random.randrange(len(tokens))
                tokens[at], tokens[other] = tokens[other], tokens[at]
            case 4:
                place = self._random.randrange(len(tokens[at]))
                tokens[at] = tokens[at][:place] + tokens[at][place + 1 :]
            case 5:
                place = self._random.randrange(len(tokens[at]) + 1)
                tokens[at] = tokens[at][:place] + self._pick("\"'`{}()[]#\\,=~!@:;$%.\u00a0\u0000\u200bé") + tokens[at][place:]
