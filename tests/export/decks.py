"""Reads an Abaqus deck and solves it by itself: nothing but the text of the deck decides the answer."""

import re
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

# xx, yy, zz, yz, xz, xy of each constant's row and column in the order of *ELASTIC, TYPE=ANISO: 11 22 33 12 13 23.
ABAQUS = [0, 1, 2, 5, 4, 3]


@dataclass
class Deck:
    nodes: dict[int, list[float]] = field(default_factory=dict)
    elements: dict[str, list[list[int]]] = field(default_factory=dict)
    elastic: dict[str, np.ndarray] = field(default_factory=dict)
    sections: dict[str, str] = field(default_factory=dict)
    equations: list[list[tuple[int, int, float]]] = field(default_factory=list)
    steps: list[dict[tuple[int, int], float]] = field(default_factory=list)


def read_deck(text: str) -> Deck:
    deck = Deck()
    lines = [line for line in text.splitlines() if not line.startswith("**")]
    material = ""
    for number, line in enumerate(lines):
        if not line.startswith("*"):
            continue
        keyword, *rest = [part.strip() for part in line.split(",")]
        options = dict(part.split("=") for part in rest if "=" in part)
        end = next((i for i in range(number + 1, len(lines)) if lines[i].startswith("*")), len(lines))
        rows = [[part.strip() for part in row.split(",")] for row in lines[number + 1 : end]]
        flat = [part for row in rows for part in row]
        if keyword == "*NODE":
            deck.nodes |= {int(row[0]): [float(x) for x in row[1:]] for row in rows}
        elif keyword == "*ELEMENT":
            assert options["TYPE"] == "C3D8"
            deck.elements[options["ELSET"]] = [[int(node) for node in row[1:]] for row in rows]
        elif keyword == "*MATERIAL":
            material = options["NAME"]
        elif keyword == "*ELASTIC":
            deck.elastic[material] = stiffness([float(x) for x in flat])
        elif keyword == "*SOLID SECTION":
            deck.sections[options["ELSET"]] = options["MATERIAL"]
        elif keyword == "*EQUATION":
            while flat:
                terms, flat = flat[1 : 1 + 3 * int(flat[0])], flat[1 + 3 * int(flat[0]) :]
                triples = zip(terms[::3], terms[1::3], terms[2::3], strict=True)
                deck.equations.append([(int(n), int(d) - 1, float(c)) for n, d, c in triples])
        elif keyword == "*BOUNDARY":
            step = {}
            for node, first, last, *value in rows:
                for degree in range(int(first), int(last) + 1):
                    step[int(node), degree - 1] = float(value[0]) if value else 0.0
            deck.steps.append(step)
    return deck


def stiffness(constants: list[float]) -> np.ndarray:
    if len(constants) == 2:
        E, nu = constants
        mu, lam = E / (2 * (1 + nu)), E * nu / ((1 + nu) * (1 - 2 * nu))
        C = np.diag([2 * mu] * 3 + [mu] * 3)
        C[:3, :3] += lam
        return C
    upper = np.zeros((6, 6))
    pairs = [(row, column) for column in range(6) for row in range(column + 1)]
    for (row, column), value in zip(pairs, constants, strict=True):
        upper[ABAQUS[row], ABAQUS[column]] = upper[ABAQUS[column], ABAQUS[row]] = value
    return upper


def hexahedron(corners: np.ndarray, C: np.ndarray) -> np.ndarray:
    """Stiffness matrix (24, 24) of a trilinear element at 2 x 2 x 2 points."""
    signs = np.array(
        [[-1, -1, -1], [1, -1, -1], [1, 1, -1], [-1, 1, -1], [-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]]
    )
    K = np.zeros((24, 24))
    for point in signs / np.sqrt(3):
        factors = 1 + signs * point
        slopes = np.stack(
            [signs[:, i] * factors[:, (i + 1) % 3] * factors[:, (i + 2) % 3] / 8 for i in range(3)], axis=1
        )
        jacobian = slopes.T @ corners
        g = slopes @ np.linalg.inv(jacobian).T
        B = np.zeros((6, 8, 3))
        for axis in range(3):
            B[axis, :, axis] = g[:, axis]
        for row, (a, b) in {3: (1, 2), 4: (0, 2), 5: (0, 1)}.items():
            B[row, :, a], B[row, :, b] = g[:, b], g[:, a]
        B = B.reshape(6, 24)
        K += B.T @ C @ B * np.linalg.det(jacobian)
    return K


def solve_deck(text: str) -> np.ndarray:
    """The reaction forces of the nodes STRAINS in each step over the volume, as columns."""
    deck = read_deck(text)
    n = 3 * len(deck.nodes)
    rows, columns, values = [], [], []
    volume = 0.0
    for name, elements in deck.elements.items():
        cache: dict[bytes, np.ndarray] = {}
        for nodes in elements:
            corners = np.array([deck.nodes[node] for node in nodes])
            shape = (corners - corners[0]).round(9)
            K = cache.setdefault(shape.tobytes(), hexahedron(shape, deck.elastic[deck.sections[name]]))
            volume += float(np.prod(shape.max(0) - shape.min(0)))
            degrees = (3 * (np.array(nodes) - 1)[:, None] + np.arange(3)).ravel()
            rows.append(np.repeat(degrees, 24))
            columns.append(np.tile(degrees, 24))
            values.append(K.ravel())
    K = sparse.csr_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(n, n))
    free = np.ones(n, bool)
    T = sparse.lil_array((n, n))
    T.setdiag(1.0)
    for (node, degree, factor), *others in deck.equations:
        slave = 3 * (node - 1) + degree
        free[slave] = False
        T[slave, slave] = 0
        for node, degree, other in others:
            T[slave, 3 * (node - 1) + degree] = -other / factor
    T = T.tocsr()
    K = (T.T @ K @ T).tocsr()
    columns_of_C = []
    (strains,) = re.findall(r"NSET=STRAINS\n(\d+).*\n(\d+)", text)
    for step in deck.steps:
        known = {3 * (node - 1) + degree: value for (node, degree), value in step.items()}
        inside = free.copy()
        inside[[*known, *(3 * (int(node) - 1) + degree for node in strains for degree in range(3))]] = False
        u = np.zeros(n)
        u[list(known)] = list(known.values())
        where = np.flatnonzero(inside)
        u[where] = splu(K[where][:, where].tocsc()).solve(-(K @ u)[where])
        loads = [k for k in known if k >= 3 * (int(strains[0]) - 1)]
        columns_of_C.append((K @ u)[sorted(loads)] / volume)
    return np.array(columns_of_C).T


def is_closed(triangles: np.ndarray) -> bool:
    """Whether each edge of each triangle is met by one in the other direction."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    n = triangles.max() + 1
    return np.array_equal(np.sort(edges[:, 0] * n + edges[:, 1]), np.sort(edges[:, 1] * n + edges[:, 0]))
