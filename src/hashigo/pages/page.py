"""One self-contained page: text, plots, tables and pictures in a single HTML file, for light and dark, wide and narrow
screens, in English and Japanese."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path

from hashigo.errors import RecipeError, did_you_mean
from hashigo.files import atomic_path
from hashigo.image.photo import Photo, encode, read
from hashigo.pages.words import Text, Words, english, escaped, markup

_SWITCH = """<div class=languages role=group aria-label="Language / 言語">\
<button type=button lang=en data-language=en aria-pressed=true>English</button>\
<button type=button lang=ja data-language=ja aria-pressed=false>日本語</button></div>"""

VERDICTS = {
    "holds": ("holds", "✓", Words("holds", "成り立つ")),
    "does not hold": ("fails", "✗", Words("does not hold", "成り立たない")),
    "within noise": ("noise", "≈", Words("within noise", "誤差の範囲")),
}
"""Each verdict's CSS class, symbol and text, so that colour is not the only sign."""


@dataclass(frozen=True)
class Card:
    """A group of small pictures with a line below them.

    title: shown below, as a link if there is a `link` (relative to the page). note: follows it in softer colour. summary and command:
    content that unfolds, if any.
    """

    pictures: Sequence[tuple[Text, Photo | Path]]
    title: Text
    link: str = ""
    note: Text = ""
    summary: Text = ""
    command: str = ""


@dataclass
class Page:
    """A page that is built part by part, then written as one file.

    title: shown at the top and in the browser's tab. Texts are plain and are escaped. If any of them is `Words`, the page
    can switch between English and Japanese: it starts with the language in its address (`#en` or `#ja`), else with the one
    chosen last, else with the browser's; without JavaScript it is in English.
    """

    title: Text
    parts: list[str] = field(default_factory=list)

    def heading(self, text: Text) -> None:
        """A heading."""
        self.parts.append(f"<h2>{markup(text)}</h2>")

    def text(self, text: Text, soft: bool = False) -> None:
        """A paragraph, in softer colour if `soft`."""
        self.parts.append(f"<p{' class=soft' if soft else ''}>{markup(text)}</p>")

    def plot(self, svg: str, caption: Text = "") -> None:
        """A plot from `hashigo.pages.plots`."""
        self.parts.append(_figure(svg, caption))

    def plots(self, plots: Sequence[tuple[Text, str]], caption: Text = "") -> None:
        """Plots (label, SVG), each under its label: side by side on wide screens, one per line on narrow ones."""
        cells = "".join(f"<div><div class=label>{markup(label)}</div>{svg}</div>" for label, svg in plots)
        columns = 2 if len(plots) == 4 else min(3, max(1, len(plots)))
        self.parts.append(_figure(f'<div class=plots style="--n: {columns}">{cells}</div>', caption))

    def row(self, pictures: Sequence[tuple[Text, Photo | Path]], caption: Text = "", pixels: bool = False) -> None:
        """Pictures side by side, each under its label; `pixels` keeps small ones sharp when they are enlarged.

        More than 3 take several lines on a phone, more than 8 everywhere; panels of many small pictures get a line each on a phone.
        """
        photos = [(label, read(picture) if isinstance(picture, Path) else picture) for label, picture in pictures]
        cells = "".join(
            f"<div><div class=label>{markup(label)}</div>{_image(photo, label, pixels)}</div>"
            for label, photo in photos
        )
        count = max(1, len(photos))
        wide = math.ceil(count / math.ceil(count / 8))
        narrow = count if count <= 3 else 2 if count == 4 else 3
        if pixels and any(photo.width >= PANEL for _, photo in photos):
            narrow = 1
        self.parts.append(_figure(f'<div class=row style="--n: {wide}; --few: {narrow}">{cells}</div>', caption))

    def animations(self, files: Sequence[tuple[Text, Path]], caption: Text = "") -> None:
        """Animated WebP files side by side, each under its label, unchanged."""
        cells = ""
        for label, path in files:
            data = base64.b64encode(path.read_bytes()).decode()
            picture = f'<img class=pixels loading=lazy alt="{escaped(english(label))}"{_both(label)} src="data:image/webp;base64,{data}">'
            cells += f"<div><div class=label>{markup(label)}</div>{picture}</div>"
        self.parts.append(_figure(f'<div class=row style="--n: {len(files)}; --few: 1">{cells}</div>', caption))

    def cards(self, cards: Sequence[Card]) -> None:
        """Groups of pictures, as many per line as fit; each picture can be enlarged."""
        self.parts.append(f"<div class=cards>{''.join(map(_card, cards))}</div>")

    def table(self, head: Sequence[Text], rows: Sequence[Sequence[Text]], caption: Text = "") -> None:
        """A table; the first column is text, the others figures. One that is too wide scrolls within its own box."""
        top = "".join(f"<th scope=col>{markup(cell)}</th>" for cell in head)
        body = "".join(f"<tr>{_cells(row)}</tr>" for row in rows)
        table = f"<div class=table tabindex=0><table><tr>{top}</tr>{body}</table></div>"
        self.parts.append(_figure(table, caption))

    def verdict(self, claim: Text, verdict: str, evidence: Text) -> None:
        """A claim with a badge for its verdict, and the evidence.

        verdict: "holds", "does not hold" or "within noise".

        Raises:
            RecipeError: there is no such verdict.
        """
        if verdict not in VERDICTS:
            raise RecipeError(f"verdict {verdict!r}: {did_you_mean(verdict, VERDICTS)}")
        kind, sign, words = VERDICTS[verdict]
        self.parts.append(
            f'<div class="verdict {kind}"><div class=badge><span aria-hidden=true>{sign}</span> {markup(words)}</div>'
            f"<div><p class=claim>{markup(claim)}</p><p class=soft>{markup(evidence)}</p></div></div>"
        )

    def code(self, text: Text) -> None:
        """A command, in a box."""
        self.parts.append(f"<pre class=command><code>{markup(text)}</code></pre>")

    def details(self, summary: Text, text: Text) -> None:
        """Preformatted text that unfolds from its summary."""
        self.parts.append(
            f"<details><summary>{markup(summary)}</summary><pre tabindex=0>{markup(text)}</pre></details>"
        )

    def write(self, path: Path) -> None:
        """Writes the page, whole or not at all."""
        body = f"<h1>{markup(self.title)}</h1>{''.join(self.parts)}"
        # escaped texts contain no tags, so these come from `Words`, in texts or plots
        both = "<span class=ja lang=ja>" in body or '<tspan class="ja" lang="ja">' in body
        style, switch = _beside("page.css"), _SWITCH if both else ""
        script = f"<script>\n{_beside('page.js')}</script>"
        page = (
            f"<!doctype html><html lang=en><head><meta charset=utf-8>"
            f"<title{_both(self.title)}>{escaped(english(self.title))}</title>"
            f'<meta name=viewport content="width=device-width, initial-scale=1"><style>\n{style}</style>{script}</head>'
            f"<body><main>{switch}{body}</main></body></html>\n"
        )
        with atomic_path(path) as temporary:
            temporary.write_text(page, encoding="utf-8")


PANEL = 100
"""From this width, a pixelated picture is treated as a panel of several pictures, which gets a line of its own on a phone."""


@cache
def _beside(name: str) -> str:
    """The text of a file in this module's folder."""
    return files("hashigo.pages").joinpath(name).read_text(encoding="utf-8")


def _figure(content: str, caption: Text) -> str:
    return f"<figure>{content}{f'<figcaption>{markup(caption)}</figcaption>' if caption else ''}</figure>"


def _card(card: Card) -> str:
    cells = "".join(f"<div>{_image(picture, label, False)}</div>" for label, picture in card.pictures)
    title = markup(card.title)
    if card.link:
        title = f'<a href="{escaped(card.link)}">{title}</a>'
    more = ""
    if card.command:
        code = f"<pre class=command><code>{escaped(card.command)}</code></pre>"
        more = f"<details><summary>{markup(card.summary)}</summary>{code}</details>"
    count = max(1, len(card.pictures))
    return (
        f'<figure><div class=row style="--n: {count}; --few: {count}">{cells}</div>'
        f"<figcaption>{title} {markup(card.note)}</figcaption>{more}</figure>"
    )


def _cells(row: Sequence[Text]) -> str:
    return "".join(
        f"<td>{markup(cell)}</td>" if column else f"<th scope=row>{markup(cell)}</th>"
        for column, cell in enumerate(row)
    )


def _both(text: Text) -> str:
    """Both languages as attributes, for places without markup; the page's script inserts the right one."""
    return f' data-en="{escaped(text.en)}" data-ja="{escaped(text.ja)}"' if isinstance(text, Words) else ""


def _image(picture: Photo | Path, label: Text, pixels: bool) -> str:
    photo = read(picture) if isinstance(picture, Path) else picture
    kind = "PNG" if pixels else "JPEG"
    data = base64.b64encode(encode(photo, kind, 88)).decode()
    sharp = " class=pixels" if pixels else ""
    return (
        f'<img{sharp} width={photo.width} height={photo.height} loading=lazy alt="{escaped(english(label))}"{_both(label)} '
        f'src="data:image/{kind.lower()};base64,{data}">'
    )
