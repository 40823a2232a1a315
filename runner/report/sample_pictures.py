"""Originals of samples for the page, each read once and verified."""

from __future__ import annotations

import base64
import io
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import google_crc32c
from PIL import Image

from ...summary_format import Results, RunFolder, jpeg
from ...summary_format.untrusted.regular_files import read_regular
from .encoded_arrays import reduced_size

THUMBNAIL = 112  # pixels of the longer side of pictures and maps in lists


@dataclass(frozen=True)
class SamplePicture:
    """An original.

    Attributes:
        width: in pixels.
        height: in pixels.
        full: base64 of its file.
        small: the same so small that neither side exceeds ``THUMBNAIL``; that of ``full`` where it is small already.
    """

    width: int
    height: int
    full: str
    small: str


@dataclass
class SamplePictures:
    """The originals of a run.

    Attributes:
        faults: what is wrong with those that could not be shown, file by file.
    """

    run: RunFolder
    results: Results
    faults: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        known = self.results.sample_pictures
        ids = self.results.samples.tolist()
        self._checksums = {} if known is None else dict(zip(ids, known.tolist(), strict=True))
        self._recorded = set(self.results.recorded.tolist())

    def of(self, sample_id: int) -> SamplePicture | None:
        """A sample's original; None where the run drew none, or where it is missing or damaged, which is kept."""
        if sample_id not in self._recorded:
            return None
        path = self.run.image_path(sample_id)
        try:
            return self._read(self.run.root / path, sample_id)
        except FileNotFoundError:
            self.faults.append((path, "it is missing"))
        except Exception as error:  # a picture of a folder that may come from anywhere
            self.faults.append((path, str(error) or type(error).__name__))
        return None

    def _read(self, path: Path, sample_id: int) -> SamplePicture:
        content = read_regular(path)
        expected = self._checksums.get(sample_id)
        if expected is not None and google_crc32c.value(content) != expected:
            raise ValueError("it is different from what the run wrote")
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(content))
            picture.load()
        full = base64.b64encode(content).decode()
        height, width = reduced_size((picture.height, picture.width), THUMBNAIL)
        if (width, height) == picture.size:
            return SamplePicture(*picture.size, full, full)
        small = picture.convert("RGB").resize((width, height), Image.Resampling.BOX)
        return SamplePicture(*picture.size, full, base64.b64encode(jpeg(small)).decode())
