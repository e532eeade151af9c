"""What the flag server does at real sizes: how soon a thousand clients have a write, what its death costs them, how much memory it takes.

The flag server is the real one, a process of its own. It watches an API server that is only as real as it needs, so that no cluster has to
be up; everything is on loopback. Clients are bare gRPC streams, and beside them one real application with OpenFeature's SDK and flagd's
provider. All clocks are the same one. Clients share the machine's processors with the server: it is faster without them.
"""

import asyncio
import logging
import resource
import sys
from pathlib import Path
from typing import Annotated

import typer

sys.dont_write_bytecode = True
_CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_CHECKOUT), str(_CHECKOUT / "dev")]

from bench.flag_figures import markdown  # noqa: E402 - the checkout is no package: its folders have to be named first
from bench.flag_measuring import measure  # noqa: E402
from bench.reporting import say, write  # noqa: E402


def main(
    clients: Annotated[int, typer.Option(min=1, max=4000, help="Connected clients, each on a connection of its own.")] = 1000,
    flags: Annotated[int, typer.Option(min=1, max=2000, help="Flags in the one flag set, which may be up to 1 MB.")] = 1000,
    writes: Annotated[int, typer.Option(min=1, max=500, help="Writes of one flag, one after the other.")] = 30,
    out: Annotated[Path, typer.Option(help="Where the two files go: JSON with every single span, and a table.")] = Path("build/bench"),
) -> None:
    """Measures the flag server under many clients: write → every client has it, the server's death and return, memory.

    Don't load the machine meanwhile. Needs no cluster; with the default numbers it takes about two minutes.
    """
    needed = clients + 500
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise typer.BadParameter(f"{clients} clients need {needed} open files, and `ulimit -Hn` is {hard}", param_hint="--clients")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # the API server finds the killed one gone
    measured = asyncio.run(measure(clients, flags, writes, say))
    write(out, "flag-clients", table=markdown(measured), **vars(measured))


if __name__ == "__main__":
    typer.run(main)
