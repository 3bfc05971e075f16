"""hashigo.files: finding inputs and writing whole files or none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hashigo.errors import PictureError
from hashigo.files import Others, atomic_path, expand, open_file, walk

SUFFIXES = {".jpg", ".png"}


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """A folder with pictures at several depths, hidden ones, and files of other kinds."""
    files = ["b.JPG", "a/2.png", "a/1.jpg", "a/deep/写真.jpg", "notes.txt", ".hidden.jpg", ".cache/x.jpg", "c.d/e.png"]
    for name in files:
        path = tmp_path / "album" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "album"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def relative(pairs: list[tuple[Path, Path]]) -> list[str]:
    return [second.as_posix() for _, second in pairs]


# --- atomic_path --------------------------------------------------------------------------------------


def test_atomic_path_writes_into_a_new_folder(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "x.jpg"
    with atomic_path(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.suffix == ".jpg"
        assert temporary.name.startswith(".")
        assert not target.exists()
        temporary.write_bytes(b"whole")
    assert target.read_bytes() == b"whole"
    assert names(target.parent) == ["x.jpg"]


def test_atomic_path_permissions_follow_the_umask(tmp_path: Path) -> None:
    plain, target = tmp_path / "plain", tmp_path / "target"
    plain.write_bytes(b"")
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"")
    assert target.stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_atomic_path_failure_harms_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "x.jpg"
    target.write_bytes(b"old")

    def fail() -> None:
        with atomic_path(target) as temporary:
            temporary.write_bytes(b"half")
            raise error

    with pytest.raises(error):
        fail()
    assert names(tmp_path) == ["x.jpg"]
    assert target.read_bytes() == b"old"


def test_atomic_path_failure_removes_a_folder(tmp_path: Path) -> None:
    def fail() -> None:
        with atomic_path(tmp_path / "model") as temporary:
            temporary.mkdir()
            (temporary / "config.json").write_text("{}")
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 (any will do)
        fail()
    assert names(tmp_path) == []


def test_atomic_path_takes_the_longest_names(tmp_path: Path) -> None:
    target = tmp_path / ("あ" * 83 + ".jpg")  # 253 of at most 255 bytes
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"x")
    assert target.exists()


# --- walk ---------------------------------------------------------------------------------------------


def test_walk_is_sorted_and_leaves_out_hidden_and_other_files(album: Path) -> None:
    found = [path.relative_to(album).as_posix() for path in walk(album, SUFFIXES)]
    assert found == ["a/1.jpg", "a/2.png", "a/deep/写真.jpg", "b.JPG", "c.d/e.png"]


def test_walk_ends_in_a_loop_of_links(album: Path) -> None:
    (album / "a" / "loop").symlink_to(album, target_is_directory=True)
    assert len(list(walk(album, SUFFIXES))) == 5


def test_walk_yields_what_cannot_be_read(album: Path) -> None:
    (album / "gone.jpg").symlink_to(album / "nowhere.jpg")
    (album / "self.jpg").symlink_to(album / "self.jpg")
    os.mkfifo(album / "pipe.png")
    odd = ["gone.jpg", "pipe.png", "self.jpg"]
    assert (
        sorted({path.name for path in walk(album, SUFFIXES)} - {"b.JPG", "2.png", "1.jpg", "写真.jpg", "e.png"}) == odd
    )
    for name in odd:
        with pytest.raises(OSError, match=name):
            open_file(album / name)


def test_walk_leaves_out_thumbnails_and_counts_other_kinds(album: Path) -> None:
    for name in (
        "@eaDir/b.JPG",
        "a/@eaDir/1.jpg/SYNO.jpg",
        "__MACOSX/b.jpg",
        "._b.JPG",
        "Thumbs.db",
        ".thumbnails/1.png",
    ):
        path = album / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    for name in ("new.HEIC", "a/old.heic", "a/README"):
        (album / name).write_bytes(b"x")
    others: Others = Others()
    assert len(list(walk(album, SUFFIXES, others))) == 5
    assert others == {".heic": 2, ".txt": 1, "": 1}


def test_walk_follows_a_link_to_another_folder(album: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "o.jpg").write_bytes(b"o")
    (album / "z").symlink_to(tmp_path / "other", target_is_directory=True)
    assert album / "z" / "o.jpg" in list(walk(album, SUFFIXES))


# --- expand -------------------------------------------------------------------------------------------


def test_expand_folder_keeps_its_tree(album: Path) -> None:
    pairs = expand([album], SUFFIXES)
    assert relative(pairs) == ["a/1.jpg", "a/2.png", "a/deep/写真.jpg", "b.JPG", "c.d/e.png"]
    assert all((album / second) == first for first, second in pairs)


def test_expand_takes_a_named_file_of_any_kind(album: Path) -> None:
    assert relative(expand([album / "notes.txt", str(album / ".hidden.jpg")], SUFFIXES)) == ["notes.txt", ".hidden.jpg"]


def test_expand_patterns(album: Path) -> None:
    assert relative(expand([f"{album}/*"], SUFFIXES)) == ["a/1.jpg", "a/2.png", "a/deep/写真.jpg", "b.JPG", "c.d/e.png"]
    assert relative(expand([f"{album}/?/*.png"], SUFFIXES)) == ["a/2.png"]
    assert relative(expand([f"{album}/**/*.jpg"], SUFFIXES)) == ["a/1.jpg", "a/deep/写真.jpg"]
    assert relative(expand([f"{album}/a/[12].*"], SUFFIXES)) == ["1.jpg", "2.png"]


def test_expand_patterns_relative_to_the_working_folder(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(album)
    assert expand(["*.JPG"], SUFFIXES) == [(Path("b.JPG"), Path("b.JPG"))]
    assert relative(expand(["."], SUFFIXES))[0] == "a/1.jpg"


def test_expand_prefers_a_file_whose_name_looks_like_a_pattern(album: Path) -> None:
    (album / "scan[1].jpg").write_bytes(b"x")
    assert relative(expand([album / "scan[1].jpg"], SUFFIXES)) == ["scan[1].jpg"]


def test_expand_gives_each_file_once(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(album)
    pairs = expand(["b.JPG", album, album / "a" / ".." / "b.JPG", "*.JPG"], SUFFIXES)
    assert relative(pairs).count("b.JPG") == 1
    assert len(pairs) == 5


def test_expand_of_an_empty_folder_is_empty(tmp_path: Path) -> None:
    assert expand([tmp_path], SUFFIXES) == []


@pytest.mark.parametrize("name", ["nowhere.jpg", "nowhere/*.jpg", "*.gif", "notes.*"])
def test_expand_names_what_is_missing(album: Path, name: str) -> None:
    with pytest.raises(PictureError, match="expected") as caught:
        expand([album, album / name], SUFFIXES)
    assert name in str(caught.value)
