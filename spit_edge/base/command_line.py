"""What every command line of this package shares: tables of commands, exit codes, errors.

0: done.  1: done, and a comparison failed.  2: not done.  130: Ctrl-C.  143: SIGTERM.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from spit_edge.base.errors import PackageMissing, SpitError, Stopped
from spit_edge.base.text import shown

DONE, FAILED, NOT_DONE = 0, 1, 2
_SAID = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


@dataclass(frozen=True)
class Command:
    """A command by the module that has it, which is imported when it is asked for.

    The module has ``add_arguments(parser)``, and ``run(options)``, which returns an exit code and
    imports there what is heavy; ``extra`` of this package brings that.
    """

    name: str
    help: str
    module: str
    extra: str | None = None


@dataclass(frozen=True)
class CommandGroup:
    """Commands behind a name of their own: ``spit-edge plugins build``."""

    name: str
    help: str
    commands: tuple[Command, ...]


Commands = Sequence[Command | CommandGroup]


def run_command_line(
    prog: str, description: str, commands: Commands, arguments: Sequence[str] | None = None
) -> int:
    """Run the one of ``commands`` that ``arguments`` (by default the process's) ask for.

    Returns the exit code.  Raises SystemExit after ``--help`` and for arguments that do not fit.
    """

    def command() -> int:
        options = command_parser(prog, description, commands).parse_args(arguments)
        try:
            return int(options.run(options))
        except ModuleNotFoundError as error:
            raise _missing(error, options.command) from error

    return guarded(command)


def command_parser(prog: str, description: str, commands: Commands) -> argparse.ArgumentParser:
    """The parser of ``commands``; each declares its options when it is asked for."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument(
        "--version", action=_Version, nargs=0, help="show the version of spit-edge and exit"
    )
    _add_commands(parser, commands)
    return parser


def declare_all(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """``parser`` and all within it, after each has declared its options."""
    if isinstance(parser, _CommandParser):
        parser.declare()
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from declare_all(inner)


def guarded(
    command: Callable[[], int], expected: tuple[type[Exception], ...] = (SpitError,)
) -> int:
    """Run ``command``; make ``expected`` errors, OSError and signals a line on stderr and a code.

    Other exceptions keep their traceback, and are not done (2): 1 says that a comparison failed.
    """
    # Before torch loads OpenMP: threads that spin while they wait make a busy machine far slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What the locale cannot print, such as names in other scripts, must not end the work.
            stream.reconfigure(errors="backslashreplace")
    with _warnings_as_lines(), _noticed_signals() as signals:
        try:
            return command()
        except (Exception, KeyboardInterrupt) as error:
            # Packages that are interrupted while they load turn Ctrl-C into errors of their own.
            if signals or isinstance(error, KeyboardInterrupt):
                number = signals[0] if signals else signal.SIGINT
                _say(_SAID[number])
                return 128 + number
            if isinstance(error, expected):
                _say(f"error: {error}")
            elif isinstance(error, OSError):
                where = f" ({error.filename})" if error.filename else ""
                _say(f"error: {error.strerror or error}{where}")
            else:
                traceback.print_exc()
                _say("error: this is a fault in spit-edge: please report it with the lines above")
            return NOT_DONE


class _CommandParser(argparse.ArgumentParser):
    """Of one command, whose module is imported when it has to parse."""

    command: Command | None = None

    def declare(self) -> None:
        """Import the command's module and declare its options."""
        if self.command is not None:
            command, self.command = self.command, None
            module = import_module(command.module)
            module.add_arguments(self)
            self.set_defaults(run=module.run, command=command)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self.declare()
        return super().parse_known_args(args, namespace)


def _add_commands(parser: argparse.ArgumentParser, commands: Commands) -> None:
    places = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_CommandParser)
    for command in commands:
        described = f"{command.help[0].upper()}{command.help[1:]}."
        inner = places.add_parser(command.name, help=command.help, description=described)
        if isinstance(command, CommandGroup):
            _add_commands(inner, command.commands)
        else:
            inner.command = command


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from spit_edge.base.version import __version__

        print(f"spit-edge {__version__}")
        parser.exit()


def _missing(error: ModuleNotFoundError, command: Command) -> Exception:
    """What to install; ``error`` itself where the missing module is one of ours."""
    name = (error.name or "").partition(".")[0]
    if not name or name == "spit_edge":
        return error
    from spit_edge.base.install import pip_install

    cure = f"pip install {name}" if command.extra is None else pip_install(command.extra)
    return PackageMissing(f"{command.name} needs {name}: {cure}")


@contextmanager
def _noticed_signals() -> Iterator[list[signal.Signals]]:
    """A list that gets an entry with every Ctrl-C and SIGTERM, which raise Stopped."""
    seen: list[signal.Signals] = []

    def stop(number: int, _: object) -> None:
        seen.append(signal.Signals(number))
        raise Stopped(number)

    # Only the main thread may set handlers, and a caller's own ones stay.
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    ours = threading.current_thread() is threading.main_thread() and {
        number: handler for number, handler in usual.items() if signal.getsignal(number) == handler
    }
    for number in ours or ():
        signal.signal(number, stop)
    try:
        yield seen
    finally:
        for number, handler in (ours or {}).items():
            signal.signal(number, handler)


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: _say(f"warning: {message}")
        yield


def _say(line: str) -> None:
    print(shown(line, lines=True), file=sys.stderr)
