"""What a photo carries is kept, applied, or reported: IPTC, EXIF up to 64 kB, gamma, primaries, 16 bits, pages, resolution."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, IptcImagePlugin
from skimage import data

from hashigo.image.encode import DEEP, HOLDS, OPAQUE, PAGED
from hashigo.image.formats import FORMATS, READ_ONLY
from hashigo.image.photo import Photo, encode, losses, read, write
from picture_files import DISPLAY_P3, chunk, encoded, icc_gamma, icc_profile, icc_rgb, png, tiff

CASES = Path(__file__).parents[1].parent / "shared" / "cases"
SMALL = np.ascontiguousarray(data.astronaut()[:80:4, :120:4])
GREY = SMALL[..., 1]
IPTC = b"\x1c\x02\x78\x00\x10Grandma in 1936!" + b"\x1c\x02\x50\x00\x02Me"
EXIF = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x0e\x01\x02\0\x06\0\0\0\x1a\0\0\0\0\0\0\0hello\0"
META = {"exif": EXIF, "iptc": IPTC, "xmp": b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>", "dpi": (300.0, 300.0), "comment": b"hi", "text": {"Title": "夏"}}  # fmt: skip


# --- every format -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
def test_what_a_format_holds_comes_back_and_the_rest_is_reported(kind: str) -> None:
    again = read(encode(Photo(SMALL, metadata=META), kind)).metadata
    said = losses(Photo(SMALL, metadata=META), kind)
    names = {"exif": "EXIF", "iptc": "IPTC", "xmp": "XMP", "dpi": "resolution", "comment": "comment", "text": "text"}
    for key, name in names.items():
        if key in HOLDS[kind]:
            assert name not in said
            if key == "exif":
                assert b"hello" in again["exif"]
            elif key == "dpi":
                assert _resolution(again) == pytest.approx((300, 300), abs=0.02)
            else:
                assert again[key] == META[key]
        else:
            assert name in said
            assert key not in again or (key == "exif" and b"hello" not in again["exif"])


def _resolution(metadata: dict[str, object]) -> tuple[float, float]:
    if "dpi" in metadata:
        return metadata["dpi"]  # type: ignore[return-value]
    exif = Image.Exif()
    exif.load(metadata["exif"])  # type: ignore[arg-type]
    return float(exif[ExifTags.Base.XResolution]), float(exif[ExifTags.Base.YResolution])


def test_the_list_in_the_docs_is_true() -> None:
    """docs/formats.md has a row per format that is written; ● where a thing is kept."""
    text = (Path(__file__).parents[1] / "docs" / "formats.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip()[1:-1].split("|")] for line in text.splitlines() if line.startswith("|")
    ]
    header, table = rows[0], {row[0]: row for row in rows[2:] if row[0] in FORMATS}
    assert set(table) == set(FORMATS)
    for kind, row in table.items():
        cells = dict(zip(header, row, strict=True))
        expected = {
            "EXIF": "exif" in HOLDS[kind], "IPTC": "iptc" in HOLDS[kind], "XMP": "xmp" in HOLDS[kind],
            "Resolution": "dpi" in HOLDS[kind], "Comment": "comment" in HOLDS[kind], "Texts": "text" in HOLDS[kind],
            "16 bits": kind in DEEP, "Transparency": kind not in OPAQUE, "Pages": kind in PAGED,
        }  # fmt: skip
        assert {name: cells[name] == "●" for name in expected} == expected, kind
        assert cells["Endings"].split() == list(FORMATS[kind])
    for kind, suffixes in READ_ONLY.items():
        assert all(f"`{suffix}`" in text for suffix in suffixes), kind


# --- metadata ---------------------------------------------------------------------------------------------


def test_iptc_travels_between_jpeg_and_tiff() -> None:
    tiff = read(encode(Photo(SMALL, metadata={"iptc": IPTC}), "TIFF"))
    with Image.open(io.BytesIO(encode(tiff, "JPEG"))) as opened:
        fields = IptcImagePlugin.getiptcinfo(opened)
    assert fields is not None
    assert fields[(2, 120)] == b"Grandma in 1936!"


@pytest.mark.filterwarnings("ignore:Metadata Warning")  # Pillow's; the command line silences it
@pytest.mark.parametrize("order", "<>")
def test_iptc_that_a_tiff_keeps_as_long_numbers(order: str) -> None:
    padded = IPTC + bytes(-len(IPTC) % 4)
    source = tiff(SMALL.astype(np.uint16), bits=16, order=order, extra={33723: ("I", len(padded) // 4, padded)})
    assert read(source).metadata["iptc"] == IPTC


@pytest.mark.parametrize("size", [60_000, 65_000, 65_500])
def test_exif_of_nearly_64_kb(size: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "x" * (size - 60)
    source = encoded(Image.fromarray(SMALL), "JPEG", exif=exif.tobytes())
    photo = read(source)
    assert losses(photo, "JPEG") == ""
    assert read(encode(photo, "JPEG")).metadata["exif"].count(b"x") >= size - 60


def test_metadata_over_64_kb_is_reported() -> None:
    photo = Photo(SMALL, metadata={"xmp": b"x" * 70_000, "iptc": b"x" * 70_000})
    assert losses(photo, "JPEG") == "JPEG cannot keep: IPTC (over 64 kB), XMP (over 64 kB)"
    assert losses(photo, "TIFF") == ""


@pytest.mark.skipif(not CASES.is_dir(), reason="the shared cases are not here")
def test_cases_of_metadata() -> None:
    photo = read(CASES / "01-iptc-lost" / "all.jpg")
    assert set(photo.metadata) >= {"exif", "iptc", "xmp", "dpi", "comment"}
    assert read(encode(photo, "JPEG")).metadata["iptc"] == photo.metadata["iptc"]
    big = read(CASES / "16-exif-near-64k" / "bigexif2.jpg")
    assert losses(big, "JPEG") == ""
    assert len(read(encode(big, "JPEG")).metadata["exif"]) > 65_000


# --- depth ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", DEEP)
@pytest.mark.parametrize("shape", [(70, 31), (70, 31, 3)])
@pytest.mark.parametrize("alpha", [False, True])
def test_16_bits_are_written(kind: str, shape: tuple[int, ...], alpha: bool) -> None:
    values = np.random.default_rng(1).integers(0, 65536, shape, dtype=np.uint16)
    mask = np.random.default_rng(2).integers(0, 256, shape[:2], dtype=np.uint8) if alpha else None
    photo = Photo(values, alpha=mask, metadata=META)
    with Image.open(io.BytesIO(encode(photo, kind))) as opened:  # Pillow reads it as well
        opened.load()
    again = read(encode(photo, kind))
    expected = np.dstack([values] * 3) if alpha and len(shape) == 2 else values  # few programs read grey with alpha
    np.testing.assert_array_equal(again.pixels, expected)
    if mask is not None:
        np.testing.assert_array_equal(again.alpha, mask)
    assert b"hello" in again.metadata["exif"]
    assert again.metadata["xmp"] == META["xmp"]
    assert again.metadata["dpi"] == pytest.approx((300, 300), abs=0.02)


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind not in DEEP])
def test_other_formats_say_that_they_keep_8_bits(kind: str) -> None:
    photo = Photo(np.full((4, 6), 40_000, np.uint16))
    assert losses(photo, kind) == f"{kind} cannot keep: 16 bits per channel"
    assert abs(int(read(encode(photo, kind)).pixels.mean()) - 156) <= 1


# --- colours that a file states ------------------------------------------------------------------------------


def _srgb(linear: np.ndarray) -> np.ndarray:
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _gama(gamma: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("colour", [False, True])
def test_png_gamma_is_applied(dtype: type, colour: bool) -> None:
    top = np.iinfo(dtype).max
    values = np.linspace(0, top, 256).astype(dtype)[None].repeat(2, 0)
    values = np.dstack([values] * 3) if colour else values
    photo = read(png(values, _gama(1.0)))
    np.testing.assert_allclose(photo.pixels, _srgb(values / top) * top, atol=0.51)
    assert photo.pixels.dtype == dtype


def test_png_of_sRGB_is_left_alone() -> None:
    for chunks in ([_gama(1 / 2.2)], [_gama(0.45)], [chunk(b"sRGB", b"\0"), _gama(1.0)], [_gama(0.0)]):
        np.testing.assert_array_equal(read(png(SMALL, *chunks)).pixels, SMALL)


def test_png_primaries_are_applied() -> None:
    """Adobe RGB's by Lindbloom: its green is outside sRGB, its neutral stays."""
    points = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
    chrm = chunk(b"cHRM", struct.pack(">8I", *(round(point * 100_000) for point in points)))
    values = np.array([[[0, 200, 0], [128, 128, 128], [200, 100, 100]]], np.uint8)
    turned = read(png(values, _gama(1 / 2.2), chrm)).pixels[0].astype(int)
    assert np.abs(turned[1] - 128).max() <= 1
    assert turned[0, 0] == 0
    assert abs(turned[0, 1] - 200) <= 1
    assert np.abs(turned[2] - [227, 100, 99]).max() <= 2  # the red goes up: it is far more saturated in Adobe RGB


@pytest.mark.parametrize("chunks", [[chunk(b"cHRM", bytes(32)), _gama(1 / 2.2)], [chunk(b"cHRM", b"\xff" * 32)]])
def test_png_primaries_that_make_no_sense(chunks: list[bytes]) -> None:
    np.testing.assert_array_equal(read(png(SMALL, *chunks)).pixels, SMALL)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_linear_tiff_by_its_transfer_function(dtype: type) -> None:
    top = int(np.iinfo(dtype).max)
    table = tuple(int(value) for value in np.linspace(0, 65535, top + 1))
    values = np.linspace(0, top, 256).astype(dtype)[None]
    source = encoded(Image.fromarray(values), "TIFF", tiffinfo={301: table})
    np.testing.assert_allclose(read(source).pixels, _srgb(values / top) * top, atol=0.51)


def test_exif_gamma_is_applied() -> None:
    exif = Image.Exif()
    exif[int(ExifTags.IFD.Exif)] = {int(ExifTags.Base.Gamma): 1.0}
    values = np.linspace(0, 255, 256).astype(np.uint8)[None]
    source = encoded(Image.fromarray(values), "WEBP", exif=exif.tobytes(), lossless=True)
    np.testing.assert_allclose(read(source).pixels[..., 1], _srgb(values / 255) * 255, atol=0.51)


@pytest.mark.skipif(not CASES.is_dir(), reason="the shared cases are not here")
def test_case_of_a_linear_png() -> None:
    path = CASES / "09-png-gamma-dropped" / "linear.png"
    with Image.open(path) as opened:
        stored = np.asarray(opened.convert("L"))
    photo = read(path)
    assert photo.pixels.mean() > stored.mean() + 20
    assert "gamma" not in Image.open(io.BytesIO(encode(photo, "PNG"))).info  # sRGB now


def test_16_bits_with_a_profile_agree_with_8() -> None:
    profile = icc_rgb(DISPLAY_P3)
    deep = read(png(SMALL.astype(np.uint16) * 257, _iccp(profile)))
    shallow = read(encoded(Image.fromarray(SMALL), "PNG", icc_profile=profile))
    assert deep.is_deep
    assert np.abs(deep.pixels / 257 - shallow.pixels).max() < 2.5
    assert np.abs(deep.pixels / 257 - shallow.pixels).mean() < 0.5


def test_16_bit_grey_with_a_grey_profile() -> None:
    profile = icc_profile(b"GRAY", {b"kTRC": icc_gamma(1.0)})
    values = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    photo = read(png(values, _iccp(profile)))
    np.testing.assert_allclose(photo.pixels, _srgb(values / 65535) * 65535, atol=0.51)
    assert len(np.unique(photo.pixels)) == 4096  # every level is still one of its own


def test_16_bits_with_a_broken_profile() -> None:
    photo = read(png(np.full((4, 6, 3), 9_999, np.uint16), _iccp(b"nonsense" * 40)))
    assert photo.pixels.max() == 9_999
    assert "colour profile ignored" in photo.warnings[0]


def _iccp(profile: bytes) -> bytes:
    import zlib

    return chunk(b"iCCP", b"x\0\0" + zlib.compress(profile))


# --- pages ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PAGED)
def test_all_pages_are_read_and_written(kind: str) -> None:
    frames = [Image.fromarray(np.full((20, 30, 3), level, np.uint8)) for level in (200, 100, 30)]
    source = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=[100, 200, 300])
    photo = read(source, pages="all")
    assert len(photo.further) == 2
    again = read(encode(photo, kind), pages="all")
    assert [round(int(page.pixels.mean()), -1) for page in (again, *again.further)] == [200, 100, 30]
    if kind not in ("TIFF", "AVIF"):
        assert again.metadata["duration"] == [100, 200, 300]
    assert losses(photo, "JPEG") == "JPEG cannot keep: 2 further pages"


def test_all_pages_of_a_tiff_of_16_bits() -> None:
    pages = [Image.fromarray(np.full((20, 30), level, np.uint16)) for level in (50_000, 9)]
    photo = read(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]), pages="all")
    assert [int(page.pixels[0, 0]) for page in (photo, *photo.further)] == [50_000, 9]
    assert "16 bits per channel of several pages" in losses(photo, "TIFF")
    assert len(read(encode(photo, "TIFF"), pages="all").further) == 1


def test_pages_together_have_a_limit() -> None:
    frames = [Image.fromarray(np.full((20, 30, 3), level, np.uint8)) for level in (200, 100, 30)]
    source = encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match="max-megapixels"):
        read(source, pages="all", max_pixels=1_500)


# --- formats that are only read ----------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "suffix"), [("JPEG2000", ".jp2"), ("PPM", ".ppm"), ("TGA", ".tga"), ("MPO", ".mpo")])
def test_other_formats_are_read(kind: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    if kind == "JPEG2000":
        Image.fromarray(SMALL).save(path, kind, irreversible=False)
    elif kind == "MPO":
        Image.fromarray(SMALL).save(path, kind, save_all=True, append_images=[Image.fromarray(SMALL // 2)], quality=95)
    else:
        Image.fromarray(SMALL).save(path, kind)
    photo = read(path)
    assert np.abs(photo.pixels.astype(int) - SMALL).mean() < (4 if kind == "MPO" else 0.01)
    if kind == "MPO":
        assert "2 pictures" in photo.warnings[0]


@pytest.mark.parametrize("suffix", [".pgm", ".pbm"])
def test_pnm(suffix: str, tmp_path: Path) -> None:
    image = Image.fromarray(GREY) if suffix == ".pgm" else Image.fromarray(GREY).convert("1")
    image.save(tmp_path / f"x{suffix}", "PPM")
    assert read(tmp_path / f"x{suffix}").is_grey


def test_heic(tmp_path: Path) -> None:
    heif = pytest.importorskip("pi_heif")
    assert heif
    path = Path(__file__).parent / "files" / "small.heic"
    photo = read(path)
    assert photo.format == "HEIF"
    assert photo.size == (64, 96)
    write(photo, tmp_path / "x.jpg")


def test_heic_without_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pi_heif.as_plugin", None)
    with pytest.raises(ValueError, match=r"pip install 'hashigo\[heic\]'"):
        read(Path(__file__).parent / "files" / "small.heic")
