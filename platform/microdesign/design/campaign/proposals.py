"""What a campaign evaluates next, from its record alone: the initial design first, then what the refiner proposes.

Shapes: n trials, D latent, P target properties, `*N` image or volume.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from microdesign.core.errors import InputError
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.campaign.progress import CampaignProgress
from microdesign.design.campaign.trials import Trial, Trials
from microdesign.design.search.conditioning import conditions
from microdesign.design.search.distinctness import basin_of, is_distinct
from microdesign.design.search.initial_design import CorrectionEffort, InitialDesign, make_initial_design
from microdesign.design.search.likeness import Distance, more_alike
from microdesign.design.search.prediction import predict_target, target_jacobian
from microdesign.design.search.refiners.protocol import Observations, Request, load_refiner
from microdesign.design.search.sampling import Strata, strata_around
from microdesign.design.search.screening import Designs, decode_designs, screen
from microdesign.design.search.smoothing import smoothed_designs
from microdesign.physics.execution.store import evaluation_key
from microdesign.physics.materials import Materials
from microdesign.surrogate.further_properties import with_further_properties
from microdesign.surrogate.protocol import Surrogate

_MOST_INITIAL = 4
"""Times `screened`: initial designs that physics evaluates while it has values of none."""

_SMOOTHED = 2
"""Best designs of a basin whose smoothed variants may be evaluated on the way to an optimum."""


class Proposals:
    """Proposes designs for a campaign.

    Args:
        config: What to look for.
        surrogate: The model.
        materials: The phases.
        fingerprint: Names everything else that values depend on.
        table: Properties of the training samples by name, each `(N,)`; None without.
        reference: Coordinates of the training set, `(m, F)`, for novelty; None without.
        known_images: Images `(s, *N)` to start from where there is an optimum, or no draw keeps the constraints; None
            without.
        distance: Of images from the training images as a population, for `prefer_alike`; None without.

    Raises:
        InputError: There is no such refiner.
    """

    def __init__(
        self,
        config: CampaignConfig,
        surrogate: Surrogate,
        materials: Materials,
        fingerprint: str,
        table: Mapping[str, np.ndarray] | None = None,
        reference: np.ndarray | None = None,
        known_images: np.ndarray | None = None,
        distance: Distance | None = None,
    ) -> None:
        self.config, self.target = config, config.target
        self._effort = config.effort(config.target.dims)
        self._materials, self._fingerprint = materials, fingerprint
        self._table, self._reference, self._known_images = table, reference, known_images
        # An optimum may be as unlike the data as it takes, and `similar_to` says itself what designs are like.
        free = config.target.senses.any() or config.target.constraints.similar_to is not None
        self._distance = distance if config.prefer_alike and not free else None
        self._refiner = load_refiner(config.refiner)
        self._views: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}
        self.adopt(surrogate)

    def adopt(self, surrogate: Surrogate) -> None:
        """Goes on with another model, as a retrained one: trials that another one proposed are encoded anew."""
        config = self.config
        names, dims = self.target.names, self.target.dims
        self.surrogate = with_further_properties(surrogate, names, self._table, self._materials, dims)
        self._initial: InitialDesign | None = None
        points = conditions(self.target, surrogate, self._table, config.conditions, config.seed)
        self.strata = strata_around(surrogate, points, config.neighbours, config.spread, config.seed)

    def propose(self, progress: CampaignProgress, trials: Trials, n: int) -> list[tuple[str, Designs]]:
        """Designs to evaluate, by the stage that proposes them; about n together, at most n of which are used.

        Args:
            progress: The campaign's.
            trials: Its trials.
            n: How many to propose.

        Raises:
            InputError: No draw satisfies the target's constraints.
        """
        done, number, config = trials.succeeded, trials.rounds, self.config
        # While screened draws are left, half of the effort goes to them and half to the refiner.
        share = n // 2 + n % 2 * (1 - number % 2) if done else n
        incumbents = progress.incumbents(done)
        initial = self._initial_designs(progress, trials, share, incumbents)
        staged = [("initial", initial)]
        if done and len(initial) < n:
            refined = self._refined_designs(progress, trials, done, incumbents, n - len(initial), initial)
            staged.append((config.refiner, refined))
        if done and not any(len(designs) for _, designs in staged):
            # Nothing new around the incumbents: the next best of the draws.
            left = self._new(trials, self._initial_design(trials).designs)
            staged.append(("initial", screen(left, self.target, n, self._reference, config.least_novelty)))
        return staged

    def keys(self, designs: Designs) -> list[str]:
        """Keys of the designs in the ledger."""
        return [evaluation_key(labels, self._materials.digest, self._fingerprint) for labels in designs.labels]

    def seen(self, trials: Sequence[Trial]) -> tuple[np.ndarray, np.ndarray]:
        """Latents `(n, D)` and predictions `(n, P)` of trials by the present model."""
        model = self.surrogate.digest
        foreign = [t for t in trials if t.model != model and (t.key, model) not in self._views]
        if foreign:
            labels = np.stack([trial.labels for trial in foreign])
            z, predicted = self.surrogate.encode(labels)[0], predict_target(self.target, self.surrogate, labels)[0]
            self._views |= {(t.key, model): (z[i], predicted[i]) for i, t in enumerate(foreign)}
        seen = [
            (t.z, np.array([t.predicted[name] for name in self.target.names]))
            if t.model == model
            else self._views[t.key, model]
            for t in trials
        ]
        z_size, count = self.strata.mean.shape[1], len(self.target.names)
        return np.array([z for z, _ in seen]).reshape(-1, z_size), np.array([p for _, p in seen]).reshape(-1, count)

    def _initial_design(self, trials: Trials) -> InitialDesign:
        """The initial design, made once for a model."""
        if self._initial is None:
            config = self.config
            steps = config.gauss_newton_steps if config.use_jacobian else 0
            correction = CorrectionEffort(
                draws=self._effort.corrected,
                rounds=config.correction_rounds,
                steps=steps,
                ascent=config.ascent_steps if config.use_jacobian else 0,
                quantile=config.refinement.optimum_quantile,
            )

            def made(known_images: np.ndarray | None) -> InitialDesign:
                return make_initial_design(
                    self.target,
                    self.surrogate,
                    self.strata,
                    self._effort.samples,
                    correction,
                    config.seed,
                    known_images,
                    self._distance,
                )

            optimum = self.target.senses.any()
            self._initial = made(self._known_images if optimum else None)
            if not len(self._initial.designs) and self._known_images is not None and not optimum:
                # What is asked lies beyond the images that keep the constraints: from the nearest of them towards it.
                values = self.surrogate.predict(self._known_images)[0].tolist()
                names = self.surrogate.properties
                points = [dict(zip(names, point, strict=True)) for point in values]
                self.strata = self.strata.joined(Strata.of(self.surrogate, points))
                self._initial = made(self._known_images)
            if not len(self._initial.designs) and not len(trials.trials):
                raise InputError(self._initial.why_empty)
        return self._initial

    def _initial_designs(
        self, progress: CampaignProgress, trials: Trials, count: int, incumbents: list[Trial]
    ) -> Designs:
        """At most `count` screened designs of the initial design that are not on record.

        Beyond `screened` while there is nothing to refine, and, if distinct from the incumbents, while there are fewer
        of these than candidates are asked for.
        """
        config, initial = self.config, self._initial_design(trials)
        novel = self._reference, config.least_novelty
        limit = config.screened if incumbents else max(count, _MOST_INITIAL * config.screened)
        left = min(count, limit - sum(trial.stage == "initial" for trial in trials.trials))
        if left > 0:
            chosen = self._new(trials, screen(initial.preferred, self.target, config.screened, *novel))
            if len(chosen) < left and not incumbents:
                chosen = screen(self._new(trials, initial.designs), self.target, left, *novel)
            return chosen.select(np.arange(min(len(chosen), left)))
        if count < 1 or len(incumbents) in (0, config.candidates):
            return initial.preferred.select(np.array([]))
        known = progress.points(incumbents)
        others = [i for i, f in enumerate(initial.points[: len(initial.preferred)]) if is_distinct(f, known)]
        return screen(self._new(trials, initial.preferred.select(np.array(others))), self.target, count, *novel)

    def _refined_designs(
        self,
        progress: CampaignProgress,
        trials: Trials,
        done: list[Trial],
        incumbents: list[Trial],
        n: int,
        initial: Designs,
    ) -> Designs:
        """Designs around the incumbents that are not good enough yet, each away from the other incumbents.

        Those on their way to physics, `initial` among them, count as pending.
        """
        number = trials.rounds
        pending = self.seen(trials.open)
        pending = np.concatenate((pending[0], initial.z)), np.concatenate((pending[1], initial.predicted))
        points = progress.points(done)
        component = np.array([trial.component for trial in done])
        places = [done.index(incumbent) for incumbent in incumbents]
        own_component = component[places]
        z, predicted = self.seen(done)
        observations = Observations(
            z=z,
            component=component,
            basin=basin_of(points, component, places),
            predicted=predicted,
            verified=progress.verified(done),
            keys=tuple(trial.key for trial in done),
        )

        def others(basin: int) -> np.ndarray:
            return points[[place for i, place in enumerate(places) if basin not in (i, -1)]]

        def decode(basin: int, z: np.ndarray, component: np.ndarray, parent: tuple[str, ...]) -> Designs:
            designs = self._new(trials, decode_designs(self.surrogate, self.target, z, component, parent))
            designs = more_alike(designs, self._distance)
            own = [i for i, f in enumerate(self.target.coordinates(designs.labels)) if is_distinct(f, others(basin))]
            return designs.select(np.array(own))

        def reserve(basin: int) -> Designs:
            design = self._initial_design(trials)
            own = np.flatnonzero(design.designs.component == own_component[basin])
            keys = self.keys(design.designs.select(own))
            mine = [i for i, key in zip(own, keys, strict=True) if key not in trials]
            unseen = design.designs.select(np.array([i for i in mine if is_distinct(design.points[i], others(basin))]))
            two_phase_image = (self.target.dims, self.target.phases) == (2, 2)
            return unseen.joined(smooth(basin)) if self.target.senses.any() and two_phase_image else unseen

        def smooth(basin: int) -> Designs:
            own = np.flatnonzero(observations.basin == basin)
            best = own[np.argsort(self.target.ranks(observations.verified[own]), kind="stable")[:_SMOOTHED]]
            labels = np.stack([done[i].labels for i in best])
            designs = smoothed_designs(
                self.surrogate, self.target, labels, int(own_component[basin]), [done[i].key for i in best]
            )
            designs = self._new(trials, designs)
            distinct = [
                i for i, f in enumerate(self.target.coordinates(designs.labels)) if is_distinct(f, others(basin))
            ]
            return designs.select(np.array(distinct))

        def jacobian(z: np.ndarray) -> np.ndarray | None:
            return target_jacobian(self.target, self.surrogate, z) if self.config.use_jacobian else None

        request = Request(
            observations=observations,
            pending=pending,
            basins=self._basins(progress, incumbents, number),
            strata=self._strata(incumbents),
            home=self.strata,
            target=self.target,
            decode=decode,
            reserve=reserve,
            config=self.config.refinement,
            pool=self._effort.pool,
            count=n,
            seed=int(np.random.default_rng([self.config.seed, number]).integers(2**31)),
            jacobian=jacobian,
        )
        return self._refiner(request)

    def _basins(self, progress: CampaignProgress, incumbents: list[Trial], number: int) -> list[int]:
        """The basins that are not good enough: every other time the best comes first, else the others in turn."""
        optima = self.target.senses.any()
        left = [i for i, each in enumerate(incumbents) if optima or progress.error(each) > self.config.goal]
        first, *others = left or list(range(len(incumbents)))
        turn = number // 2 % max(1, len(others))
        others = others[turn:] + others[:turn]
        return [first, *others] if number % 2 or not others else [*others, first]

    def _strata(self, incumbents: list[Trial]) -> Strata:
        """Where latents have to stay. On the way to an optimum that follows the incumbents: p(z|c) at their values."""
        if not self.target.senses.any():
            return self.strata
        names = self.surrogate.properties
        points = [{name: i.drawn[name] for name in names} for i in incumbents if set(names) <= set(i.drawn)]
        return self.strata.joined(Strata.of(self.surrogate, points)) if points else self.strata

    def _new(self, trials: Trials, designs: Designs) -> Designs:
        """The designs that are not on record, each once."""
        first = {key: i for i, key in reversed(list(enumerate(self.keys(designs)))) if key not in trials}
        return designs.select(np.array(sorted(first.values())))
