"""A film's parts as one file, with sound, subtitles and everything else of the original."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

from hashigo.errors import PictureError, StorageError
from hashigo.files import atomic_path
from hashigo.video.film import Film, program
from hashigo.video.parts import Parts

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""Formats of results, by suffix, with ffmpeg's names; films of other kinds become `.mkv`, which takes any sound and subtitles."""


def result_suffix(suffix: str) -> str:
    """The suffix of the result of a film with `suffix`."""
    return suffix if suffix.lower() in CONTAINERS else ".mkv"


TEXT = {"subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text"}
"""Subtitles that are text, by ffmpeg's names of codecs."""

_IN_MP4 = {"aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "flac", "dts"}
"""Sound that `.mp4` can hold; `.mov` also holds PCM, and `.mkv` nearly everything."""


def stream_options(film: Film, container: str) -> tuple[list[str], list[str]]:
    """ffmpeg's options that keep all sound and subtitles, converted where the container cannot hold them, and notes about what changes or is lost.

    The options are for a second input, the film's file.
    """
    words: list[str] = []
    notes: list[str] = []
    numbers = {"audio": 0, "subtitle": 0}
    places = {"audio": 0, "subtitle": 0}
    for kind, codec in film.streams:
        if kind in numbers:
            option = _sound(codec, container) if kind == "audio" else _subtitles(codec, container)
            letter = kind[0]
            if option:
                words += ["-map", f"1:{letter}:{places[kind]}", f"-c:{letter}:{numbers[kind]}", option]
                numbers[kind] += 1
                if option != "copy":
                    notes.append(f"{codec} {'sound' if kind == 'audio' else 'subtitles'} converted to {option}")
            else:
                notes.append(
                    f"{codec} {'sound' if kind == 'audio' else 'subtitles'} left out: this file cannot store it"
                )
            places[kind] += 1
        elif kind == "attachment" and container == "matroska":
            words += [] if "1:t" in words else ["-map", "1:t", "-c:t", "copy"]
        elif codec not in ("tmcd", "bin_data"):
            notes.append(f"a stream of the kind {kind} ({codec}) was left out")
    return words, list(dict.fromkeys(notes))


def _sound(codec: str, container: str) -> str:
    if codec.startswith("pcm_"):
        if container == "mp4":
            return "alac"
        return "pcm_s24le" if codec in ("pcm_bluray", "pcm_dvd") else "copy"
    return "copy" if container != "mp4" or codec in _IN_MP4 else "aac"


def _subtitles(codec: str, container: str) -> str:
    if container == "matroska":
        return "srt" if codec == "mov_text" else "" if codec.startswith("eia_") else "copy"
    return "copy" if codec == "mov_text" else "mov_text" if codec in TEXT else ""


def join(film: Film, parts: Parts, source: Path, target: Path) -> list[str]:
    """The parts as one film, with everything but the picture of the original.

    Raises:
        StorageError: ffmpeg could not write it, or not all of it; the parts stay.
    """
    if not parts.done:
        raise PictureError(f"{source}: expected frames, got none")
    lines = ["ffconcat version 1.0"]
    for number, part in enumerate(parts.done):
        length = Fraction(str(part["end"])) - Fraction(str(part["start"]))
        lines += [f"file {number:05d}.mp4", f"duration {float(length):.6f}"]
    (parts.folder / "parts.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    offset = float(Fraction(str(parts.done[0]["start"])))
    container = CONTAINERS[target.suffix.lower()]
    streams, notes = stream_options(film, container)
    flags = [] if container == "matroska" else ["-movflags", "+faststart+use_metadata_tags"]
    with atomic_path(target) as temporary:
        # in the parts' folder, because ffmpeg takes the list's own path for an address in which ? and # mean something
        command = [
            program("ffmpeg"), "-hide_banner", "-nostdin", "-nostats", "-v", "error", "-y", "-itsoffset", f"{offset:.6f}", "-f", "concat", "-i", "parts.txt",
            "-copyts", "-i", f"file:{source.absolute()}", "-map", "0:v", "-c:v", "copy", *streams, "-map_metadata", "1", "-map_chapters", "1",
            "-map_metadata:s:v:0", "1:s:v:0", *flags, "-avoid_negative_ts", "disabled", "-f", container, f"file:{temporary.absolute()}",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, cwd=parts.folder, check=False)
        said = done.stderr.decode(errors="replace").strip().splitlines()
        if done.returncode:
            raise StorageError(
                f"{target}: ffmpeg could not write the film: {said[-1] if said else 'no reason was given'}"
            )
        _check_whole(temporary, parts.frames, target)
    return notes


def _check_whole(path: Path, frames: int, target: Path) -> None:
    """Raises StorageError where a file does not have as many frames as were made."""
    asked = [
        "-v",
        "error",
        "-select_streams",
        "V:0",
        "-count_packets",
        "-show_entries",
        "stream=nb_read_packets",
        "-of",
        "csv=p=0",
    ]
    command = [program("ffprobe"), *asked, f"file:{path.absolute()}"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    found = done.stdout.strip().strip(",")
    if found != str(frames):
        raise StorageError(
            f"{target}: expected a film of {frames:,} frames from ffmpeg, got {found or 'none'}; the parts stay, run again"
        )
