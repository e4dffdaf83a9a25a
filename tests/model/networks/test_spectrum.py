"""Power spectra as features and as settings of random fields: closed forms, symmetries, white noise."""

import math
from itertools import product

import pytest
import torch
from torch import Tensor

from microdesign.model.networks.random_fields import RandomFields
from microdesign.model.networks.spectrum import (
    LONGEST,
    SpectralFeatures,
    angular_waves,
    moment_weights,
    radial_bumps,
    wave_vectors,
)
from tests.cases import case

SIZES = (32, 64)
BUMPS, WAVES = 6, 7
FLIPPED_BY_A_TURN = torch.tensor([1.0, -1, 1, 1, -1, -1, 1])
"""Signs of 1, cos 2a, sin 2a, cos 4a, ... under a -> pi/2 - a, which is what a transposed image does to the angle."""


def spectrum(size: int = 32, channels: int = 2) -> RandomFields:
    torch.manual_seed(0)
    return RandomFields((size, size), channels)


def settings(one: RandomFields, batch: int = 3, seed: int = 1) -> Tensor:
    """Random coefficients `(B, channels, terms + realisations)`."""
    return torch.randn(batch, one.channels, one.parameters_per_channel, generator=torch.Generator().manual_seed(seed))


def single(one: RandomFields, **coefficients: float) -> Tensor:
    """Coefficients of one image, `wave_bump=value` such as `w1_b3=2.0`, the first realisation alone."""
    values = torch.zeros(1, one.channels, one.parameters_per_channel)
    values[..., one.terms] = 1
    for name, value in coefficients.items():
        wave, bump = (int(part[1:]) for part in name.split("_"))
        values[..., wave * BUMPS + bump] = value
    return values.flatten(1)


def mean_wave_number(field: Tensor) -> float:
    """Power-weighted mean of log |k| of one image `(X, Y)`, as a wave number."""
    power = torch.fft.rfft2(field).abs().square()
    magnitude = wave_vectors(tuple(field.shape)).norm(dim=0) * len(field)
    return math.exp(float((power * magnitude.clamp_min(1).log()).sum() / power.sum()))


def test_fields_are_real_of_zero_mean_and_unit_variance() -> None:
    for size in SIZES:
        one = spectrum(size)
        fields = one(settings(one, batch=5).flatten(1))
        assert fields.shape == (5, 2, size, size)
        assert fields.dtype == torch.float32
        torch.testing.assert_close(fields.mean((-2, -1)), torch.zeros(5, 2), rtol=0, atol=1e-5)
        torch.testing.assert_close(fields.square().mean((-2, -1)), torch.ones(5, 2))


def test_fields_are_periodic() -> None:
    """Moved noise gives the moved field, across the edges too."""
    for size in SIZES:
        one = spectrum(size)
        coefficients = settings(one).flatten(1)
        before = one(coefficients)
        white = torch.fft.irfft2(torch.view_as_complex(one.noise), s=(size, size))
        one.noise = torch.view_as_real(torch.fft.rfft2(white.roll((7, -3), (-2, -1))))
        torch.testing.assert_close(one(coefficients), before.roll((7, -3), (-2, -1)), rtol=0, atol=1e-3)


def test_the_amplitude_is_that_of_the_coefficients() -> None:
    for size in SIZES:
        one = spectrum(size)
        values = 0.5 * settings(one)
        log_amplitude = (values[..., : one.terms, None, None] * one.basis).sum(2) + one.blur
        weights = torch.nn.functional.normalize(values[..., one.terms :], dim=-1)
        noise = torch.einsum("bcr,rxy->bcxy", weights.cfloat(), torch.view_as_complex(one.noise)).abs()
        measured = torch.fft.rfft2(one(values.flatten(1))).abs()
        # The Nyquist row and column are their own mirror images; a real field cannot have all of their amplitudes.
        inside = torch.ones_like(one.blur, dtype=torch.bool)
        inside[0, 0] = inside[size // 2] = inside[:, -1] = False
        ratio = (measured / (log_amplitude.exp() * noise))[..., inside]
        relative = ratio / ratio.median(-1, keepdim=True).values
        assert ((relative - 1).abs() < 1e-2).float().mean() > 0.99


def test_the_mixing_weights_choose_the_realisation_alone() -> None:
    one = spectrum()
    values = settings(one)
    field, weights = one(values.flatten(1)), values[..., one.terms :]
    scaled = torch.cat((values[..., : one.terms], 7 * weights), dim=-1)
    torch.testing.assert_close(one(scaled.flatten(1)), field, rtol=0, atol=1e-4)
    negative = torch.cat((values[..., : one.terms], -weights), dim=-1)
    torch.testing.assert_close(one(negative.flatten(1)), -field, rtol=0, atol=1e-4)


def test_a_level_of_the_spectrum_does_not_matter() -> None:
    """Fields have unit variance: a factor of the amplitude, here at all but the rarest wave numbers, is taken out."""
    one = spectrum(channels=1)
    flat = single(one)
    bright = single(one, **{f"w0_b{bump}": 0.01 for bump in range(BUMPS)})
    torch.testing.assert_close(one(bright), one(flat), rtol=0, atol=0.05)


def test_a_bump_sets_the_length_scale() -> None:
    for size in SIZES:
        one = spectrum(size, channels=1)
        scales = [mean_wave_number(one(single(one, **{f"w0_b{bump}": 6.0}))[0, 0]) for bump in range(BUMPS)]
        assert scales == sorted(scales)
        assert scales[0] < 2
        # The common blur takes power from the finest bumps.
        for bump in (2, 3):
            assert scales[bump] == pytest.approx(size / LONGEST * (LONGEST / 2) ** (bump / (BUMPS - 1)), rel=0.35)


def test_cos_2a_sets_the_orientation() -> None:
    for sign, size in product((1.0, -1.0), SIZES):
        with case(size=size, sign=sign):
            one, features = spectrum(size, channels=1), SpectralFeatures()
            field = one(single(one, **{f"w1_b{bump}": 1.5 * sign for bump in range(BUMPS)}))
            steps = [(field - field.roll(1, axis)).square().mean().item() for axis in (-2, -1)]
            # Power at angle 0 is variation along x, the first axis of an image.
            assert (steps[0] > 3 * steps[1]) if sign > 0 else (steps[1] > 3 * steps[0])
            angular = features(field)[0, BUMPS:].unflatten(0, (BUMPS, WAVES - 1))
            turned = features(field.mT)[0, BUMPS:].unflatten(0, (BUMPS, WAVES - 1))
            assert (sign * angular[1:, 0] > 0.4).all()
            assert (sign * turned[1:, 0] < -0.4).all()


def test_sin_2a_sets_the_diagonal() -> None:
    for size in SIZES:
        one, features = spectrum(size, channels=1), SpectralFeatures()
        field = one(single(one, **{f"w2_b{bump}": 1.5 for bump in range(BUMPS)}))
        for image, sign in ((field, 1), (field.mT, 1), (field.flip(-1), -1), (field.flip(-2), -1)):
            angular = features(image)[0, BUMPS:].unflatten(0, (BUMPS, WAVES - 1))
            assert (sign * angular[1:, 1] > 0.4).all()


def test_turned_coefficients_and_noise_give_the_transposed_field() -> None:
    for size in SIZES:
        one = spectrum(size)
        values = 0.5 * settings(one)
        before = one(values.flatten(1))
        white = torch.fft.irfft2(torch.view_as_complex(one.noise), s=(size, size))
        one.noise = torch.view_as_real(torch.fft.rfft2(white.mT))
        values[..., : one.terms] *= FLIPPED_BY_A_TURN.repeat_interleave(BUMPS)
        torch.testing.assert_close(one(values.flatten(1)), before.mT, rtol=0, atol=0.05)


def test_huge_coefficients_stay_finite() -> None:
    one = spectrum()
    values = (1e4 * settings(one).flatten(1)).requires_grad_()
    fields = one(values)
    assert fields.isfinite().all()
    fields[..., 0].sum().backward()
    assert values.grad is not None
    assert values.grad.isfinite().all()


def binary(size: int, n: int = 4, fraction: float = 0.4) -> Tensor:
    """Anisotropic two-phase images."""
    white = torch.randn(n, 1, size, size, generator=torch.Generator().manual_seed(2))
    smooth = sum(white.roll(shift, -2) for shift in range(7))
    return (smooth > smooth.flatten(1).quantile(1 - fraction, dim=1)[:, None, None, None]).float()


def test_features_ignore_shifts_inversion_and_point_reflection() -> None:
    for size in SIZES:
        features, x = SpectralFeatures(), binary(size)
        expected = features(x)
        assert expected.shape == (4, features.features)
        assert features.features == BUMPS * WAVES
        for same in (x.roll((5, -11), (-2, -1)), 1 - x, x.flip((-2, -1))):
            torch.testing.assert_close(features(same), expected, rtol=0, atol=1e-4)


def test_features_of_a_transposed_image() -> None:
    for size in SIZES:
        features, x = SpectralFeatures(), binary(size)
        radial, angular = features(x).split((BUMPS, BUMPS * (WAVES - 1)), dim=1)
        expected = angular.unflatten(1, (BUMPS, -1)) * FLIPPED_BY_A_TURN[1:]
        assert angular.unflatten(1, (BUMPS, -1))[..., 0].abs().max() > 0.3
        measured = features(x.mT)
        torch.testing.assert_close(measured[:, :BUMPS], radial, rtol=0, atol=1e-4)
        # The Nyquist column counts its two diagonals as one: a hair of asymmetry in the finest bumps.
        torch.testing.assert_close(measured[:, BUMPS:].unflatten(1, (BUMPS, -1)), expected, rtol=0, atol=0.06)
        torch.testing.assert_close(
            measured[:, BUMPS:].unflatten(1, (BUMPS, -1))[:, :4], expected[:, :4], rtol=0, atol=1e-2
        )


def test_one_wave() -> None:
    """A plane wave of amplitude 1/2 has power (N/4)^2 at +-k, N the edge length, and one direction."""
    for periods, size in product((1, 3, 8), SIZES):
        with case(size=size, periods=periods):
            features = SpectralFeatures()
            wave = 0.5 + 0.5 * torch.cos(2 * math.pi * periods * torch.arange(size) / size)
            along_x = wave[:, None].expand(size, size)[None, None]
            bumps, columns = radial_bumps((size, size)), torch.full((size // 2 + 1,), 2.0)
            columns[0] = columns[-1] = 1
            power = 2 * (size / 4) ** 2 * bumps[:, periods, 0] / (bumps * columns).sum((-2, -1))
            seen = power > 1e-4
            for image, angle in ((along_x, 0.0), (along_x.mT, math.pi / 2)):
                radial, angular = features(image)[0].split((BUMPS, BUMPS * (WAVES - 1)))
                torch.testing.assert_close(radial[seen], 0.5 * power[seen].log(), rtol=1e-3, atol=1e-3)
                expected = torch.tensor([f(2 * m * angle) for m in (1, 2, 3) for f in (math.cos, math.sin)])
                measured = angular.unflatten(0, (BUMPS, -1))[seen]
                torch.testing.assert_close(measured, expected.expand_as(measured), rtol=0, atol=2e-3)


def test_white_noise_is_isotropic_and_its_power_is_its_variance() -> None:
    for fraction, size in product((0.2, 0.5), SIZES):
        with case(size=size, fraction=fraction):
            x = (torch.rand(400, 1, size, size, generator=torch.Generator().manual_seed(3)) < fraction).float()
            values = SpectralFeatures()(x)
            power = (2 * values[:, :BUMPS]).exp().mean(0)
            torch.testing.assert_close(power, torch.full((BUMPS,), fraction * (1 - fraction)), rtol=0.1, atol=0)
            anisotropy = values[:, BUMPS:].unflatten(1, (BUMPS, -1)).mean(0)
            # No direction is favoured, but for what the square lattice of wave numbers itself does (cos 4a).
            assert anisotropy[:, :2].abs().max() < 0.06
            lattice = moment_weights((size, size), x.device).sum(1)[BUMPS:].unflatten(0, (-1, BUMPS)).mT
            torch.testing.assert_close(anisotropy, lattice, rtol=0, atol=0.05)


def test_features_are_float32_under_autocast_and_of_one_phase_finite() -> None:
    features = SpectralFeatures()
    with torch.autocast("cpu", torch.bfloat16):
        assert features(binary(32)).dtype == torch.float32
    for value in (0.0, 1.0):
        assert features(torch.full((1, 1, 32, 32), value)).isfinite().all()


def test_the_basis() -> None:
    for size in SIZES:
        shape = (size, size)
        k = wave_vectors(shape) * size
        assert k.shape == (2, size, size // 2 + 1)
        assert k[:, 3, 4].tolist() == [3, 4]
        assert k[:, -3, 4].tolist() == [-3, 4]
        bumps = radial_bumps(shape)
        assert bumps.shape == (BUMPS, size, size // 2 + 1)
        assert not bumps[:, 0, 0].any()
        # In pixels, whatever the size: the first bump at the longest wave length, the last at two pixels.
        distance = math.log(LONGEST / size) / math.log(LONGEST / 2) * (BUMPS - 1)
        assert bumps[0, 1, 0] == pytest.approx(math.exp(-0.5 * distance**2))
        assert bumps[-1, 0, -1] == pytest.approx(1)
        waves = angular_waves(shape)
        assert waves.shape == (WAVES, size, size // 2 + 1)
        torch.testing.assert_close(waves[1::2].square() + waves[2::2].square(), torch.ones(3, size, size // 2 + 1))
        # Even harmonics: k and -k agree, as a real field needs.
        torch.testing.assert_close(waves[:, 1 : size // 2, 0], waves[:, size // 2 + 1 :, 0].flip(1), rtol=0, atol=1e-5)


def test_harmonics_in_space() -> None:
    """The squares of a degree's harmonics sum to one in every direction, and k and -k agree."""
    for size in (12, 15):
        with case(size=size):
            waves = angular_waves((size,) * 3)
            assert waves.shape == (1 + 5 + 9, size, size, size // 2 + 1)
            torch.testing.assert_close(waves[0], torch.ones_like(waves[0]))
            for degree in waves[1:6], waves[6:]:
                torch.testing.assert_close(degree.square().sum(0), torch.ones_like(waves[0]))
            both = [n for n in range(1, size) if 2 * n != size]  # the Nyquist wave number has no opposite
            plane = waves[..., 0][:, both][:, :, both]
            torch.testing.assert_close(plane, plane.flip((1, 2)), rtol=0, atol=1e-5)
            # Degree 2, order 0 is (3 cos^2 - 1) / 2 of the angle to the last axis.
            k = wave_vectors((size,) * 3)
            cosine = k[2] / k.norm(dim=0).clamp_min(1e-9)
            torch.testing.assert_close(
                waves[1].flatten()[1:], (1.5 * cosine.square() - 0.5).flatten()[1:], rtol=0, atol=1e-5
            )


def test_fields_in_space() -> None:
    for size in (12, 15):
        with case(size=size):
            one = RandomFields((size,) * 3, channels=2)
            fields = one(settings(one).flatten(1))
            assert fields.shape == (3, 2, size, size, size)
            torch.testing.assert_close(fields.mean((2, 3, 4)), torch.zeros(3, 2), rtol=0, atol=1e-5)
            torch.testing.assert_close(fields.square().mean((2, 3, 4)), torch.ones(3, 2))
            features = SpectralFeatures(channels=2, dimensions=3)
            expected = features(fields)
            assert expected.shape == (3, features.features) == (3, 2 * BUMPS * 15)
            torch.testing.assert_close(features(fields.roll((3, 5, -2), (2, 3, 4))), expected, rtol=0, atol=1e-4)


def test_a_coefficient_of_degree_2_sets_the_direction_in_space() -> None:
    """More power along the last axis than along the two others, whose differences are then smaller."""
    for axis, sign in ((2, 1.0), (0, -1.0), (1, -1.0)):
        with case(axis=axis, sign=sign):
            torch.manual_seed(0)
            one = RandomFields((16,) * 3, channels=1)
            field = one(single(one, **{f"w1_b{bump}": 2.0 for bump in range(BUMPS)}))
            steps = [(field - field.roll(1, a)).square().mean() for a in (2, 3, 4)]
            others = torch.stack([step for a, step in enumerate(steps) if a != axis])
            assert (sign * (steps[axis] - others)).max() > 0
            assert steps[2] > 2 * max(steps[0], steps[1])


def test_power_of_odd_and_even_sizes_is_counted_alike() -> None:
    """Of white noise the mean power in every bump is its variance; half a spectrum stands for the whole."""
    for size in (15, 32, 45):
        with case(size=size):
            x = torch.randn(300, 1, size, size, generator=torch.Generator().manual_seed(4))
            radial = SpectralFeatures()(x)[:, :BUMPS]
            torch.testing.assert_close((2 * radial).exp().mean(0), torch.ones(BUMPS), rtol=0.12, atol=0)


def test_a_rectangle_has_the_spectrum_of_a_square() -> None:
    """Coefficients belong to wave lengths in pixels: a plane wave of 8 pixels is the same in images of any shape."""
    features = SpectralFeatures()
    wave = 0.5 + 0.5 * torch.cos(2 * math.pi * torch.arange(96) / 8)
    square, wide, high = (wave[:x, None].expand(x, y)[None, None] for x, y in ((32, 32), (32, 96), (96, 32)))
    radial, shares = features(square)[:, :BUMPS], features(square)[:, BUMPS:]
    for image in (wide, high):
        of_image = features(image)
        assert int(of_image[:, :BUMPS].argmax()) == int(radial.argmax())
        strongest = int(radial.argmax()) * (WAVES - 1)
        torch.testing.assert_close(
            of_image[:, BUMPS:][:, strongest : strongest + WAVES - 1], shares[:, strongest : strongest + WAVES - 1]
        )
    one = spectrum(32)
    found = one(settings(one, batch=200).flatten(1), (64, 48))
    assert found.shape == (200, 2, 64, 48)
    torch.testing.assert_close(found.square().mean((-2, -1)), torch.ones(200, 2))


def test_weights_are_numbers_where_a_model_is_sketched() -> None:
    moment_weights.cache_clear()
    with torch.device("meta"):
        sketched = moment_weights((4, 4), torch.device("cpu"))
    assert sketched.device.type == "cpu"
    assert torch.isfinite(sketched).all()
