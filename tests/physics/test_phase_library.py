"""The library of phases: its values agree with each other, and its sources are stated."""

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.physics.materials import Materials
from microdesign.physics.phase_library import find_phase, library, sources


def hill(C11: float, C12: float, C44: float) -> tuple[float, float]:
    """E and nu of a polycrystal without texture: mean of Voigt's and Reuss's bounds (Hill 1952)."""
    K = (C11 + 2 * C12) / 3
    voigt = (C11 - C12 + 3 * C44) / 5
    reuss = 5 * (C11 - C12) * C44 / (4 * C44 + 3 * (C11 - C12))
    G = (voigt + reuss) / 2
    return 9 * K * G / (3 * K + G), (3 * K - 2 * G) / (2 * (3 * K + G))


def test_crystals_make_the_polycrystal_of_the_same_name() -> None:
    # Crystals and polycrystals are from different sources: measured on single crystals, and on rods.
    for name in ("aluminium", "copper", "iron", "nickel", "silicon"):
        crystal, metal = library()[f"{name} crystal"], library()[name]
        young, nu = hill(crystal.C11, crystal.C12, crystal.C44)
        assert abs(metal.E / young - 1) < 0.02, name
        assert metal.nu == pytest.approx(nu, abs=0.015), name
        assert crystal.k == metal.k, name


def test_metals_conduct_as_wiedemann_and_franz_have_it() -> None:
    # k = L sigma T with L = 2.44e-8 W Ohm/K2 at 300 K; resistivities (Ohm m) of Kaye and Laby 2.6.1, a third source.
    for name, resistivity in {
        "aluminium": 2.67e-8, "copper": 1.69e-8, "gold": 2.20e-8, "silver": 1.60e-8, "nickel": 6.9e-8,
        "tungsten": 5.4e-8, "titanium": 54e-8, "zinc": 5.96e-8, "lead": 20.6e-8, "platinum": 10.6e-8,
    }.items():  # fmt: skip
        assert library()[name].k == pytest.approx(2.44e-8 * 300 / resistivity, rel=0.65), name


def test_every_value_has_a_source_and_a_place_in_nature() -> None:
    used = set()
    for name, phase in library().items():
        for key in (phase.elastic, phase.thermal, phase.other or phase.thermal):
            assert key in sources(), name
            used.add(key)
        phases = Materials(phases=[name, {"name": "alumina"}])
        assert phases.has_stiffness, name
        assert phases.has_conductivity, name
        assert (phases.units.E, phases.units.k) == ("GPa", "W/(m K)"), name
        assert phase.void or 0.01 < phase.k < 2500, name
        assert phase.thermal_expansion is None or 1e-6 < phase.thermal_expansion < 1e-4, name
        # The speed of sound of a solid, sqrt(E / rho): 1 to 20 km/s. A slip of a power of ten is outside.
        if phase.E and phase.density:
            assert 1000 < np.sqrt(phase.E * 1e9 / phase.density) < 20000, name
    assert used == set(sources())
    assert 20 <= len(library()) <= 45


def test_names() -> None:
    for text, name in {
        "aluminium": "aluminium", "Aluminum": "aluminium", "AL": "aluminium", "silicon_carbide": "silicon carbide",
        "Silicon-Carbide": "silicon carbide", "SiC": "silicon carbide", "void": "pore", "e glass": "E-glass",
    }.items():  # fmt: skip
        assert find_phase(text)[0] == name, text
    with pytest.raises(InputError, match="no phase 'alumnium'; did you mean 'aluminium'"):
        find_phase("alumnium")
    with pytest.raises(InputError, match="no phase 'unobtainium'; `microdesign materials list` shows them"):
        find_phase("unobtainium")
