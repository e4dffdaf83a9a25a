"""The command line `microdesign`: its commands, its global options, and the exit codes of errors."""

import sys
import traceback
from typing import Annotated, Any, Literal, Never

import typer
from typer.completion import get_completion_inspect_parameters, install_callback, show_callback

from microdesign import __version__
from microdesign.cli import cluster, config, data, design, export, learning, materials, physics
from microdesign.cli.session import verbosity
from microdesign.cli.signals import INTERRUPTED, ending, ending_in_order
from microdesign.core.errors import InputError, MicrodesignError

# Without rich markup, help and errors are plain text, which wraps but never cuts a name in a narrow terminal.
# Typer's own options of completion take no name of a shell: they guess it, which fails below `sh`, as in containers.
app = typer.Typer(
    help="From target properties to physics-verified microstructures.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
)
get_completion_inspect_parameters()  # makes Typer answer the shells' requests for completions
Shell = Literal["bash", "zsh", "fish", "powershell", "pwsh"]
for group in (design, physics, export, learning, cluster, data, materials, config):
    app.add_typer(group.app)


def main() -> None:
    """Runs the command line; exit code 2 for bad input, 130 for Ctrl-C, 143 for SIGTERM, 1 for what else fails."""
    verbosity.quiet = verbosity.verbose = False
    try:
        with ending_in_order():
            code = _command_tree().main(prog_name="microdesign", standalone_mode=False)
    except typer.TyperException as error:
        _fail_by_usage(error)
    except MicrodesignError as error:
        if verbosity.verbose:
            traceback.print_exc()
        _fail(error, 2 if isinstance(error, InputError) else 1)
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code == INTERRUPTED:  # what Typer makes of a KeyboardInterrupt
        _fail(ending, ending.code)
    sys.exit(code)


def _set_quiet(value: bool) -> bool:
    verbosity.quiet |= value
    return value


def _set_verbose(value: bool) -> bool:
    verbosity.verbose |= value
    return value


def _print_version(value: bool) -> None:
    if value:
        print(f"microdesign {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", callback=_set_quiet, expose_value=False, help="Show no progress.")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            callback=_set_verbose,
            expose_value=False,
            help="Show the traceback of an error too.",
        ),
    ] = False,
    install_completion: Annotated[
        Shell | None,
        typer.Option(
            "--install-completion",
            callback=install_callback,
            is_eager=True,
            expose_value=False,
            help="Make this shell complete commands and options.",
        ),
    ] = None,
    show_completion: Annotated[
        Shell | None,
        typer.Option(
            "--show-completion",
            callback=show_callback,
            is_eager=True,
            expose_value=False,
            help="Print the script that makes this shell do so.",
        ),
    ] = None,
) -> None: ...


def _command_tree() -> Any:
    """The commands as Typer makes them, with two additions.

    Each takes `--quiet` and `--verbose` also after its name, and the list of commands shows whole sentences.
    """
    root: Any = typer.main.get_command(app)
    shared = [parameter for parameter in root.params if parameter.name in ("quiet", "verbose")]
    branches = [root]
    while branches:
        for command in branches.pop().commands.values():
            command.params.extend(shared)
            command.short_help = command.help
            if hasattr(command, "commands"):
                branches.append(command)
    return root


def _fail_by_usage(error: typer.TyperException) -> Never:
    """Says what is wrong with the words of a command line, and where to read more."""
    message = getattr(error, "format_message", error.__str__)().replace("Value error, ", "")
    context = getattr(error, "ctx", None)
    if message.startswith("Usage: "):  # the whole help, for a group without a command
        print(message, file=sys.stderr)
        sys.exit(2)
    end = "" if message.endswith((".", "?")) else "."
    _fail(f"{message}{end} See '{context.command_path if context else 'microdesign'} --help'.", 2)


def _fail(message: object, code: int) -> Never:
    print(f"microdesign: {message}", file=sys.stderr)
    sys.exit(code)
