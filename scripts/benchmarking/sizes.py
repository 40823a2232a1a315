"""How many images a row works on."""

from __future__ import annotations

from .rows import CHANNELS, PERTURBATIONS, Row
from .subjects import PASS_SIZE, Subject

BATCHES = (16, 8, 32, 4, 1)  # that are tried for the best, the likeliest first
FULL_PASSES = 64
_COPIES_OF_CHANNELS = {"SSCAM": 2, "ISCAM": 2}
_IMAGES_A_MAP = {"IntegratedGradients": 32, "NoiseTunnel": 16}


def samples_of_channels(method: str, subject: Subject) -> int:
    """So many samples fill the passes of a method that hides each channel."""
    images = subject.channels * _COPIES_OF_CHANNELS.get(method, 1)
    wanted = 1 if subject.is_quick else FULL_PASSES * PASS_SIZE
    return max(1, -(-wanted // images))


def paired_images(row: Row, subject: Subject) -> int:
    """How many images both libraries explain."""
    if row.method in PERTURBATIONS:
        return subject.few
    if row.method in CHANNELS:
        return samples_of_channels(row.method, subject)
    images = _IMAGES_A_MAP.get(row.method)
    return max(subject.few, subject.pair // images) if images else subject.pair


def called_images(row: Row, subject: Subject, *, trial: bool) -> int:
    """How many a call explains: in a trial of batch sizes few, though enough to fill the largest batch."""
    enough = 1 if row.method in (*PERTURBATIONS, *CHANNELS) else 4 if row.method in _IMAGES_A_MAP else max(BATCHES)
    wanted = paired_images(row, subject)
    return min(wanted, enough) if trial else wanted
