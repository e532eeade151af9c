import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tidegate_dev import archives, files
from tidegate_dev.archives import Image
from tidegate_dev.errors import ClusterError


@pytest.fixture
def image(tmp_path: Path) -> Image:
    program = tmp_path / "program"
    program.write_bytes(b"binary")
    return Image("localhost/test/program:1", {"usr/local/bin/program": program}, ("/usr/local/bin/program",))


def member(archive: tarfile.TarFile, name: str) -> bytes:
    stream = archive.extractfile(name)
    assert stream is not None
    return stream.read()


def test_an_archive_holds_what_its_digests_say(image: Image, tmp_path: Path) -> None:
    path = tmp_path / "images" / "program.tar"
    archives.write(image, path)
    first = path.read_bytes()
    archives.write(image, path)
    assert path.read_bytes() == first, "the same content gives the same bytes"
    assert archives.reference(path) == image.reference
    with tarfile.open(path) as outer:
        manifest: dict[str, Any] = json.loads(member(outer, "manifest.json"))[0]
        config = json.loads(member(outer, manifest["Config"]))
        layer = member(outer, manifest["Layers"][0])
    assert manifest["RepoTags"] == [image.reference]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert config["config"] == {"Entrypoint": ["/usr/local/bin/program"], "User": "65532:65532"}
    with tarfile.open(fileobj=io.BytesIO(layer)) as inner:
        assert member(inner, "usr/local/bin/program") == b"binary"
        assert inner.getmember("usr/local/bin/program").mode == 0o755
        assert inner.getmember("tmp").mode == 0o1777
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"no tar"])
def test_what_is_no_image_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "wrong.tar"
    path.write_bytes(content)
    with pytest.raises(ClusterError, match=r"wrong\.tar is no docker-archive"):
        archives.reference(path)
    with pytest.raises(ClusterError, match=r"absent\.tar"):
        archives.reference(tmp_path / "absent.tar")


def test_a_digest_knows_where_its_parts_end() -> None:
    assert files.digest("ab", "c") != files.digest("a", "bc")
    assert files.digest("ab", "c") == files.digest(b"ab", "c")


def test_a_file_is_replaced_whole_and_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "secret"
    files.write(path, "one", mode=0o600)
    files.write(path, "two", mode=0o600)
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]
