"""`hashigo COMMAND …`: finds the command's module and runs it. Only the command that runs is imported."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hashigo.cli.commands import COMMANDS
from hashigo.errors import HashigoError, Terminated, did_you_mean, printable

INTERRUPTED, TERMINATED = 130, 143
"""128 plus the number of the signal, as in shells."""

PHOTO_BY_PHOTO = ("colorize", "apply", "evaluate")
"""Commands that have a photo on every core: NumPy's own threads for products of matrices would only be in their way (60 photos
of `evaluate` on two cores: 9.4 s with them, 5.4 s without)."""


def usage() -> str:
    """What `hashigo --help` prints."""
    lines = [f"  {name:<10} {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: hashigo COMMAND …",
            "",
            "Pictures in, pictures back: train, apply and study U-Net autoencoders.",
            "",
            *lines,
            "",
            "Options:",
            "  --help                     show this help; hashigo COMMAND --help shows a command's options",
            "  --version                  show the version",
            "  --print-completion SHELL   print a script that completes commands and options in bash, zsh, fish or powershell",
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns 0 if all was done, 1 if some inputs failed, 2 for wrong usage."""
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a file's name may be in no encoding at all
    try:
        status = _dispatch(words)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        from importlib.metadata import version

        print(f"hashigo {version('hashigo')}")
        return 0
    if words[0].partition("=")[0] == "--print-completion":
        return _complete(words)
    if words[0] not in COMMANDS:
        _complain(f"hashigo: no command {words[0]!r}; {did_you_mean(words[0], COMMANDS)}")
        return 2
    if words[0] in PHOTO_BY_PHOTO:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported
    return _run(words[0], words[1:])


def _complete(words: list[str]) -> int:
    from hashigo.cli.completion import run

    try:
        return run(words)
    except HashigoError as error:
        _complain(f"hashigo: {error}")
        return 2


def _complain(text: str) -> None:
    print(printable(text), file=sys.stderr, flush=True)


_INTERRUPTED = {
    "train": "interrupted; continue with --resume",
    "study": "interrupted; run the same command again to continue",
    "bulk": "interrupted; run the same command again to continue",
}


@contextmanager
def _terminable() -> Iterator[None]:
    """While a command runs, SIGTERM raises `Terminated`, so that it can clean up: remove temporary files and list failures."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(name: str, words: list[str]) -> int:
    with _terminable():
        return _outcome(name, words)


def _outcome(name: str, words: list[str]) -> int:
    try:
        module = importlib.import_module(COMMANDS[name][0])
        try:
            args = module.parse(words)
        except SystemExit as stop:  # the parser has printed its message
            return int(stop.code or 0)
        from hashigo.image.messages import quieten

        quieten()
        return int(module.run(args))
    except HashigoError as error:
        _complain(f"hashigo {name}: {error}")
        return 2
    except KeyboardInterrupt as stop:
        said = _INTERRUPTED.get(name, "interrupted; the files written so far are complete")
        _complain(f"hashigo {name}: {said}")
        return TERMINATED if isinstance(stop, Terminated) else INTERRUPTED
    except BrokenPipeError:
        raise
    except OSError as error:  # a full disk, a folder that may not be written
        _complain(f"hashigo {name}: {error}")
        return 2
    except MemoryError as error:
        _complain(
            f"hashigo {name}: not enough memory; try smaller pictures or a smaller --size ({error or 'no details'})"
        )
        return 2


if __name__ == "__main__":
    sys.exit(main())
