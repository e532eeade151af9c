"""An application in Python that evaluates flags on demand. client.mjs is the same in JavaScript, and says the same.

Flags come from the environment's flagd provider. Each line on standard input is a JSON object, each answer one on standard output:

{"do": "evaluate", "flag": KEY, "epoch": E, "clients": N, "attributes": [...]} → {"on": "0110…", "anonymous": true}
    waits for the flag's definition of that epoch, then evaluates it for `user-0`, `user-1`, … with the attributes in turn;
    a digit for each, or "e" for an error
{"do": "status"} → {"status": "READY"}
"""

import json
import sys
import time
from typing import Any

from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.evaluation_context import EvaluationContext

PATIENCE_SECONDS = 120.0
DIGITS = {True: "1", False: "0"}
CODE_DEFAULT = True
"""The wrong answer where it matters: whoever gets it by mistake has a feature that nobody turned on."""

client = api.get_client()


def evaluate(flag: str, context: EvaluationContext) -> str:
    details = client.get_boolean_details(flag, CODE_DEFAULT, context)
    return "e" if details.error_code else DIGITS[details.value]


def epoch_of(flag: str) -> object:
    return client.get_boolean_details(flag, CODE_DEFAULT, EvaluationContext("somebody")).flag_metadata.get("epoch")


def wait_for(flag: str, epoch: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while epoch_of(flag) != epoch:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{flag} is still of epoch {epoch_of(flag)}, not {epoch}")
        time.sleep(0.005)


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    if asked["do"] == "status":
        return {"status": client.get_provider_status().name}
    flag, attributes = asked["flag"], asked["attributes"]
    wait_for(flag, asked["epoch"])
    contexts = (EvaluationContext(f"user-{number}", attributes[number % len(attributes)]) for number in range(asked["clients"]))
    on = "".join(evaluate(flag, context) for context in contexts)
    return {"on": on, "anonymous": evaluate(flag, EvaluationContext(None, attributes[0])) == "1"}


def main() -> None:
    api.set_provider_and_wait(FlagdProvider())
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()
    api.shutdown()


if __name__ == "__main__":
    main()
