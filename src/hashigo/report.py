"""One self-contained page: text, plots and pictures in a single HTML file, for light and dark, wide and narrow screens."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hashigo.files import atomic_path
from hashigo.image import Photo, encode, read

_STYLE = """
:root { color-scheme: light dark; --paper: #fdfcf9; --ink: #22252a; --soft: #5d6670; --line: #d9d6cd; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181c; --ink: #e6e4de; --soft: #9aa3ad; --line: #33373e; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, "Hiragino Sans", "Noto Sans CJK JP", sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; } h2 { font-size: 1.3rem; margin: 2.4rem 0 .6rem; }
p { max-width: 44rem; } .soft, figcaption { color: var(--soft); font-size: .9rem; }
figure { margin: 1.2rem 0; } figure .row { display: flex; gap: .5rem; }
figure .row > div { flex: 1 1 0; min-width: 0; } figure img { width: 100%; height: auto; display: block; border-radius: 4px; }
figure .label { font-size: .8rem; color: var(--soft); } figcaption { margin-top: .3rem; }
img.pixels { image-rendering: pixelated; } svg { width: 100%; max-width: 44rem; height: auto; }
.table { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); text-align: right; } th:first-child, td:first-child { text-align: left; }
code { font-size: .9em; }
"""


@dataclass
class Page:
    """A page put together part by part, then written as one file.

    title: shown on top and in the browser's tab. Texts are plain; they are escaped.
    """

    title: str
    parts: list[str] = field(default_factory=list)

    def heading(self, text: str) -> None:
        """A heading."""
        self.parts.append(f"<h2>{html.escape(text)}</h2>")

    def text(self, text: str, soft: bool = False) -> None:
        """A paragraph, in softer ink if `soft`."""
        self.parts.append(f"<p{' class=soft' if soft else ''}>{html.escape(text)}</p>")

    def plot(self, svg: str, caption: str = "") -> None:
        """A plot from `hashigo.plots`."""
        self.parts.append(f"<figure>{svg}<figcaption>{html.escape(caption)}</figcaption></figure>")

    def row(self, pictures: Sequence[tuple[str, Photo | Path]], caption: str = "", pixels: bool = False) -> None:
        """Pictures side by side, each under its label; `pixels` keeps small ones sharp when they are enlarged."""
        cells = "".join(
            f"<div><div class=label>{html.escape(label)}</div>{_image(picture, label, pixels)}</div>"
            for label, picture in pictures
        )
        self.parts.append(
            f"<figure><div class=row>{cells}</div><figcaption>{html.escape(caption)}</figcaption></figure>"
        )

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table; the first column is text, the others figures."""
        top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        self.parts.append(f"<div class=table><table><tr>{top}</tr>{body}</table></div>")

    def write(self, path: Path) -> None:
        """Writes the page, whole or not at all."""
        page = (
            f"<!doctype html><html lang=en><head><meta charset=utf-8><title>{html.escape(self.title)}</title>"
            f'<meta name=viewport content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
            f"<body><main><h1>{html.escape(self.title)}</h1>{''.join(self.parts)}</main></body></html>\n"
        )
        with atomic_path(path) as temporary:
            temporary.write_text(page, encoding="utf-8")


def _image(picture: Photo | Path, label: str, pixels: bool) -> str:
    photo = read(picture) if isinstance(picture, Path) else picture
    kind = "PNG" if pixels else "JPEG"
    data = base64.b64encode(encode(photo, kind, 88)).decode()
    sharp = " class=pixels" if pixels else ""
    return f'<img{sharp} alt="{html.escape(label)}" src="data:image/{kind.lower()};base64,{data}">'
