"""muSpectre as its users write it: the strain-based projection scheme, one structure and one load case at a time.

A program of its own, `python muspectre_peer.py IMAGES.npy E,E... NU TOLERANCE`: muSpectre brings a muGrid older than
`mugrid.py` needs, so it lives in an environment of its own (`pip install muSpectre==0.27.0`). Its gradient is the mean
over each pixel, which is our `rotated` discretisation, on grids of odd size; images are in plane strain. Prints JSON:
CPU time a structure and the stiffness of each.
"""

import json
import sys
import time

import muSpectre
import numpy as np
from muFFT import Stencils2D, Stencils3D

PAIRS = {2: ((0, 0), (1, 1), (0, 1)), 3: ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))}
GRADIENTS = {2: Stencils2D.averaged_upwind, 3: Stencils3D.averaged_upwind}


def stiffness(image, moduli, nu, tolerance):
    """CPU time and stiffness, Voigt order with engineering shear; CG to a relative residual of `tolerance`."""
    dims, shape = image.ndim, list(image.shape)
    cell = muSpectre.Cell(shape, [float(n) for n in shape], muSpectre.Formulation.small_strain, GRADIENTS[dims])
    law = getattr(muSpectre.material, f"MaterialLinearElastic1_{dims}d")
    phases = [law.make(cell, f"phase {number}", E, nu) for number, E in enumerate(moduli)]
    for pixel, label in enumerate(image.ravel(order="F")):
        phases[label].add_pixel(pixel)
    cell.initialise()
    solver = muSpectre.solvers.KrylovSolverCG(cell, tolerance, 5000)
    columns = []
    start = time.process_time()
    for i, j in PAIRS[dims]:
        strain = np.zeros((dims, dims))
        strain[i, j] = strain[j, i] = 1.0 if i == j else 0.5
        result = muSpectre.solvers.newton_cg(cell, strain, solver, 1.0, 1e-20, verbose=muSpectre.Verbosity.Silent)
        stress = np.asarray(result.stress).reshape(dims, dims, -1, order="F").mean(-1)
        columns.append([stress[pair] for pair in PAIRS[dims]])
    return time.process_time() - start, np.transpose(columns).tolist()


if __name__ == "__main__":
    images, moduli, nu, tolerance = sys.argv[1:]
    runs = [
        stiffness(image, [float(E) for E in moduli.split(",")], float(nu), float(tolerance))
        for image in np.load(images)
    ]
    print(json.dumps({"seconds": [seconds for seconds, _ in runs], "tensors": [tensor for _, tensor in runs]}))
