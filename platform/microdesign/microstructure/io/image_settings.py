"""The options of reading images as settings of a config."""

from pydantic import Field

from microdesign.core.config import Config
from microdesign.microstructure.io.options import OnSegmented, ReadOptions


class ImageSettings(Config):
    """What a file of images does not state itself; each setting is an option of `data windows` too."""

    threshold: str | None = Field(
        None, description="of a grey image: otsu, or a grey level; dark pixels become phase 0; null: it is segmented"
    )
    values: tuple[float, ...] | None = Field(None, description="the value that stands for each phase, such as [0, 255]")
    phases: int | None = Field(None, description="number of phases; null: the largest label + 1")
    pixel_size: str | None = Field(None, description="edge of a pixel, 0.5um; null: as the file states")
    array: str | None = Field(None, description="which array, or channel, holds the image, where there are several")
    shape: tuple[int, ...] | None = Field(None, description="pixels of an image that is stored as a flat row")
    dims: int | None = Field(None, description="2: a stack of images; 3: one volume")
    section: str | None = Field(None, description="of a volume: the section that is the image, such as z=100")
    reader: str | None = Field(None, description="reader of the file, a known one or module:class; null: by the suffix")

    def read_options(self, on_segmented: OnSegmented | None = None) -> ReadOptions:
        """Returns the options.

        Args:
            on_segmented: As of `ReadOptions`.

        Raises:
            InputError: A value is out of its range, or contradicts another.
        """
        return ReadOptions(
            threshold=self.threshold,
            values=self.values,
            n_phases=self.phases,
            pixel_size=self.pixel_size,
            array=self.array,
            shape=self.shape,
            dims=self.dims,
            section=self.section,
            on_segmented=on_segmented,
        )
