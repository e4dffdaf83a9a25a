"""What a training pass gives the objective: of the whole model, and of the regressor alone.

Shapes: B batch, R replayed images, n decodes, C image channels, `*N` image axes, D latent, P properties (standardised).
"""

from typing import NamedTuple, TypeVar

from torch import Tensor

from microdesign.model.prior.mixture import Gaussian, Mixture


class Decodes(NamedTuple):
    """Binarised decodes, with the properties that they have and those that they should have.

    Attributes:
        images: Indicators `(n, C, *N)`; n = 0 for a model without properties.
        properties: Their properties as the regressor predicts them, `(n, P)`.
        condition_index: The row of the batch whose properties each should have, int `(n,)`.
        drawn: Rows of `images` that are draws from p(z|c), int `(m,)`; the others reconstruct an image of the batch.
        pairs: Rows of `images` that two components drew for the same properties, int `(h, 2)`; h = 0 if the prior has
            a single component.
    """

    images: Tensor
    properties: Tensor
    condition_index: Tensor
    drawn: Tensor
    pairs: Tensor


class JointOutputs(NamedTuple):
    """A pass of the whole model.

    Attributes:
        posterior: q(z|x), each part `(B, D)`.
        z: A sample of it, `(B, D)`.
        logits: Its decode, `(B, C, *N)`.
        c: The labels, a missing one drawn from q(c|x), `(B, P)`.
        prior: p(z|c) at these.
        properties: q(c|x), each part `(B, P)`; P = 0 for a model without properties.
        replayed: q(c|x) of the replayed images, each part `(R, P)`; R = 0 without any.
        decodes: Of z for the first quarter of the batch and, if the prior knows c, about as many draws from p(z|c) for
            its last images: of a mixture two components' for each, the first by weight and the second by the weights
            that are left. The regressor that predicts their properties is frozen. A quarter as many where a denoiser
            draws.
        denoising: Loss of the denoiser for the first images of the batch, `(d,)`; None where there is no denoiser.
        fractions: Fractions of the channels' phases that the latents say, `(B, C)`; None where there is no denoiser.
    """

    posterior: Gaussian
    z: Tensor
    logits: Tensor
    c: Tensor
    prior: Mixture
    properties: Gaussian
    replayed: Gaussian
    decodes: Decodes
    denoising: Tensor | None = None
    fractions: Tensor | None = None


class RegressorOutputs(NamedTuple):
    """A pass that trains the regressor alone: it has no latents and no reconstructions.

    Attributes:
        properties: q(c|x), each part `(B, P)`.
        replayed: q(c|x) of the replayed images, each part `(R, P)`; R = 0 without any.
        decodes: Corrected draws for the last half of the batch; no gradient flows to them or to their properties.
    """

    properties: Gaussian
    replayed: Gaussian
    decodes: Decodes


Outputs = JointOutputs | RegressorOutputs
OutputsT = TypeVar("OutputsT", JointOutputs, RegressorOutputs)
