"""Writes what is generated: the CRDs (crds/ and the chart's copy), the API reference, the chart's table of values, the picture of the demo.
`--check` fails on a difference."""

import argparse
import sys
from pathlib import Path

import yaml

import tidegate_api_docs
import tidegate_chart_docs
import tidegate_picture
from tidegate.api.crd import KINDS, custom_resource_definition

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# Generated from operator/tidegate/api by `make generate`. Edit the models, not this file.\n"


def rendered() -> dict[Path, str]:
    """Every generated file and what it must hold."""
    out: dict[Path, str] = {}
    for definition in KINDS:
        text = HEADER + yaml.safe_dump(custom_resource_definition(definition), sort_keys=False, width=140, allow_unicode=True)
        for folder in (ROOT / "crds", ROOT / "helm/tidegate/files/crds"):
            out[folder / f"{definition.plural}.yaml"] = text
    return out | tidegate_api_docs.rendered() | tidegate_chart_docs.rendered() | tidegate_picture.rendered()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a generated file differs from what is committed")
    check = parser.parse_args().check
    stale = [(path, text) for path, text in rendered().items() if not path.exists() or path.read_text() != text]
    for path, text in stale:
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        print(f"{'out of date' if check else 'wrote'}: {path.relative_to(ROOT)}")
    if check and stale:
        print("run `make generate` and commit the result", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
