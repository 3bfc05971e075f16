"""The page /docs, made from the OpenAPI description: what can be asked, with examples. It loads nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any

from hashigo.service.description import ERRORS, HEADERS
from hashigo.service.settings import Limits

EXAMPLES = {
    "curl": """\
curl --fail-with-body {base}/v1/colorize \\
     -H "Content-Type: image/jpeg" --data-binary @old.jpg -o new.jpg

# a red car at 120 pixels from the left and 80 from the top, muted colours, as PNG
curl --fail-with-body "{base}/v1/colorize?hint=120,80,%23b03020&vivid=0.4&format=png" \\
     -H "Content-Type: image/jpeg" --data-binary @old.jpg -o new.png""",
    "Python": """\
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

query = urlencode({{"vivid": 0.9, "hint": ["120,80,#b03020", "40,200,#6f8f3f"]}}, doseq=True)
request = Request("{base}/v1/colorize?" + query, Path("old.jpg").read_bytes(), {{"Content-Type": "image/jpeg"}})
try:
    with urlopen(request, timeout=90) as response:
        Path("new.jpg").write_bytes(response.read())
        print(response.headers["Hashigo-Size"], response.headers.get("Hashigo-Notes", ""))
except HTTPError as error:  # application/problem+json: title, status, detail
    print(error.read().decode())""",
    "JavaScript": """\
// in Node.js 18 or newer; a page of another site cannot use the service
import {{ readFile, writeFile }} from "node:fs/promises";

const query = new URLSearchParams({{ vivid: 0.9 }});
query.append("hint", "120,80,#b03020");
const response = await fetch("{base}/v1/colorize?" + query, {{
  method: "POST", headers: {{ "Content-Type": "image/jpeg" }}, body: await readFile("old.jpg"),
}});
if (!response.ok) throw new Error((await response.json()).detail);
await writeFile("new.jpg", Buffer.from(await response.arrayBuffer()));""",
}
"""One request in three languages; `{base}` stands for the service's address."""


def docs_page(api: Mapping[str, Any], base: str, limits: Limits) -> str:
    """The page as HTML. api: the OpenAPI description; base: the service's address."""
    routes = "".join(
        _route(method.upper(), path, operation)
        for path, methods in api["paths"].items()
        for method, operation in methods.items()
    )
    examples = "".join(
        f"<h3>{language}</h3><pre tabindex=0><code>{escape(text.format(base=base))}</code></pre>"
        for language, text in EXAMPLES.items()
    )
    return f"""<!doctype html>
<html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width, initial-scale=1">
<title>hashigo: HTTP API</title><link rel=icon href="data:,"><link rel=stylesheet href="/static/docs.css">
<main>
<h1>hashigo: HTTP API</h1>
<p>{escape(str(api["info"]["description"]))}
The result is byte for byte what <code>hashigo colorize</code> writes, with all metadata that its format can hold.</p>
<p><a href="/">Web page</a> · <a href="/openapi.json">OpenAPI description</a></p>
<h2>Examples</h2>{examples}
<p>If the service was started with <code>--token</code>, add the header <code>Authorization: Bearer TOKEN</code>.</p>
<h2>Requests</h2>{routes}
<h2>Headers of a result</h2>{_table({name: _html(about) for name, about in HEADERS.items()})}
<h2>Errors</h2>
<p>An error is <code>application/problem+json</code> (RFC 9457). Its <code>detail</code> says what was expected, what was received and what to do.</p>
{_table({str(status): _html(text) for status, text in ERRORS.items()})}
<h2>Limits</h2>
<p>This service reads photos of up to {limits.photo_mb:g} MB and {limits.photo_megapixels:g} megapixels.
<a href="/v1/limits">/v1/limits</a> lists all limits; <code>hashigo serve --limit NAME=VALUE</code> changes them.</p>
</main></html>
"""


def _html(text: str) -> str:
    """Escaped, with `code` marked up."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def _table(rows: Mapping[str, str]) -> str:
    cells = "".join(f"<tr><th scope=row><code>{name}</code><td>{text}" for name, text in rows.items())
    return f"<div class=table tabindex=0><table>{cells}</table></div>"


def _route(method: str, path: str, operation: Mapping[str, Any]) -> str:
    parameters = {
        escape(parameter["name"]): _html(parameter.get("description") or parameter["schema"].get("description", ""))
        for parameter in operation.get("parameters", ())
    }
    about = _html(operation.get("description", operation["summary"]))
    table = _table(parameters) if parameters else ""
    return f"<section><h3><code>{method} {escape(path)}</code></h3><p>{about}</p>{table}</section>"
