"""The workers of a training and what each of them takes."""

from pydantic import Field, PositiveInt, field_validator

from microdesign.core.config import Config


class ResourcesConfig(Config):
    """Workers, cores and GPUs."""

    workers: PositiveInt | tuple[PositiveInt, PositiveInt] = Field(
        1, description="data-parallel workers; [least, most] for as many as the cluster has room for, now and later"
    )
    cpus: float = Field(1, gt=0, description="CPU cores, and torch threads, of each worker")
    gpu: bool = Field(False, description="whether each worker takes a GPU")
    max_failures: int = Field(3, ge=0, description="deaths of workers after which training gives up")

    @field_validator("workers")
    @classmethod
    def _in_order(cls, value: int | tuple[int, int]) -> int | tuple[int, int]:
        if isinstance(value, tuple) and value[0] > value[1]:
            raise ValueError("expected a number, or [least, most]")
        return value

    @property
    def workers_range(self) -> tuple[int, int]:
        """The least and the greatest number of workers."""
        return self.workers if isinstance(self.workers, tuple) else (self.workers, self.workers)

    @property
    def of_worker(self) -> dict[str, float]:
        """Ray's resources of a worker."""
        return {"CPU": self.cpus, "GPU": float(self.gpu)}
