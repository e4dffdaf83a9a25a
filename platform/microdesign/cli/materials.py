"""Commands of the library of phases: `materials list` and `materials show`."""

from typing import Annotated

import typer

from microdesign.cli.options import Json
from microdesign.cli.output import print_json, print_result, print_table

app = typer.Typer(
    name="materials", help="The library of common phases, named in a materials file.", no_args_is_help=True
)


@app.command("list")
def list_phases(as_json: Json = False) -> None:
    """List the phases of the library with their values at room temperature."""
    from microdesign.physics.phase_library import library

    if as_json:
        print_json({name: phase.model_dump(mode="json") for name, phase in library().items()})
        return
    titles = ["phase", "E / GPa", "nu", "k / W/(m K)", "expansion / 1e-6/K", "density / kg/m3", "also called"]
    rows = []
    for name, phase in library().items():
        crystal = f"C11 {phase.C11:g}, C12 {phase.C12:g}, C44 {phase.C44:g}" if phase.E is None else f"{phase.E:g}"
        expansion = "" if phase.thermal_expansion is None else f"{1e6 * phase.thermal_expansion:g}"
        values = ["" if value is None else f"{value:g}" for value in (phase.nu, phase.k)]
        density = "" if phase.density is None else f"{phase.density:g}"
        rows.append([name, crystal, *values, expansion, density, ", ".join(phase.aliases)])
    print_table(titles, rows)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A phase, such as 'silicon carbide'.")], as_json: Json = False
) -> None:
    """Show a phase of the library, its values and where each is from."""
    from microdesign.physics.phase_library import find_phase, sources

    found, phase = find_phase(name)
    units = {"E": "GPa", "C11": "GPa", "C12": "GPa", "C44": "GPa", "k": "W/(m K)", "density": "kg/m3"}
    units |= {"thermal_expansion": "1/K"}
    moduli = ("E", "nu", "C11", "C12", "C44")
    source_of = dict.fromkeys(moduli, phase.elastic) | {"k": phase.thermal}
    values = {
        key: {
            "value": value,
            "unit": units.get(key, "1"),
            "source": sources()[source_of.get(key, phase.other or phase.thermal)],
        }
        for key in (*moduli, "k", "thermal_expansion", "density")
        if (value := getattr(phase, key)) is not None
    }
    if as_json:
        print_json({"name": found, "aliases": list(phase.aliases), "values": values})
        return
    lines = {
        key: f"{each['value']:g} {each['unit']} ({each['source']})".replace(" 1 (", " (")
        for key, each in values.items()
    }
    also = {"also called": ", ".join(phase.aliases)} if phase.aliases else {}
    print_result({"phase": found, **also, **lines}, as_json=False)
