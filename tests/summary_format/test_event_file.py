"""Records on disk: framing, every byte guarded, values back as given."""

import errno
import gc
import io
import math
import os
import re
from itertools import islice
from pathlib import Path

import pytest

from explainrun.summary_format import (
    BrokenRecordError,
    Heatmap,
    Metadata,
    Prediction,
    RunFolder,
    SampleRecord,
    Score,
    ScoresRecord,
    SummaryWriter,
    read_records,
    read_summary,
)
from explainrun.summary_format.event_file.frames import framed, masked_crc, read_frames

METADATA = Metadata(("zero", 'ünïcode / "quoted"', "<b>"), ("Gradient", "GradCAM"), ("InsertionAUC",))
SAMPLES = [
    SampleRecord(
        0, "_explain_1/a.jpg", (Prediction(2, 0.25),), (Prediction(1, 0.75),), (Heatmap("GradCAM", 2, "b.png"),)
    ),
    SampleRecord(1, "_explain_1/c.jpg", (), (Prediction(0, 0.5625, (0.125, 0.25, 0.75)),)),
]
SCORES = ScoresRecord(
    (Score("Gradient", "InsertionAUC", 0.5, (0.25, math.nan, 0.75)), Score("GradCAM", "InsertionAUC", 1.0))
)


@pytest.fixture
def run(tmp_path):
    folder = RunFolder.create(tmp_path / "summary", "CPU")
    with SummaryWriter(folder) as writer:
        for record in (METADATA, *SAMPLES, SCORES):
            writer.write(record)
    return folder


def test_masked_crc_is_that_of_tfrecord():
    # CRC-32C of "123456789" is 0xE3069283 (the check value of RFC 3720's polynomial).
    crc = 0xE3069283
    assert masked_crc(b"123456789") == (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    assert framed(b"abc")[:8] == (3).to_bytes(8, "little")


def test_values_come_back(run):
    summary = read_summary(run.root)
    assert summary.metadata == METADATA
    assert summary.samples == {0: SAMPLES[0], 1: SAMPLES[1]}
    assert summary.scores["GradCAM", "InsertionAUC"].total == 1.0
    per_label = summary.scores["Gradient", "InsertionAUC"].per_label
    assert (per_label[0], math.isnan(per_label[1]), per_label[2]) == (0.25, True, 0.75)
    assert [type(record) for record in read_records(run.event_file)] == [
        Metadata,
        SampleRecord,
        SampleRecord,
        ScoresRecord,
    ]


def test_every_flipped_byte_is_found_and_its_record_named(run, tmp_path, raising):
    data = run.event_file.read_bytes()
    starts = [frame.offset for frame in read_frames(run.event_file)]
    copy = tmp_path / "flipped"
    for position in range(len(data)):
        copy.write_bytes(data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :])
        record = max(i for i, start in enumerate(starts) if start <= position)
        with raising(BrokenRecordError, "record-broken", index=record, offset=starts[record]) as caught:
            list(read_records(copy))
        assert caught.value.index == record


def test_a_file_cut_at_any_byte_gives_its_whole_records_and_names_the_torn_one(run, tmp_path, raising):
    data = run.event_file.read_bytes()
    frames = list(read_frames(run.event_file))
    ends = {0, len(data), *(frame.offset for frame in frames)}
    copy = tmp_path / "cut"
    for length in range(len(data)):
        copy.write_bytes(data[:length])
        found = []
        if length in ends:
            found.extend(read_frames(copy))
        else:
            with raising(BrokenRecordError, "record-broken", reason=re.compile("^the file ends within its")):
                found.extend(read_frames(copy))
        assert found == [frame for frame in frames if frame.offset + 16 + len(frame.payload) <= length]


def test_a_huge_length_is_refused_without_memory(tmp_path, raising):
    length = (2**63).to_bytes(8, "little")
    (tmp_path / "huge").write_bytes(length + masked_crc(length).to_bytes(4, "little") + b"x" * 100)
    with raising(BrokenRecordError, "record-broken", index=0, offset=0):
        list(read_frames(tmp_path / "huge"))


def test_sound_frames_with_other_content_are_named(run, tmp_path, raising):
    junk = tmp_path / "junk"
    junk.write_bytes(run.event_file.read_bytes() + framed(b"\xff\xff\xff"))
    with raising(BrokenRecordError, "record-broken", index=4):
        list(read_records(junk))
    with pytest.raises(FileNotFoundError, match=r"no run in .*: it holds no events.summary"):
        read_summary(tmp_path)
    junk.write_bytes(run.event_file.read_bytes()[[frame.offset for frame in read_frames(run.event_file)][1] :])
    with raising(BrokenRecordError, "record-broken", index=0, offset=0):
        read_summary(junk)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (SampleRecord(7, "a.jpg", (Prediction(1, math.nan),)), "sample 7: probability of label 1 is nan"),
        (ScoresRecord((Score("GradCAM", "IoSR", math.inf),)), "infinite score of GradCAM in IoSR"),
    ],
)
def test_numbers_that_break_the_viewer_are_refused(tmp_path, record, words):
    with SummaryWriter(RunFolder.create(tmp_path, "CPU")) as writer, pytest.raises(ValueError, match=words):
        writer.write(record)


class FailingToClose(io.FileIO):
    def close(self):
        was_open = not self.closed
        super().close()
        if was_open:
            raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize("read", [2, 9])
def test_a_close_that_fails_after_reading_is_nothing_to_speak_of(run, monkeypatch, read):
    """Python would print a traceback where a reader stops early, which pytest makes an error."""
    expected = list(islice(read_frames(run.event_file), read))
    monkeypatch.setattr(Path, "open", lambda path, mode: FailingToClose(path, "r"))
    assert list(islice(read_frames(run.event_file), read)) == expected
    gc.collect()
