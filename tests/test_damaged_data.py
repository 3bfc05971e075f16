"""Packs and .npz files with anything in them: read, or refused with our error; never a crash, a hang or a full memory."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hashigo.cli.main import main
from hashigo.data import PictureSet, open_dataset
from hashigo.data.check import check
from hashigo.errors import DataError
from tiny import photo

COUNT, SIDE = 3, 6


@pytest.fixture(scope="module")
def pack_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("pack") / "a.safetensors"
    pictures = np.stack([photo("coffee", SIDE, SIDE)] * COUNT)
    PictureSet.from_array(pictures, np.arange(COUNT), classes=("a", "b", "c")).save(path)
    return path.read_bytes()


def with_header(content: bytes, header: object, text: bytes | None = None) -> bytes:
    """The pack with another header."""
    length = struct.unpack("<Q", content[:8])[0]
    text = json.dumps(header).encode() if text is None else text
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


def header_of(content: bytes) -> dict[str, Any]:
    length = struct.unpack("<Q", content[:8])[0]
    header: dict[str, Any] = json.loads(content[8 : 8 + length])
    return header


def is_read_or_refused(path: Path) -> None:
    with suppress(DataError):
        pictures = open_dataset(path)
        for i in range(len(pictures)):
            assert pictures.picture(i).size > 0
        assert pictures.labels is None or pictures.labels.min(initial=0) >= -1
    report = check(path)
    assert report.splits or report.problems


ODD_HEADERS: list[tuple[tuple[str, ...], object]] = [
    (("__metadata__",), [1]), (("__metadata__",), {"format": 5}), (("__metadata__", "classes"), "{"), (("__metadata__", "classes"), "7"),
    (("__metadata__", "classes"), "[1]"), (("__metadata__", "classes"), "[" * 50_000), (("__metadata__", "source"), 5),
    (("pixels",), None), (("pixels", "shape"), [-3, -36]), (("pixels", "shape"), [1 << 62, 4]), (("pixels", "shape"), [1.5]),
    (("pixels", "shape"), [True, 324]), (("pixels", "dtype"), "F32"), (("pixels", "dtype"), ["U8"]), (("pixels", "data_offsets"), [5]),
    (("pixels", "data_offsets"), [-10, 314]), (("sizes", "dtype"), "I64"), (("sizes", "shape"), [6]), (("name_lengths", "shape"), [3, 1]),
    (("labels", "dtype"), "U8"), (("names", "data_offsets"), [10**30, 10**30]),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "value"), ODD_HEADERS)
def test_a_pack_with_an_odd_header(
    pack_bytes: bytes, keys: tuple[str, ...], value: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header = header_of(pack_bytes)
    inner = header
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path = tmp_path / "odd.safetensors"
    path.write_bytes(with_header(pack_bytes, header))
    if keys != ("__metadata__", "source") or not isinstance(value, str):
        with pytest.raises(DataError, match=r"odd\.safetensors"):
            open_dataset(path)
    assert check(path).problems
    assert main(["data", "check", str(path)]) == 1
    assert "odd.safetensors" in capsys.readouterr().out


@pytest.mark.parametrize("text", [b"{" + b'"a":[' * 100_000, b"[1, 2]", b'{"a": 1}', b"{", b'{"\xff": 1}'])
def test_a_pack_with_a_header_of_another_form(pack_bytes: bytes, text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "odd.safetensors"
    path.write_bytes(with_header(pack_bytes, None, text))
    with pytest.raises((DataError, OSError)):
        open_dataset(path)


@pytest.mark.parametrize(("name", "value"), [("sizes", -6), ("sizes", 0), ("name_lengths", -1), ("labels", -9)])
def test_a_pack_with_negative_numbers(pack_bytes: bytes, name: str, value: int, tmp_path: Path) -> None:
    start = 8 + struct.unpack("<Q", pack_bytes[:8])[0] + header_of(pack_bytes)[name]["data_offsets"][0]
    content = bytearray(pack_bytes)
    kind = "<q" if name == "labels" else "<i"
    for place in range(2 if name == "sizes" else 1):  # two negative sides have a good area
        struct.pack_into(kind, content, start + 4 * place, value)
    path = tmp_path / "odd.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"odd\.safetensors"):
        open_dataset(path)
    assert check(path).problems


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
PLACES = [("__metadata__",), *[("__metadata__", key) for key in ("format", "classes", "source")]] + [
    (tensor, *more)
    for tensor in ("pixels", "names", "labels", "sizes", "name_lengths")
    for more in ((), ("dtype",), ("shape",), ("data_offsets",))
]


@settings(max_examples=150, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(PLACES), JSON)
def test_any_header_is_read_or_refused(pack_bytes: bytes, tmp_path: Path, keys: tuple[str, ...], value: object) -> None:
    header = header_of(pack_bytes)
    inner = header
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    (tmp_path / "odd.safetensors").write_bytes(with_header(pack_bytes, header))
    is_read_or_refused(tmp_path / "odd.safetensors")


@settings(max_examples=200, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4), st.floats(0, 1)
)
def test_any_bytes_of_a_pack_are_read_or_refused(
    pack_bytes: bytes, tmp_path: Path, changes: list[tuple[float, int]], kept: float
) -> None:
    content = bytearray(pack_bytes)
    for place, value in changes:
        content[int(place * len(content))] = value
    (tmp_path / "odd.safetensors").write_bytes(content[: int(kept * len(content))] if kept < 0.3 else content)
    is_read_or_refused(tmp_path / "odd.safetensors")


# --- npz ----------------------------------------------------------------------------------------------------


def npy(shape: tuple[int, ...], dtype: str = "|u1", content: bytes = b"") -> bytes:
    """A .npy member whose header says `shape`, whatever follows."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue() + content


@pytest.mark.parametrize(
    "members",
    [
        {"color.npy": npy((1 << 50, 96, 96, 3))},
        {"color.npy": npy((10**30,))},
        {"color.npy": npy((), content=b"x")},
        {"color.npy": npy((2, 0, 5, 3))},
        {"color.npy": npy((2, 4, 4, 3), content=b"x")},
        {"color.npy": npy((1,), "|O", b"\x80\x04N.")},
        {"color.npy": b"\x93NUMPY\x09\x00"},
        {"color.npy": b"none"},
        {"color": b"none"},
        {"color.npy": npy((2, 2, 2), content=bytes(8)), "labels.npy": npy((2,), "<u8", b"\xff" * 16)},
        {"color.npy": npy((2, 2, 2), content=bytes(8)), "labels.npy": npy((2,), "<i8", struct.pack("<2q", -5, 0))},
        {"color.npy": npy((2, 2, 2), content=bytes(8)), "labels.npy": npy((1 << 60,), "<i8")},
        {"color.npy": npy((2, 2, 2), content=bytes(8)), "labels.npy": npy((2,), "<f8", bytes(16))},
    ],
)
def test_an_odd_npz(members: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "odd.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(DataError, match=r"odd\.npz"):
        open_dataset(path)
    assert main(["data", "check", str(path)]) == 1
    assert "odd.npz" in capsys.readouterr().out


def test_a_zip_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "odd.npz", color=np.zeros((100, 96, 96, 3), np.uint8))
    assert len(open_dataset(tmp_path / "odd.npz")) == 100
    monkeypatch.setattr("hashigo.data.npz.quarter_of_memory", lambda: 1_000_000)
    with pytest.raises(DataError, match="memory"):
        open_dataset(tmp_path / "odd.npz")


@settings(max_examples=200, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4), st.booleans()
)
def test_any_bytes_of_an_npz_are_read_or_refused(
    tmp_path: Path, changes: list[tuple[float, int]], packed: bool
) -> None:
    file = io.BytesIO()
    save = np.savez_compressed if packed else np.savez
    save(file, color=np.stack([photo("coffee", SIDE, SIDE)] * COUNT), labels=np.arange(COUNT))
    content = bytearray(file.getvalue())
    for place, value in changes:
        content[int(place * len(content))] = value
    (tmp_path / "odd.npz").write_bytes(content)
    is_read_or_refused(tmp_path / "odd.npz")
