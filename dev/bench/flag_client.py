"""An application's side of the measurement: the OpenFeature SDK with flagd's provider in process, evaluating without pause.

Runs as a process of its own, so that measuring takes no time from it. Says "ready", then one JSON line for each change of each flag:
{"flag": …, "on": true|false, "last": time of the last evaluation with the old value, "per_second": evaluations of each flag so far}.
"""

import json
import sys
import time

from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.evaluation_context import EvaluationContext

PER_SECOND = 250
"""Evaluations of each flag."""
USERS = 1000


def say(**line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def evaluate(flags: list[str]) -> None:
    """Evaluates each flag for one user after another, until the process is ended. Times are Unix seconds."""
    client = api.get_client()
    users = [EvaluationContext(f"user-{number}") for number in range(USERS)]
    values, asked = dict.fromkeys(flags, False), dict.fromkeys(flags, 0.0)
    began = due = time.monotonic()
    turn = 0
    while True:
        for flag in flags:
            at = time.time()
            on = client.get_boolean_value(flag, False, users[turn % USERS])
            if on != values[flag]:
                say(flag=flag, on=on, last=asked[flag], per_second=turn / max(time.monotonic() - began, 1.0))
                values[flag] = on
            asked[flag] = at
        turn += 1
        due += 1 / PER_SECOND
        time.sleep(max(0.0, due - time.monotonic()))


def main() -> None:
    """Arguments: host, port, selector, flags."""
    host, port, selector, *flags = sys.argv[1:]
    provider = FlagdProvider(
        resolver_type=ResolverType.IN_PROCESS,
        host=host,
        port=int(port),
        selector=selector,
        deadline_ms=30_000,
        retry_backoff_ms=100,
        retry_backoff_max_ms=500,
    )
    api.set_provider_and_wait(provider)
    say(ready=True)
    evaluate(flags)


if __name__ == "__main__":
    main()
