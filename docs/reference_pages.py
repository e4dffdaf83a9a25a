"""A MkDocs hook: writes the reference pages of functions, commands, configurations and properties from the code."""

import inspect
from collections.abc import Iterator
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages to those of the folder."""
    pages = {
        "reference/python.md": python(),
        "reference/command-line.md": command_line(),
        "reference/configuration.md": configuration(),
        "reference/properties.md": properties(),
        "changelog.md": text_of("CHANGELOG.md"),
        "contributing.md": text_of("CONTRIBUTING.md").replace("](docs/", "]("),
    }
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def text_of(path: str) -> str:
    """A file of the repository."""
    with open(path, encoding="utf-8") as file:
        return file.read()


def python() -> str:
    """The public Python functions and classes, from their docstrings."""
    import microdesign

    functions, classes, errors = [], [], []
    for name in microdesign.__all__:
        found = getattr(microdesign, name)
        if inspect.isfunction(found):
            functions.append((name, found))
        elif inspect.isclass(found):
            (errors if issubclass(found, Exception) else classes).append((name, found))
    blocks = [
        "# Python",
        "`import microdesign as md` gives all of these. Each is imported when it is first used. Other "
        "names may change.",
    ]
    for title, found_here in (("Functions", functions), ("Classes", classes), ("Errors", errors)):
        blocks.append(f"## {title}")
        for name, found in found_here:
            options = f'    options: {{heading_level: 3, heading: "md.{name}", toc_label: "{name}"}}'
            blocks.append(f"::: {found.__module__}.{found.__name__}\n{options}")
    return "\n\n".join(blocks) + "\n"


def command_line() -> str:
    """Every command with its arguments and options."""
    from microdesign.cli.main import app

    root = typer.main.get_command(app)
    blocks = [
        "# Command line",
        "Every command takes `--quiet` (no progress), `--verbose` (the traceback of an error) and "
        "`--help`. Exit codes: 0 done; 2 bad input, with one line on standard error; 130 interrupted; "
        "1 anything else. With `--json` standard output is one JSON document and nothing else.",
    ]
    for path, command in commands(root, "microdesign"):
        arguments = [each for each in command.params if each.param_type_name == "argument"]
        options = [each for each in command.params if each.param_type_name == "option" and not each.hidden]
        words = [path, *("[OPTIONS]" if options else "",), *(metavar(each) for each in arguments)]
        blocks.append(f"## {path}\n\n{(command.help or '').strip()}\n\n```text\n{' '.join(filter(None, words))}\n```")
        rows = [f"| `{metavar(each)}` | {cell(each.help or '')} |" for each in arguments]
        rows += [f"| `{', '.join((*each.opts, *each.secondary_opts))}` | {cell(each.help or '')} |" for each in options]
        if rows:
            blocks.append("\n".join(("| Argument or option | What it does |", "| --- | --- |", *rows)))
    return "\n\n".join(blocks) + "\n"


def commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    """All commands below a group, each with the words that call it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        elif not command.hidden:
            yield f"{path} {name}", command


def metavar(argument: Any) -> str:
    """How an argument is called in a usage line."""
    return str(argument.metavar or argument.name).upper()


def configuration() -> str:
    """Every key of every job's configuration, as `config init` writes it."""
    from microdesign.cli.template import template
    from microdesign.experiments.registry import EXPERIMENTS
    from microdesign.jobs.job_configs import JOBS, config_class

    blocks = [
        "# Configuration",
        "Each block is what `microdesign config init JOB` writes: every key with its default, and above it what it "
        "means. A file needs only the keys that differ. `--set a.b=value` overrides a key of the file, "
        "`microdesign config show JOB FILE` prints the result, and an unknown key is an error.",
    ]
    jobs: list[tuple[str, str | None]] = [(job, None) for job in (*JOBS, "demo") if job != "evaluate"]
    for job, what in [*jobs, *(("evaluate", name) for name in EXPERIMENTS)]:
        model = config_class(job, what)
        title = job if what is None else f"{job} --what {what}"
        blocks.append(f"## {title}\n\n{inspect.getdoc(model)}\n\n```yaml\n{template(model)}\n```")
    return "\n\n".join(blocks) + "\n"


def properties() -> str:
    """The catalogue of properties."""
    from microdesign.core.properties import known

    blocks = [
        "# Properties",
        "Names are MICRO2D's in the plane, components of the effective tensors, and what is derived from them. The "
        "quotient `A/B` of any two is a property too. The built-in physics always gives the *standard* ones; others"
        " are computed where a target asks for them, or come from data of your own. A *signed* property may be 0 or "
        "negative. A target outside the *bound* of the phases is refused.",
    ]
    for dims, title in ((2, "Images"), (3, "Volumes")):
        rows = [
            f"| `{each.name}` | {each.unit} | {mark(each.standard)} | {mark(each.signed)} | {each.bound or ''} | "
            f"{', '.join(f'`{name}`' for name in each.needs)} |"
            for each in known(dims).values()
        ]
        head = (
            "| Name | Unit of | Standard | Signed | Bound | Derived from |",
            "| --- | --- | --- | --- | --- | --- |",
        )
        blocks.append(f"## {title}\n\n" + "\n".join((*head, *rows)))
    return "\n\n".join(blocks) + "\n"


def mark(value: bool) -> str:
    """A yes or nothing."""
    return "yes" if value else ""


def cell(text: str) -> str:
    """Text on one line of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")
