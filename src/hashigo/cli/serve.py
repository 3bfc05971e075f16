"""`hashigo serve [--host 127.0.0.1] [--port 8000] [--model M]… [--workers N]`: a service on this computer."""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import fields

from hashigo.cli.arguments import add_workers, whole_number
from hashigo.cli.commands import parse_words
from hashigo.cli.console import say
from hashigo.errors import RecipeError
from hashigo.service.settings import Limits, Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    names = ", ".join(f"{limit.name}={limit.default:g}" for limit in fields(Limits))
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="address to listen on; 0.0.0.0 lets other computers in"
    )
    parser.add_argument(
        "--port",
        type=whole_number(0, 65_535),
        default=8000,
        metavar="PORT",
        help="port to listen on; 0 chooses a free one",
    )
    parser.add_argument(
        "-m", "--model", action="append", metavar="MODEL", help="a model's name or folder; repeatable, the first is the default; by default colorizer"
    )  # fmt: skip
    add_workers(parser, 256, "worker processes")
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="a further host name by which browsers may reach the service; repeatable"
    )  # fmt: skip
    parser.add_argument("--token", metavar="TOKEN", help="require this bearer token; by default $HASHIGO_TOKEN")
    parser.add_argument(
        "--limit", action="append", default=[], metavar="NAME=VALUE", help=f"change a limit; repeatable; {names}"
    )
    parser.add_argument(
        "--quiet",
        action="store_true",
        help="log only warnings; by default each request, as a line of JSON, unless on a terminal",
    )
    parser.add_argument("--allow-root", action="store_true", help="run as root all the same")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parses the command's arguments."""
    return parse_words("serve", add_arguments, words)


def run(args: argparse.Namespace) -> int:
    """Runs the service until it is stopped."""
    if hasattr(os, "geteuid") and os.geteuid() == 0 and not args.allow_root:
        raise RecipeError(
            "expected an ordinary user, got root (the service could then do anything on this computer); "
            "use --allow-root if you must"
        )
    limits = Limits()
    for text in args.limit:
        limits = limits.with_value(text)
    token = os.environ.get("HASHIGO_TOKEN", "") if args.token is None else args.token
    if args.token == "":
        raise RecipeError(
            "--token: expected a token, got an empty one, which would let everyone in; "
            "leave --token out if you want that"
        )
    for name in args.allow_host:
        if not re.fullmatch(r"[\w.-]+", name):
            raise RecipeError(f"--allow-host: expected a host name such as photos.example.org, got {name!r}")
    if not all("!" <= character <= "~" for character in token):
        raise RecipeError(
            "--token: expected letters, digits and signs of ASCII without spaces, got other characters; choose another"
        )
    settings = Settings(
        models=tuple(args.model or ["colorizer"]), host=args.host, port=args.port, workers=args.workers, hosts=tuple(args.allow_host),
        token=token, limits=limits,
    )  # fmt: skip
    if not settings.is_local:
        open_to = "anyone who can reach this computer" if not settings.token else "anyone who has the token"
        say(f"warning: {args.host} is open to {open_to}" + ("" if settings.token else "; set --token"))
    from hashigo.service.run import serve

    quiet = args.quiet or sys.stderr.isatty()
    serve(settings, say, logging.WARNING if quiet else logging.INFO)
    return 0
