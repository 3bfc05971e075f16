"""Raw frames with their exact times, as a Matroska stream that `ffmpeg` reads from a pipe (RFC 9559).

A raw pipe would carry no times, so a film whose frames are not evenly spaced would lose step with its sound.
"""

from __future__ import annotations

from typing import BinaryIO

TICK = 1_000
"""Nanoseconds per tick: times are exact to a microsecond."""

_ANY_LENGTH = b"\x01\xff\xff\xff\xff\xff\xff\xff"


def _element(name: str, content: bytes) -> bytes:
    return bytes.fromhex(name) + (len(content) | 1 << 56).to_bytes(8, "big") + content


def _number(name: str, value: int) -> bytes:
    return _element(name, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


class FrameWriter:
    """Writes frames of one size.

    stream: a pipe to ffmpeg. fourcc: of the pixel format as in ffmpeg's rawvideo, such as "I420". size: (height, width). seconds: how long a frame
    is shown, on average.
    """

    def __init__(self, stream: BinaryIO, fourcc: bytes, size: tuple[int, int], seconds: float) -> None:
        self._stream = stream
        height, width = size
        head = _element("1a45dfa3", _element("4282", b"matroska") + _number("4287", 4) + _number("4285", 2))
        video = _number("b0", width) + _number("ba", height) + _element("2eb524", fourcc)
        track = (
            _number("d7", 1) + _number("73c5", 1) + _number("83", 1) + _number("9c", 0) + _number("23e383", round(seconds * 1e9)) + _element("86", b"V_UNCOMPRESSED") + _element("e0", video)
        )  # fmt: skip
        info = _element("1549a966", _number("2ad7b1", TICK))
        stream.write(
            head + bytes.fromhex("18538067") + _ANY_LENGTH + info + _element("1654ae6b", _element("ae", track))
        )

    def write(self, seconds: float, planes: list[bytes]) -> None:
        """Writes a frame, shown from this time."""
        size = sum(map(len, planes)) + 4
        block = bytes.fromhex("a3") + (size | 1 << 56).to_bytes(8, "big") + b"\x81\x00\x00\x80"
        time = _number("e7", round(seconds * 1e9 / TICK))
        head = bytes.fromhex("1f43b675") + (len(time) + len(block) + size - 4 | 1 << 56).to_bytes(8, "big")
        self._stream.write(head + time + block)
        for plane in planes:
            self._stream.write(plane)
