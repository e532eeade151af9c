"""Writes container images as archives that `docker load` and containerd read, without any container engine."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tidegate_dev.errors import ClusterError

EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True)
class Image:
    """A one-layer image: `content` maps paths inside it (no leading slash) to files on this machine."""

    reference: str
    content: dict[str, Path]
    entrypoint: tuple[str, ...]
    user: str = "65532:65532"


def write(image: Image, archive: Path) -> None:
    """Writes the archive. The same content gives the same bytes."""
    pack(archive, image.reference, {"Entrypoint": list(image.entrypoint), "User": image.user}, lambda layer: _write_layer(image, layer))


def pack(archive: Path, reference: str, config: dict[str, object], write_layer: Callable[[tarfile.TarFile], None]) -> None:
    """Makes an image archive of one layer, an uncompressed tar: completely or not at all. One process at a time for each archive."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    layer_file = archive.with_name(f".{archive.name}.layer")
    with layer_file.open("w+b") as layer:
        with tarfile.open(fileobj=layer, mode="w") as inner:
            write_layer(inner)
        _pack(archive, reference, config, layer)
    layer_file.unlink()


def _pack(archive: Path, reference: str, config: dict[str, object], layer: io.BufferedRandom) -> None:
    layer.seek(0)
    digest = hashlib.file_digest(layer, "sha256").hexdigest()
    description = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            # buildah finds its cached layers only below a layer that says when it was made.
            "created": EPOCH,
            "history": [{"created": EPOCH, "created_by": "dev/cluster"}],
        }
    ).encode()
    config_name = f"{hashlib.sha256(description).hexdigest()}.json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [reference], "Layers": [f"{digest}/layer.tar"]}]).encode()
    temporary = archive.with_name(f".{archive.name}.incomplete")
    with tarfile.open(temporary, "w") as outer:
        _add(outer, config_name, io.BytesIO(description), len(description))
        size = layer.seek(0, io.SEEK_END)
        layer.seek(0)
        _add(outer, f"{digest}/layer.tar", layer, size)
        _add(outer, "manifest.json", io.BytesIO(manifest), len(manifest))
    temporary.rename(archive)


def _write_layer(image: Image, layer: tarfile.TarFile) -> None:
    folders = {str(parent) for name in image.content for parent in Path(name).parents if parent != Path(".")}
    for folder in sorted(folders | {"tmp"}):
        entry = tarfile.TarInfo(folder)
        entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
        layer.addfile(entry)
    for name, source in sorted(image.content.items()):
        with source.open("rb") as stream:
            _add(layer, name, stream, source.stat().st_size, mode=0o755)


def _add(archive: tarfile.TarFile, name: str, stream: IO[bytes], size: int, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, mode
    archive.addfile(entry, stream)


def reference(archive: Path) -> str:
    """The first reference that an image archive carries. Raises ClusterError when the file is no such archive."""
    try:
        with tarfile.open(archive) as outer:
            manifest = outer.extractfile("manifest.json")
            found = json.load(manifest)[0]["RepoTags"][0] if manifest else None
    except (OSError, tarfile.TarError, KeyError, IndexError, TypeError, ValueError) as error:
        raise ClusterError(f"{archive} is no docker-archive with a tagged image: {error}") from error
    if not isinstance(found, str):
        raise ClusterError(f"{archive} holds no tagged image")
    return found
