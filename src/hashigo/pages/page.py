"""One self-contained page: text, plots, tables and pictures in a single HTML file, for light and dark, wide and narrow
screens, in English and Japanese."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hashigo.errors import RecipeError, did_you_mean
from hashigo.files import atomic_path
from hashigo.image.photo import Photo, encode, read
from hashigo.pages.words import Text, Words, english, markup

_STYLE = """
:root { color-scheme: light dark; --paper: #fdfcf9; --ink: #22252a; --soft: #5d6670; --line: #d9d6cd; --box: #f3f1ea;
  --yes: #176b38; --yes-box: #dff1e5; --no: #a3261c; --no-box: #fae3e0; --maybe: #6b5200; --maybe-box: #f5eac8; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181c; --ink: #e6e4de; --soft: #9aa3ad; --line: #33373e; --box: #1f2228;
  --yes: #83dca2; --yes-box: #16351f; --no: #ffa198; --no-box: #451b19; --maybe: #e9ca72; --maybe-box: #393012; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: break-word; line-break: strict;
  font: 16px/1.55 system-ui, "Hiragino Sans", "Noto Sans CJK JP", "Noto Sans JP", "Yu Gothic", sans-serif; }
html[lang=ja] .en, html:not([lang=ja]) .ja { display: none; } :lang(ja) { word-break: auto-phrase; }
main { max-width: 62rem; margin: 0 auto; padding: 1rem 1rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: .5rem 0 .3rem; } h2 { font-size: 1.3rem; line-height: 1.35; margin: 2.4rem 0 .6rem; }
h1, h2 { text-wrap: balance; }
p { max-width: 44rem; } .soft, figcaption, .label { color: var(--soft); font-size: .9rem; } .label { font-size: .8rem; line-height: 1.35; }
figure { margin: 1.2rem 0; } figcaption { margin-top: .4rem; max-width: 44rem; }
svg { display: block; width: 100%; height: auto; max-width: 34rem; }
.plots { display: grid; gap: 1.2rem; grid-template-columns:
  repeat(auto-fit, minmax(min(100%, max(17rem, (100% - (var(--n) - 1) * 1.2rem) / var(--n))), 1fr)); }
.row { display: grid; gap: .5rem; align-items: end; grid-template-columns: repeat(var(--few), minmax(0, 1fr)); max-width: calc(var(--n) * 24rem); }
@media (min-width: 40rem) { .row { grid-template-columns: repeat(var(--n), minmax(0, 1fr)); } }
.row img { width: 100%; height: auto; display: block; border-radius: 4px; } img.pixels { image-rendering: pixelated; }
.table, pre { overflow-x: auto; } .table { background: /* a shade at the right edge while there is more */
  linear-gradient(to left, var(--paper) 40%, transparent) right / 3rem 100% no-repeat local,
  linear-gradient(to left, var(--line), transparent) right / .9rem 100% no-repeat scroll; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; vertical-align: baseline; }
th { font-weight: 600; white-space: normal; min-width: 4.5em; vertical-align: bottom; } td:last-child, th:last-child { padding-right: 0; }
th:first-child { text-align: left; min-width: 10em; max-width: 20em; } th[scope=row] { font-weight: 400; vertical-align: baseline; }
.verdict { display: grid; grid-template-columns: 12rem minmax(0, 1fr); gap: .3rem 1rem; align-items: start; margin: .8rem 0; padding: .8rem 1rem;
  max-width: 56rem; background: var(--box); border-left: 4px solid var(--of); border-radius: 0 6px 6px 0; }
.verdict p { margin: 0; } .verdict .soft { margin-top: .2rem; } .claim { font-weight: 600; }
.badge { justify-self: start; padding: .1rem .7rem; border-radius: 1rem; font-weight: 600; color: var(--of); background: var(--of-box); white-space: nowrap; }
.holds { --of: var(--yes); --of-box: var(--yes-box); } .fails { --of: var(--no); --of-box: var(--no-box); }
.noise { --of: var(--maybe); --of-box: var(--maybe-box); }
@media (max-width: 40rem) { .verdict { grid-template-columns: minmax(0, 1fr); } }
code, pre { font: .86rem/1.5 ui-monospace, "Cascadia Mono", Menlo, Consolas, "Noto Sans Mono", monospace; }
pre { margin: .8rem 0; padding: .6rem .9rem; background: var(--box); border: 1px solid var(--line); border-radius: 6px; word-break: normal; }
.command { white-space: pre-wrap; overflow-wrap: anywhere; } summary { cursor: pointer; color: var(--soft); } details { margin: .8rem 0; }
.languages { display: none; justify-content: flex-end; gap: .3rem; } .scripted .languages { display: flex; }
.languages button { font: inherit; font-size: .85rem; padding: .2rem .8rem; color: var(--soft); background: none; border: 1px solid var(--line); border-radius: 1rem; cursor: pointer; }
.languages button[aria-pressed=true] { color: var(--paper); background: var(--ink); border-color: var(--ink); }
@media print { .languages { display: none !important; } figure, .verdict { break-inside: avoid; } }
"""

_SWITCH = """<div class=languages role=group aria-label="Language / 言語">\
<button type=button lang=en data-language=en aria-pressed=true>English</button>\
<button type=button lang=ja data-language=ja aria-pressed=false>日本語</button></div>"""

_SCRIPT = """
(function () {
  var root = document.documentElement, key = "hashigo-language", known = /^(en|ja)$/;
  function wanted() {
    var hash = location.hash.slice(1), stored = null;
    try { stored = localStorage.getItem(key); } catch (error) { /* no storage here: the browser's language decides */ }
    if (known.test(hash)) return hash;
    return known.test(stored) ? stored : /^ja/i.test(navigator.language || "") ? "ja" : "en";
  }
  function show(language) {
    root.lang = language;
    document.querySelectorAll("title[data-ja]").forEach(function (title) { title.textContent = title.dataset[language]; });
    document.querySelectorAll("img[data-ja]").forEach(function (img) { img.alt = img.dataset[language]; });
    document.querySelectorAll("[data-language]").forEach(function (button) {
      button.setAttribute("aria-pressed", String(button.dataset.language === language));
    });
  }
  root.classList.add("scripted");
  root.lang = wanted();
  document.addEventListener("DOMContentLoaded", function () { show(wanted()); });
  addEventListener("hashchange", function () { show(wanted()); });
  document.addEventListener("click", function (event) {
    var language = event.target.dataset && event.target.dataset.language;
    if (!language) return;
    try { localStorage.setItem(key, language); } catch (error) { /* then it holds for this visit */ }
    if (known.test(location.hash.slice(1))) location.replace("#" + language);
    show(language);
  });
})();
"""

VERDICTS = {
    "holds": ("holds", "✓", Words("holds", "成り立つ")),
    "does not hold": ("fails", "✗", Words("does not hold", "成り立たない")),
    "within noise": ("noise", "≈", Words("within noise", "誤差の範囲")),
}
"""Each verdict's class in the style, its sign and its text; so colour is not the only sign."""


@dataclass
class Page:
    """A page put together part by part, then written as one file.

    title: shown on top and in the browser's tab. Texts are plain; they are escaped. If any of them is `Words`, the page
    has a switch between English and Japanese: it starts with what `#en` or `#ja` in its address asks for, else with what
    was chosen last, else with the browser's language; without JavaScript it is in English.
    """

    title: Text
    parts: list[str] = field(default_factory=list)

    def heading(self, text: Text) -> None:
        """A heading."""
        self.parts.append(f"<h2>{markup(text)}</h2>")

    def text(self, text: Text, soft: bool = False) -> None:
        """A paragraph, in softer ink if `soft`."""
        self.parts.append(f"<p{' class=soft' if soft else ''}>{markup(text)}</p>")

    def plot(self, svg: str, caption: Text = "") -> None:
        """A plot from `hashigo.plots`."""
        self.parts.append(_figure(svg, caption))

    def plots(self, plots: Sequence[tuple[Text, str]], caption: Text = "") -> None:
        """Plots (label, SVG), each under its label: side by side on wide screens, below one another on narrow ones."""
        cells = "".join(f"<div><div class=label>{markup(label)}</div>{svg}</div>" for label, svg in plots)
        columns = 2 if len(plots) == 4 else min(3, max(1, len(plots)))
        self.parts.append(_figure(f'<div class=plots style="--n: {columns}">{cells}</div>', caption))

    def row(self, pictures: Sequence[tuple[Text, Photo | Path]], caption: Text = "", pixels: bool = False) -> None:
        """Pictures side by side, each under its label; `pixels` keeps small ones sharp when they are enlarged.

        More than 3 take several lines on a phone, more than 8 everywhere.
        """
        cells = "".join(
            f"<div><div class=label>{markup(label)}</div>{_image(picture, label, pixels)}</div>"
            for label, picture in pictures
        )
        count = max(1, len(pictures))
        wide = math.ceil(count / math.ceil(count / 8))
        narrow = count if count <= 3 else 2 if count == 4 else 3
        self.parts.append(_figure(f'<div class=row style="--n: {wide}; --few: {narrow}">{cells}</div>', caption))

    def table(self, head: Sequence[Text], rows: Sequence[Sequence[Text]], caption: Text = "") -> None:
        """A table; the first column is text, the others figures. One that is too wide scrolls within its own box."""
        top = "".join(f"<th scope=col>{markup(cell)}</th>" for cell in head)
        body = "".join(f"<tr>{_cells(row)}</tr>" for row in rows)
        table = f"<div class=table tabindex=0><table><tr>{top}</tr>{body}</table></div>"
        self.parts.append(_figure(table, caption))

    def verdict(self, claim: Text, verdict: str, evidence: Text) -> None:
        """A claim with a badge that says what became of it, and the evidence.

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
        """Text as it is, line by line, that unfolds from its summary."""
        self.parts.append(
            f"<details><summary>{markup(summary)}</summary><pre tabindex=0>{markup(text)}</pre></details>"
        )

    def write(self, path: Path) -> None:
        """Writes the page, whole or not at all."""
        body = f"<h1>{markup(self.title)}</h1>{''.join(self.parts)}"
        # escaped texts hold no tags, so these come from `Words`, in texts or in plots
        both = "<span class=ja lang=ja>" in body or '<tspan class="ja" lang="ja">' in body
        script, switch = (f"<script>{_SCRIPT}</script>", _SWITCH) if both else ("", "")
        page = (
            f"<!doctype html><html lang=en><head><meta charset=utf-8>"
            f"<title{_both(self.title)}>{html.escape(english(self.title))}</title>"
            f'<meta name=viewport content="width=device-width, initial-scale=1"><style>{_STYLE}</style>{script}</head>'
            f"<body><main>{switch}{body}</main></body></html>\n"
        )
        with atomic_path(path) as temporary:
            temporary.write_text(page, encoding="utf-8")


def _figure(content: str, caption: Text) -> str:
    return f"<figure>{content}{f'<figcaption>{markup(caption)}</figcaption>' if caption else ''}</figure>"


def _cells(row: Sequence[Text]) -> str:
    return "".join(
        f"<td>{markup(cell)}</td>" if column else f"<th scope=row>{markup(cell)}</th>"
        for column, cell in enumerate(row)
    )


def _both(text: Text) -> str:
    """Both languages as attributes, for places that hold no markup; the page's script puts the right one in."""
    return f' data-en="{html.escape(text.en)}" data-ja="{html.escape(text.ja)}"' if isinstance(text, Words) else ""


def _image(picture: Photo | Path, label: Text, pixels: bool) -> str:
    photo = read(picture) if isinstance(picture, Path) else picture
    kind = "PNG" if pixels else "JPEG"
    data = base64.b64encode(encode(photo, kind, 88)).decode()
    sharp = " class=pixels" if pixels else ""
    return (
        f'<img{sharp} width={photo.width} height={photo.height} alt="{html.escape(english(label))}"{_both(label)} '
        f'src="data:image/{kind.lower()};base64,{data}">'
    )
