"""The command line of dev/cluster."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tidegate_dev import addons, operations, settings, upstreams
from tidegate_dev.errors import ClusterError
from tidegate_dev.progress import progress

OVERVIEW = """\
A real Kubernetes cluster on this machine: API server, node with containerd, DNS and Prometheus; Envoy Gateway on request.

Where a Docker engine answers it is made with kind. Elsewhere, on Linux as root, the same programs run natively in a
network namespace. The first `up` builds them from pinned sources, which takes about ten minutes on two cores;
the next ones take under a minute. Native, a machine has room for one more, of any other name: --name, or TIDEGATE_CLUSTER.
"""
EXAMPLES = """\
examples:
  dev/cluster up                       make the cluster, or repair it; does nothing when it is whole
  eval "$(dev/cluster env)"            put its kubeconfig and the matching kubectl and helm into this shell
  dev/cluster load-image               build the project's image, load it, print its reference
  dev/cluster up --load-image          both at once, which is faster the first time
  dev/cluster up --addons prometheus,gateway
  dev/cluster --name second up
  dev/cluster down                     remove it without a trace; what was built stays cached

folders: TIDEGATE_STATE (clusters; default ~/.local/state/tidegate), TIDEGATE_CACHE (what was built; default ~/.cache/tidegate)
"""
INTERRUPTED = "dev/cluster: interrupted; the next `dev/cluster up` goes on from here, `dev/cluster down` removes what is there"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; 0 when all is well, 1 for a problem, which is told in a sentence, 2 for a wrong command line."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        chosen = settings.load(arguments.name)
    except ValueError as error:
        parser.error(str(error))
    try:
        return _run(arguments, chosen)
    except (ClusterError, OSError) as problem:
        progress.close()
        told = problem.report() if isinstance(problem, ClusterError) else problem
        print(f"dev/cluster: {told}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        progress.close()
        print(f"\n{INTERRUPTED}", file=sys.stderr)
        return 130
    finally:
        progress.close()


def _run(arguments: argparse.Namespace, chosen: settings.Settings) -> int:
    began = time.monotonic()
    match arguments.command:
        case "up":
            made = operations.up(chosen, arguments.backend, arguments.addons, arguments.scrape_interval, image=arguments.load_image)
            if made.image:
                print(f"image: {made.image}")
            print(f"cluster {chosen.name!r} is up ({made.backend}, {time.monotonic() - began:.1f} s); its kubeconfig: {chosen.kubeconfig}")
        case "down":
            done = "is down" if operations.down(chosen) else "was not there"
            print(f"cluster {chosen.name!r} {done} ({time.monotonic() - began:.1f} s)")
        case "status":
            return operations.status(chosen, as_json=arguments.output == "json", leftovers=arguments.leftovers)
        case "kubeconfig":
            print(operations.kubeconfig(chosen))
        case "env":
            print(operations.environment(chosen))
        case "build-image":
            image = operations.build_image(chosen)
            progress.say(f"archive: {image.path}")
            print(image.reference)
        case "load-image":
            print(operations.load_image(chosen, arguments.image))
        case "pin":
            operations.pin(chosen, arguments.upstream, arguments.version)
    return 0


def _parser() -> argparse.ArgumentParser:
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="dev/cluster", description=OVERVIEW, epilog=EXAMPLES, formatter_class=shape)
    parser.add_argument("--name", help="which cluster (default: $TIDEGATE_CLUSTER, else 'default')")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    _add_up(commands)
    commands.add_parser("down", help="remove the cluster and all that it left on the machine", description=operations.down.__doc__)

    status = commands.add_parser("status", help="what runs, what does not", description=operations.status.__doc__)
    status.add_argument("-o", "--output", choices=("text", "json"), default="text")
    status.add_argument(
        "--leftovers", action="store_true", help="list what exists on the machine because of the cluster; exit 1 if there is anything"
    )

    commands.add_parser("kubeconfig", help="print the path of the administrator's kubeconfig", description=operations.kubeconfig.__doc__)
    commands.add_parser("env", help="print shell lines that set KUBECONFIG and PATH", description=operations.environment.__doc__)
    commands.add_parser("build-image", help="build the project's image and print its reference", description=operations.build_image.__doc__)
    load = commands.add_parser(
        "load-image", help="make an image known to the cluster and print its reference", description=operations.load_image.__doc__
    )
    load.add_argument(
        "image", nargs="?", type=Path, metavar="ARCHIVE", help="a docker-archive (default: the project's own image, built if need be)"
    )
    pin = commands.add_parser(
        "pin", help="for maintainers: change the version of an upstream in dev/go", description=operations.pin.__doc__
    )
    pin.add_argument("upstream", choices=[upstream.name for upstream in upstreams.UPSTREAMS])
    pin.add_argument("version", help="as the Go module calls it, such as v1.37.2")
    return parser


def _add_up(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    up = commands.add_parser("up", help="make the cluster, or what of it is missing", description=operations.up.__doc__)
    up.add_argument(
        "--backend",
        choices=("auto", "kind", "native"),
        default="auto",
        help="kind needs Docker, native needs Linux and root (default: auto)",
    )
    up.add_argument(
        "--addons",
        type=_addons,
        default=addons.DEFAULT,
        metavar="LIST",
        help=f"comma-separated, of {', '.join(addons.IMAGES)}; or none (default: {', '.join(addons.DEFAULT)})",
    )
    up.add_argument("--load-image", action="store_true", help="build the project's image meanwhile, and load it")
    up.add_argument(
        "--scrape-interval", type=_interval, default="1s", metavar="DURATION", help="how often Prometheus reads pods (default: 1s)"
    )


def _addons(text: str) -> tuple[str, ...]:
    names = () if text == "none" else tuple(name.strip() for name in text.split(","))
    if unknown := [name for name in names if name not in addons.IMAGES]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is no addon: choose of {', '.join(addons.IMAGES)}, or none")
    return names


def _interval(text: str) -> str:
    if not text.endswith("s") or not text[:-1].isdigit() or not 1 <= int(text[:-1]) <= 300:
        raise argparse.ArgumentTypeError(f"{text!r}: give whole seconds from 1s to 300s")
    return text
