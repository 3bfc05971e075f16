"""Films: what the file carries is kept, the luma is untouched, colours are steady, and killed runs continue."""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tiny
from hashigo import color
from hashigo.apply.model import Model, load
from hashigo.cli.main import main
from hashigo.errors import MissingExtraError, PictureError, RecipeError
from hashigo.image.photo import read
from hashigo.tasks.hints import Hint, TimedHint
from hashigo.video import parts as parting
from hashigo.video.between import Coloured, KeyFrames, Placed, filled, matched
from hashigo.video.chroma import chroma_planes
from hashigo.video.colorize import colorize_film
from hashigo.video.film import MATRICES, Film, probe
from hashigo.video.frames import read_frames
from hashigo.video.joining import result_suffix
from hashigo.video.steady import Look, Motion, Scenes, State, steadied
from hashigo.video.tracking import tracked
from photos import pixels

pytest.importorskip("cv2")
pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")

SIZE = 64, 96


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load(tiny.model(tmp_path_factory.mktemp("model"), onnx=True), size=32)


def grey(frame: int, size: tuple[int, int] = SIZE, noise: float = 0.0, name: str = "astronaut") -> np.ndarray:
    """A frame of a pan over a photo: uint8 (H, W)."""
    height, width = size
    picture = pixels(name)[60 + frame : 60 + frame + height, 40 + 2 * frame : 40 + 2 * frame + width]
    luma = picture @ np.array([0.299, 0.587, 0.114])
    return np.clip(luma + np.random.default_rng(frame).normal(0, noise or 1e-9, size), 0, 255).round().astype(np.uint8)


def ffmpeg(*words: object, content: bytes = b"") -> bytes:
    command = ["ffmpeg", "-hide_banner", "-nostats", "-v", "error", "-y", *map(str, words)]
    return subprocess.run(command, input=content, capture_output=True, check=True).stdout


def film(
    path: Path,
    *words: str,
    frames: int = 20,
    size: tuple[int, int] = SIZE,
    rate: str = "25",
    before: tuple[str, ...] = (),
) -> Path:
    """A film of a pan. words: ffmpeg's options for the result; before: further inputs."""
    content = b"".join(grey(frame, size).tobytes() for frame in range(frames))
    given = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{size[1]}x{size[0]}", "-r", rate, "-i", "pipe:0"]
    ffmpeg(*given, *before, *(words or ("-pix_fmt", "yuv420p", "-qp", "8")), path, content=content)
    return path


def times(path: Path) -> list[float]:
    asked = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "packet=pts_time", "-of", "csv=p=0"]
    lines = subprocess.run([*asked, str(path)], capture_output=True, text=True, check=True).stdout.split()
    return sorted(float(line.strip(",")) for line in lines)


def streams(path: Path) -> list[str]:
    asked = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_type,codec_name", "-of", "csv=p=0", str(path)]
    return sorted(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split())


def luma(path: Path, kind: str = "yuv420p") -> np.ndarray:
    about = probe(path)
    raw = ffmpeg("-i", path, "-map", "0:v:0", "-f", "rawvideo", "-pix_fmt", kind, "-fps_mode", "passthrough", "pipe:1")
    height, width = about.stored_size
    down, across = about.chroma_size
    frames = np.frombuffer(raw, np.uint16 if "10" in kind else np.uint8).reshape(-1, height * width + 2 * down * across)
    return frames[:, : height * width].reshape(-1, height, width)


# --- what the file carries --------------------------------------------------------------------------


def test_the_luma_the_times_and_the_sound_are_kept(model: Model, tmp_path: Path) -> None:
    tone = ("-f", "lavfi", "-i", "sine=440:duration=1", "-f", "lavfi", "-i", "sine=220:duration=1")
    source = film(
        tmp_path / "a.mp4", "-map", "0", "-map", "1", "-map", "2", "-pix_fmt", "yuv420p", "-c:a", "aac", "-metadata", "title=A film",
        before=tone, rate="24000/1001",
    )  # fmt: skip
    seen: list[int] = []
    report = colorize_film(model, source, tmp_path / "b.mp4", quality=0, progress=seen.append)
    assert report.frames == seen[-1] == 20
    assert report.notes == ()
    assert streams(tmp_path / "b.mp4") == ["aac,audio", "aac,audio", "h264,video"]
    assert np.allclose(times(tmp_path / "b.mp4"), times(source), atol=2e-5)
    assert np.array_equal(luma(tmp_path / "b.mp4"), luma(source))
    assert (
        b"A film"
        in subprocess.run(["ffprobe", "-show_format", tmp_path / "b.mp4"], capture_output=True, check=True).stdout
    )
    assert not list(tmp_path.glob(".*"))


def test_colours_are_those_of_photos(model: Model, tmp_path: Path) -> None:
    source = film(
        tmp_path / "a.mp4", "-pix_fmt", "yuv420p", "-qp", "0", "-colorspace", "bt709", "-color_range", "tv", frames=1
    )
    colorize_film(model, source, tmp_path / "b.mp4", quality=0)
    raw = ffmpeg(
        "-i", tmp_path / "b.mp4", "-vf", "scale=in_color_matrix=bt709", "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"
    )
    film_rgb = np.frombuffer(raw, np.uint8).reshape(*SIZE, 3).transpose(2, 0, 1) / np.float32(255)
    (frame,) = read_frames(probe(source))
    photo = np.asarray(model(frame.luma_8(probe(source)), whole=True), np.float32).transpose(2, 0, 1) / 255
    ours, theirs = color.chroma(film_rgb), color.chroma(photo)
    assert np.abs(ours - theirs).mean() < 0.003  # less than a step of 8-bit chroma
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.85


def test_uneven_times(model: Model, tmp_path: Path) -> None:
    source = film(
        tmp_path / "a.mkv", "-vf", "setpts='(N*N/4+N+7)/25/TB'", "-fps_mode", "passthrough", "-pix_fmt", "yuv420p"
    )
    before = times(source)
    assert len({round(b - a, 3) for a, b in pairwise(before)}) > 5
    colorize_film(model, source, tmp_path / "b.mkv")
    assert np.allclose(times(tmp_path / "b.mkv"), before, atol=0.0011)


@pytest.mark.parametrize(
    ("name", "words", "size"),
    [
        ("odd.mkv", ("-c:v", "ffv1", "-pix_fmt", "yuv420p"), (63, 95)),
        ("silent.avi", ("-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-q:v", "2"), SIZE),
        ("deep.mkv", ("-c:v", "ffv1", "-pix_fmt", "yuv420p10le"), SIZE),
        ("grey.mkv", ("-c:v", "ffv1", "-pix_fmt", "gray"), SIZE),
        ("wide.mkv", ("-c:v", "ffv1", "-pix_fmt", "yuv422p", "-vf", "setsar=4/3"), SIZE),
        ("rgb.mkv", ("-c:v", "ffv1", "-pix_fmt", "bgr0"), SIZE),
        ("grey-deep.mkv", ("-c:v", "ffv1", "-pix_fmt", "gray10le"), SIZE),
        (
            "interlaced.mkv",
            (
                "-c:v",
                "mpeg2video",
                "-vf",
                "setfield=tff",
                "-flags",
                "+ilme+ildct",
                "-top",
                "1",
                "-pix_fmt",
                "yuv420p",
                "-q:v",
                "2",
            ),
            (66, 96),
        ),
        (
            "pal.mkv",
            ("-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv420p", "-color_trc", "gamma28", "-colorspace", "bt470bg"),
            SIZE,
        ),
    ],
)
def test_films_of_many_kinds(
    name: str, words: tuple[str, ...], size: tuple[int, int], model: Model, tmp_path: Path
) -> None:
    source = film(tmp_path / name, *words, frames=6, size=size)
    target = tmp_path / f"result{result_suffix(source.suffix)}"
    report = colorize_film(model, source, target, quality=0)
    before, after = probe(source), probe(target)
    assert (after.height, after.width) == before.stored_size
    assert (after.depth, after.subsampling, after.full_range, after.aspect) == (
        before.depth, before.subsampling, before.full_range, before.aspect,
    )  # fmt: skip
    assert np.allclose(times(target), times(source), atol=0.0011)
    kept = np.stack([frame.luma for frame in read_frames(before)])
    height, width = kept.shape[1:]
    stored = np.stack([frame.luma for frame in read_frames(after)])[:, :height, :width]
    # x264's factor 0 is lossless for 8 bits only
    assert np.abs(stored.astype(int) - kept).max() <= (0 if before.depth == 8 else 8)
    assert len(report.notes) == {"odd.mkv": 1, "silent.avi": 1, "interlaced.mkv": 2}.get(name, 0), report.notes
    if name.startswith("grey"):  # all values, not only 16 to 235
        assert kept.min() / (1 << before.depth) < 0.05


def test_a_film_taken_sideways_is_upright(model: Model, tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", "-pix_fmt", "yuv420p", frames=3)
    ffmpeg("-i", tmp_path / "a.mp4", "-c", "copy", "-metadata:s:v", "rotate=90", tmp_path / "turned.mp4")
    about = probe(tmp_path / "turned.mp4")
    assert (about.height, about.width) == (96, 64)
    colorize_film(model, tmp_path / "turned.mp4", tmp_path / "b.mp4", quality=0)
    assert probe(tmp_path / "b.mp4").height == 96
    assert np.array_equal(luma(tmp_path / "b.mp4"), np.stack([frame.luma for frame in read_frames(about)]))


def test_folders_and_names_with_odd_characters(model: Model, tmp_path: Path) -> None:
    folder = tmp_path / "what? #1: 100%'s"
    folder.mkdir()
    source = film(folder / "a?b#c:d.mp4", frames=3)
    colorize_film(model, source, folder / "r?s#t.mp4")
    assert len(times(folder / "r?s#t.mp4")) == 3


def test_sound_and_subtitles_that_the_file_cannot_hold_are_converted(model: Model, tmp_path: Path) -> None:
    (tmp_path / "s.srt").write_text("1\n00:00:00,000 --> 00:00:00,400\nHello\n")
    more = ("-f", "lavfi", "-i", "sine=440:duration=1", "-i", str(tmp_path / "s.srt"))
    words = (
        "-map",
        "0",
        "-map",
        "1",
        "-map",
        "1",
        "-map",
        "2",
        "-pix_fmt",
        "yuv420p",
        "-c:a:0",
        "pcm_s16le",
        "-c:a:1",
        "aac",
    )
    source = film(tmp_path / "a.mkv", *words, "-c:s", "srt", before=more, frames=10)
    report = colorize_film(model, source, tmp_path / "b.mp4")
    assert streams(tmp_path / "b.mp4") == ["aac,audio", "alac,audio", "h264,video", "mov_text,subtitle"]
    assert len(report.notes) == 2
    assert colorize_film(model, source, tmp_path / "b.mkv").notes == ()
    assert streams(tmp_path / "b.mkv") == ["aac,audio", "h264,video", "pcm_s16le,audio", "subrip,subtitle"]


def test_a_clock_that_jumps_back(model: Model, tmp_path: Path) -> None:
    one = film(tmp_path / "a.ts", "-pix_fmt", "yuv420p", frames=8).read_bytes()
    (tmp_path / "both.ts").write_bytes(one + one)
    report = colorize_film(model, tmp_path / "both.ts", tmp_path / "b.mkv")
    assert report.frames >= 14
    found = times(tmp_path / "b.mkv")
    assert len(found) == report.frames
    assert max(b - a for a, b in pairwise(found)) < 0.1


def test_frames_of_another_size_in_the_middle(model: Model, tmp_path: Path) -> None:
    small = film(tmp_path / "a.ts", "-pix_fmt", "yuv420p", frames=6).read_bytes()
    large = film(tmp_path / "b.ts", "-pix_fmt", "yuv420p", frames=6, size=(96, 128)).read_bytes()
    (tmp_path / "both.ts").write_bytes(small + large)
    whole = [frame.luma for frame in read_frames(probe(tmp_path / "both.ts"))]
    assert {luma.shape for luma in whole} == {SIZE}
    later = [frame.luma for frame in read_frames(probe(tmp_path / "both.ts"), 4)]
    assert len(later) == len(whole) - 4
    assert np.array_equal(np.stack(later), np.stack(whole[4:]))


def test_hints_colour_what_they_are_on(tmp_path: Path) -> None:
    hinted = load("fast", size=64)
    source = film(tmp_path / "a.mp4", "-pix_fmt", "yuv420p", "-qp", "0", frames=12)
    colorize_film(hinted, source, tmp_path / "plain.mp4", quality=0)
    colorize_film(hinted, source, tmp_path / "hinted.mp4", hints=[TimedHint(Hint(48, 30, (1, 0, 0)), 0.2)], quality=0)
    for plain, coloured in zip(
        read_frames(probe(tmp_path / "plain.mp4")), read_frames(probe(tmp_path / "hinted.mp4")), strict=True
    ):
        assert np.array_equal(plain.luma, coloured.luma)
        assert np.abs(plain.chroma.astype(int) - coloured.chroma).max() > 5
    with pytest.raises(RecipeError, match="within 96"):
        colorize_film(hinted, source, tmp_path / "x.mp4", hints=[TimedHint(Hint(480, 30, (1, 0, 0)), 0.2)])
    assert not list(tmp_path.glob(".*"))


def test_what_is_no_film_or_too_bright(model: Model, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no film" * 100)
    with pytest.raises(PictureError, match="expected a film"):
        colorize_film(model, tmp_path / "a.mp4", tmp_path / "b.mp4")
    film(
        tmp_path / "hdr.mkv",
        "-c:v",
        "libx264",
        "-pix_fmt",
        "yuv420p10le",
        "-color_trc",
        "smpte2084",
        "-x264-params",
        "transfer=smpte2084",
        frames=2,
    )
    with pytest.raises(PictureError, match=r"HDR10.*tonemap"):
        colorize_film(model, tmp_path / "hdr.mkv", tmp_path / "b.mkv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "hdr.mkv"]


def test_a_film_that_was_cut_short(model: Model, tmp_path: Path) -> None:
    source = film(tmp_path / "a.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", frames=10)
    content = source.read_bytes()
    source.write_bytes(content[: len(content) // 2])
    report = colorize_film(model, source, tmp_path / "b.mkv")
    assert 2 <= report.frames < 10
    assert len(times(tmp_path / "b.mkv")) == report.frames


# --- parts ------------------------------------------------------------------------------------------


def stop(done: int) -> None:
    """For a run that is stopped after some parts."""
    if done >= 32:
        raise KeyboardInterrupt


def test_a_killed_run_continues_and_gives_the_same(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parting, "PART_SECONDS", 0.5)
    source = film(tmp_path / "a.mp4", frames=70)
    colorize_film(model, source, tmp_path / "whole.mp4")

    with pytest.raises(KeyboardInterrupt):
        colorize_film(model, source, tmp_path / "stopped.mp4", progress=stop)
    assert not (tmp_path / "stopped.mp4").exists()
    done: list[int] = []
    colorize_film(model, source, tmp_path / "stopped.mp4", progress=done.append)
    assert done[0] > 16
    assert (tmp_path / "stopped.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert np.allclose(times(tmp_path / "whole.mp4"), times(source), atol=2e-5)
    assert not list(tmp_path.glob(".*"))


# --- colours ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize(("depth", "full"), [(8, False), (8, True), (10, False)])
def test_chroma_planes_give_the_colours_with_the_films_own_luma(matrix: str, depth: int, full: bool) -> None:
    film = Film(Path("x"), 8, 6, depth, (1, 1), full, matrix)
    luma = np.linspace(60, 200, 48).reshape(6, 8).astype(np.uint8)
    rng = np.random.default_rng(0)
    answer = rng.uniform(-0.08, 0.08, (2, 6, 8)).astype(np.float32)
    cb, cr = (plane.astype(np.float64) for plane in chroma_planes(film, luma, answer))
    step = ((1 << depth) - 1) if full else 224 << (depth - 8)
    cb, cr = ((plane - (1 << (depth - 1))) / step for plane in (cb, cr))
    red, blue = MATRICES[matrix]
    y = luma / 255
    r, b = y + 2 * (1 - red) * cr, y + 2 * (1 - blue) * cb
    g = (y - red * r - blue * b) / (1 - red - blue)
    shown = color.chroma(np.stack([r, g, b]))
    assert np.abs(shown - answer).max() < 0.004


def look(frame: int, output: np.ndarray, motion: Motion, **about: bool) -> Look:
    return Look(motion.reduced(grey(frame, (128, 192))), output.astype(np.float32), **about)


def test_outputs_that_do_not_change_stay(model: Model) -> None:
    motion = Motion()
    looks = [look(frame, np.full((3, 8, 12), 5.0), motion, is_cut=frame == 0) for frame in range(12)]
    for output in steadied(looks[:8], looks[8:], State(), motion):
        assert np.allclose(output, 5, atol=1e-4)


def test_noise_in_outputs_is_averaged_along_motion_on_both_sides() -> None:
    motion, rng = Motion(), np.random.default_rng(0)
    world = rng.normal(0, 1, (3, 40, 60))
    clean = [world[:, frame // 2 : frame // 2 + 16, frame : frame + 24] for frame in range(0, 24, 2)]
    frames = range(0, 192, 16)
    lumas = [motion.reduced(grey(0, (128, 192))[:1].repeat(128, 0)) for _ in frames]
    still = [
        Look(luma, (clean[0] + rng.normal(0, 1, (3, 16, 24))).astype(np.float32), number == 0)
        for number, luma in enumerate(lumas)
    ]
    steady = steadied(still, [], State(), motion)
    noise = [np.std(output - clean[0]) for output in steady]
    assert max(noise) < 0.65  # of 1
    assert noise[6] < 0.4
    assert abs(noise[0] - noise[-1]) < 0.15  # the first frame has those after it


def test_nothing_is_carried_over_a_cut() -> None:
    motion = Motion()
    one, other = np.zeros((2, 8, 12)), np.ones((2, 8, 12))
    looks = [
        look(0, one, motion, is_cut=True),
        look(1, one, motion),
        look(0, other, motion, is_cut=True),
        look(1, other, motion),
    ]
    outputs = steadied(looks, [], State(), motion)
    assert np.allclose(outputs[1], 0, atol=1e-5)
    assert np.allclose(outputs[2], 1, atol=1e-5)


def test_chunks_of_any_length_are_close_to_all_at_once() -> None:
    motion, rng = Motion(), np.random.default_rng(1)
    looks = [look(frame, rng.normal(0, 1, (2, 8, 12)), motion, is_cut=frame == 0) for frame in range(30)]
    whole = steadied(looks, [], State(), motion)
    state = State()
    parts = [
        output
        for start in range(0, 30, 10)
        for output in steadied(looks[start : start + 10], looks[start + 10 : start + 20], state, motion)
    ]
    assert np.abs(np.stack(whole) - np.stack(parts)).mean() < 0.03


def test_scenes_begin_with_cuts_and_not_with_pans() -> None:
    scenes = Scenes()
    begins = [
        scenes.begins(grey(frame, (96, 144), 4, name))
        for name in ("astronaut", "coffee", "chelsea")
        for frame in range(10)
    ]
    assert [number for number, begin in enumerate(begins) if begin] == [0, 10, 20]


def test_hints_follow_what_they_are_on(tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4", "-pix_fmt", "yuv420p", "-qp", "8", frames=16, size=(128, 192))
    hints = tracked(probe(source), [TimedHint(Hint(100, 60, (1, 0, 0)), 0.2)], Motion())
    assert sorted(hints) == list(range(16))
    for frame, (hint,) in hints.items():  # the pan moves by 2 pixels to the right and 1 down in each frame
        assert abs(hint.x - (100 - 2 * (frame - 5))) < 3
        assert abs(hint.y - (60 - (frame - 5))) < 3
    with pytest.raises(RecipeError, match="within 192 × 128"):
        tracked(probe(source), [TimedHint(Hint(500, 60, (1, 0, 0)), 0.2)], Motion())
    with pytest.raises(RecipeError, match="after its end"):
        tracked(probe(source), [TimedHint(Hint(5, 6, (1, 0, 0)), 99)], Motion())


# --- the command ------------------------------------------------------------------------------------


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    name = str(tiny.model(tmp_path / "model", onnx=True))
    album = tmp_path / "album"
    album.mkdir()
    source = film(album / "a.mp4", frames=5)
    assert main(["apply", name, str(source)]) == 0
    assert "1 done" in capsys.readouterr().err
    assert len(times(album / "a.color.mp4")) == 5
    assert main(["apply", name, str(source)]) == 0
    assert "1 skipped (up to date)" in capsys.readouterr().err
    assert main(["apply", name, str(source), "--hint", "5,5,#ff0000"]) == 2
    assert "@12.5" in capsys.readouterr().err
    (tmp_path / "bad.mp4").write_bytes(b"x" * 1000)
    assert main(["apply", name, str(tmp_path / "bad.mp4"), str(source), "-o", str(tmp_path / "out")]) == 1
    assert "1 done, 1 failed" in capsys.readouterr().err
    assert "bad.mp4" in (tmp_path / "out" / "failures.jsonl").read_text()
    tiny.album(album, 2, 32)
    assert main(["apply", name, str(album), "-o", str(tmp_path / "out")]) == 0
    assert "2 .mp4 (name films" in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["apply", name, str(source), "-o", str(tmp_path / "c.mp4")]) == 2
    assert "apt install ffmpeg" in capsys.readouterr().err
    with pytest.raises(MissingExtraError, match="brew install ffmpeg"):
        probe(source)


def test_films_that_would_replace_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = str(tiny.model(tmp_path / "model", onnx=True))
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        film(tmp_path / folder / "a.mp4", frames=3 if folder == "one" else 4)
    films = [str(tmp_path / folder / "a.mp4") for folder in ("one", "two")]
    assert main(["apply", name, *films, "-o", str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.color.mp4", "a.mp4.color.mp4"]
    own = film(tmp_path / "one" / "a.color.mp4", frames=2).read_bytes()
    assert main(["apply", name, films[0]]) == 0
    assert "no record of how they were made" in capsys.readouterr().err
    assert (tmp_path / "one" / "a.color.mp4").read_bytes() == own
    assert main(["apply", name, films[0], "-o", str(tmp_path / "out" / "a.color.mp4"), "--existing", "error"]) == 2
    assert main(["apply", name, films[0], str(tmp_path / "one" / "a.color.mp4"), "--existing", "overwrite"]) == 0
    assert (tmp_path / "one" / "a.color.mp4").read_bytes() == own  # an input


def test_frames_keep_what_they_should_and_may_differ_in_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = str(tiny.model(tmp_path / "model", onnx=True))
    folder, out = tmp_path / "frames", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    for number in range(6):
        Image.fromarray(grey(number, (64, 96 + (number == 3)))).save(folder / f"{number}.png")
    (out / "4.color.png").write_bytes(b"mine")
    assert main(["apply", name, str(folder), "-o", str(out), "--frames", "--existing", "skip"]) == 0
    assert "5 done, 1 skipped (there already)" in capsys.readouterr().err
    assert (out / "4.color.png").read_bytes() == b"mine"


def test_a_folder_of_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = str(tiny.model(tmp_path / "model", onnx=True))
    folder, out = tmp_path / "frames", tmp_path / "out"
    folder.mkdir()
    ffmpeg("-i", film(tmp_path / "a.mp4", frames=40), folder / "f%d.png")
    (folder / "f7.png").write_bytes(b"broken")
    command = ["apply", name, str(folder), "-o", str(out), "--frames"]
    assert main(command) == 1
    assert "39 done, 1 failed" in capsys.readouterr().err
    first = {path.name: path.read_bytes() for path in out.glob("*.png")}
    assert len(first) == 39
    assert np.array_equal(read(out / "f1.color.png").size, SIZE)
    (folder / "f7.png").write_bytes((folder / "f8.png").read_bytes())
    assert main(command) == 0
    assert main(command) == 0
    assert "40 skipped (up to date)" in capsys.readouterr().err
    assert len(list(out.glob("*.png"))) == 40


def test_times_are_fractions(tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4", frames=4, rate="30000/1001")
    assert [frame.time for frame in read_frames(probe(source))] == [
        Fraction(1001 * number, 30000) for number in range(4)
    ]
    assert [frame.time for frame in read_frames(probe(source), 2)] == [
        Fraction(1001 * number, 30000) for number in (2, 3)
    ]


# --- key frames, and the frames between them ---------------------------------------------------------


def test_key_frames_are_those_that_the_ones_before_do_not_show() -> None:
    motion = Motion()
    chosen, number = [], 0
    keys, scenes = KeyFrames(), Scenes()
    for name, frames in (("astronaut", 10), ("coffee", 6)):
        for frame in range(frames):
            small = motion.reduced(grey(frame, (96, 144), 2, name))
            hints = ["red"] if name == "astronaut" and frame >= 6 else []
            if keys.choose(small, motion, is_cut=scenes.begins(small), hints=hints) is None:
                chosen.append(number)
            number += 1
    assert chosen == [0, 4, 6, 10, 14]  # every fourth, where hints begin, and the other scene
    keys = KeyFrames()
    picture = motion.reduced(grey(0, (96, 144)))
    assert keys.choose(picture, motion, is_cut=True) is None
    covered = picture.copy()
    covered[20:70, 30:110] = 255 - covered[20:70, 30:110]
    assert keys.choose(picture, motion, is_cut=False) is not None
    assert keys.choose(covered, motion, is_cut=False) is None


def test_fine_stripes_make_no_key_frames() -> None:
    """Moved by half a period, they differ at each pixel, but show the same."""
    motion, keys = Motion(), KeyFrames()
    columns = np.arange(144)
    for frame in range(4):
        bright = (columns // 2 + frame) % 2
        luma = np.broadcast_to((80 + 80 * bright).astype(np.uint8), (96, 144)).copy()
        assert (keys.choose(luma, motion, is_cut=frame == 0) is None) == (frame == 0)


def test_outputs_of_any_number_of_channels_are_carried() -> None:
    motion = Motion()
    flow = np.zeros((32, 48, 2), np.float32)
    for channels in (2, 118, 128, 129, 300):
        values = np.random.default_rng(0).normal(size=(8, 12, channels)).astype(np.float32)
        carried, seen = motion.carried(values, flow)
        assert np.array_equal(carried, values)
        assert seen.all()


def test_a_chunk_that_fails_ends_the_film_and_the_rest_can_be_made_later(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parting, "PART_SECONDS", 0.5)
    source = film(tmp_path / "a.mp4", frames=70)
    colorize_film(model, source, tmp_path / "whole.mp4")
    calls = 0

    def steadied_until(*args: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise MemoryError("no room")
        return steadied(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr("hashigo.video.colorize.steadied", steadied_until)
        with pytest.raises(MemoryError):
            colorize_film(model, source, tmp_path / "b.mp4")
    assert calls == 3
    colorize_film(model, source, tmp_path / "b.mp4")
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def test_parts_of_another_version_are_made_again(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parting, "PART_SECONDS", 0.5)
    source = film(tmp_path / "a.mp4", frames=60)

    with monkeypatch.context() as patch:
        patch.setattr("hashigo.video.colorize.VERSION", 0)
        with pytest.raises(KeyboardInterrupt):
            colorize_film(model, source, tmp_path / "b.mp4", progress=stop)
    done: list[int] = []
    colorize_film(model, source, tmp_path / "b.mp4", progress=done.append)
    assert done[0] <= 16


def test_frames_between_have_the_colours_of_what_they_show() -> None:
    """The chroma of a photo that moves: what is between two frames of it is known."""
    motion = Motion()
    photo = pixels("astronaut").astype(np.float32).transpose(2, 0, 1) / 255
    frames = [photo[:, 40 + 3 * t : 168 + 3 * t, 60 + 5 * t : 252 + 5 * t] for t in range(5)]
    lumas = [motion.reduced(np.rint(255 * color.luma(frame)[0]).astype(np.uint8)) for frame in frames]
    chroma = [color.chroma(frame).astype(np.float32) for frame in frames]
    before, after = Coloured(lumas[0], chroma[0], 0), Coloured(lumas[4], chroma[4], 4)
    standing = np.abs(chroma[0] - chroma[2]).mean()
    for known, allowed in ((after, 0.25), (None, 0.4)):
        match = matched(lumas[2], before.luma, motion)
        answer = filled(Placed(2, lumas[2], False, match), match, before, known, motion)
        assert np.abs(answer - chroma[2]).mean() < allowed * standing


def test_what_only_one_key_frame_shows_gets_its_colours() -> None:
    """A square goes away at once: where it was, the key frame before says nothing of the ground."""
    motion = Motion()
    ground = motion.reduced(grey(0, (128, 192)))
    square = ground.copy()
    square[40:80, 60:120] = np.where(ground[40:80, 60:120] > 128, 0, 255)
    red, green = np.zeros((2, 32, 48), np.float32), np.zeros((2, 32, 48), np.float32)
    red[1, 10:20, 15:30] = 0.3
    match = matched(ground, square, motion)
    frame = Placed(1, ground, False, match)
    answer = filled(frame, match, Coloured(square, red, 0), Coloured(ground, green, 4), motion)
    assert np.abs(answer[1, 12:18, 17:28]).max() < 0.1
