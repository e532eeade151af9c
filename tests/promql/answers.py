"""What Tidegate makes of the queries of `cases`, and of some at random, once Prometheus's parser has agreed: answers.jsonl.

After a change, `python -m tests.promql.answers` asks again and writes it. The fast tests hold Tidegate to the file, without the parser.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from tests.promql.cases import QUERIES
from tests.promql.comparing import Read, faults, read
from tests.promql.generator import Generator
from tests.promql.parser import PrometheusParser

FILE = Path(__file__).with_name("answers.jsonl")
_AT_RANDOM = 150
_SEED = 11


def written() -> Iterator[str]:
    """The lines of the file, as Tidegate reads the queries now."""
    generator = Generator(_SEED)
    for query in (*QUERIES, *(generator.query() for _ in range(_AT_RANDOM))):
        yield json.dumps(_plain(read(query)), ensure_ascii=False)


def agreed(prometheus: PrometheusParser) -> list[str]:
    """What Prometheus's parser doesn't agree to."""
    return list(faults([read(json.loads(line)["query"]) for line in written()], prometheus))


def _plain(one: Read) -> dict[str, object]:
    if one.compiled is None:
        return {"query": one.query, "refused": one.refused}
    selectors = [f"{selector.text} {selector.offset.total_seconds():g} {selector.need.name}" for selector in one.compiled.selectors]
    return {"query": one.query, "confined": one.confined, "selectors": selectors, "reach": one.compiled.reach.total_seconds()}


def main() -> None:
    from tidegate_dev import settings, tools
    from tidegate_dev.gobuild import Builder

    chosen = settings.load()
    found = agreed(PrometheusParser(Builder(chosen, tools.ensure(chosen)).program("promqlcheck")))
    if found:
        raise SystemExit("\n".join(found))
    FILE.write_text("".join(f"{line}\n" for line in written()))


if __name__ == "__main__":
    main()
