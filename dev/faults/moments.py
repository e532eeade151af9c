"""When, relative to a fault, an application turns bad."""

BEFORE, AT_ITS_START, IN_ITS_MIDDLE, AT_ITS_END, NEVER = "before", "at its start", "in its middle", "at its end", "never"
MOMENTS = (BEFORE, AT_ITS_START, IN_ITS_MIDDLE, AT_ITS_END, NEVER)


def turns_bad(moment: str, seconds: float) -> float | None:
    """Seconds after the beginning of a fault of such a length. Before it: so that evidence is half gathered
    when it begins, at a scrape a second."""
    return {BEFORE: -1.0, AT_ITS_START: 0.0, IN_ITS_MIDDLE: seconds / 2, AT_ITS_END: seconds - 0.5, NEVER: None}[moment]
