"""One reader of pictures: a file becomes the same pixels whether a CSV lists it or ``explain`` is given it."""

import re

import numpy as np
import pytest
from PIL import Image

from explainrun.runner import PlanError, explain
from explainrun.runner.data import pictures
from explainrun.runner.data.file_datasets import csv_dataset
from explainrun.runner.data.pictures import PictureError, Pixels, converted
from explainrun.runner.data.samples import SampleError, read_samples
from explainrun.runner.figures.figure import from_file

COLOURS = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[9, 9, 9], [90, 90, 90], [0, 51, 102]]], np.uint8)
RGB = Image.fromarray(COLOURS)
GREY = [[0, 51, 255], [102, 1, 254]]


def array(values, kind):
    return Image.fromarray(np.array(values, kind))


def clear():
    picture = RGB.copy()
    picture.putalpha(Image.fromarray(np.array([[255, 0, 255], [255, 255, 51]], np.uint8)))
    return picture


def palette_with_a_clear_colour():
    picture = Image.new("P", (3, 2))
    picture.putpalette([10, 20, 30, 200, 100, 0])
    picture.putpixel((1, 0), 1)
    picture.info["transparency"] = 1
    return picture


OVER_WHITE = COLOURS.copy()
OVER_WHITE[0, 1], OVER_WHITE[1, 2] = 255, [204, 214, 224]  # a fifth of the colour, the rest white
OF_PALETTE = np.full((2, 3, 3), [10, 20, 30], np.uint8)
OF_PALETTE[0, 1] = 255
KINDS = {
    "rgb.png": (RGB, 3, COLOURS),
    "rgb.bmp": (RGB, 3, COLOURS),
    "palette.png": (RGB.quantize(8), 3, COLOURS),
    "palette_clear.png": (palette_with_a_clear_colour(), 3, OF_PALETTE),
    "alpha.png": (clear(), 3, OVER_WHITE),
    "alpha4.png": (clear(), 4, np.asarray(clear())),
    "opaque4.png": (RGB, 4, np.dstack([COLOURS, np.full((2, 3), 255, np.uint8)])),
    "grey_alpha.png": (clear().convert("LA"), 1, [[76, 255, 29], [9, 90, 212]]),  # luma; 42 / 5 + 204 is 212
    "grey.png": (array(GREY, np.uint8), 1, GREY),
    "grey_as_rgb.png": (array(GREY, np.uint8), 3, np.dstack([GREY] * 3)),
    "rgb_as_grey.png": (RGB, 1, [[76, 150, 29], [9, 90, 42]]),  # 0.299, 0.587 and 0.114 of red, green and blue
    "bits.png": (array([[0, 255, 0], [255, 255, 0]], np.uint8).convert("1"), 1, [[0, 255, 0], [255, 255, 0]]),
    "deep.png": (array(np.array(GREY) * 257, np.uint16), 1, GREY),
    "deep.tif": (array(np.array(GREY) * 257, np.uint16), 1, GREY),
    "deep.ppm": (array(np.array(GREY) * 257, np.uint16), 1, GREY),
    "int32.tif": (array(np.array(GREY) * 257, np.int32), 1, GREY),
    "float.tif": (array(np.array(GREY) / 255, np.float32), 1, GREY),
    "float255.tif": (array(GREY, np.float32), 3, np.dstack([GREY] * 3)),
    "cmyk.tif": (RGB.convert("CMYK"), 3, COLOURS),
}


def by_csv(path, channels=3, **options):
    listing = path.parent / "list.csv"
    listing.write_text(f"image\n{path.name}\n")
    [sample] = read_samples(csv_dataset(listing, ["x"], channels=channels, **options), 1)
    return sample.image


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_of_picture_has_the_same_pixels_in_a_dataset_and_in_explain(tmp_path, name):
    picture, channels, levels = KINDS[name]
    picture.save(tmp_path / name)
    expected = np.asarray(levels, np.float32)
    expected = (expected[None] if expected.ndim == 2 else expected.transpose(2, 0, 1)) / np.float32(255)
    listed = by_csv(tmp_path / name, channels)
    np.testing.assert_array_equal(listed, expected)
    np.testing.assert_array_equal(from_file(tmp_path / name, Pixels(channels=channels)).pixels, listed)


def with_a_clear_colour():
    picture = Image.fromarray(NOISE[:, :, :3] // 128 * 255)
    picture.info["transparency"] = (255, 0, 255)
    return picture


NOISE = np.random.default_rng(7).integers(0, 256, (23, 11, 4), np.uint8)
DEEP = NOISE[:, :, 0].astype(np.uint16) * 256 + NOISE[:, :, 1]
WHOLE = {  # each with what it is in 8 bits
    "RGBA": (Image.fromarray(NOISE), Image.fromarray(NOISE)),
    "LA": (Image.fromarray(NOISE).convert("LA"), Image.fromarray(NOISE).convert("LA")),
    "RGB with a clear colour": (with_a_clear_colour(), with_a_clear_colour()),
    "I;16": (Image.fromarray(DEEP), Image.fromarray((DEEP * (255.0 / 65535)).round().astype(np.uint8))),
    "I;16B": (
        Image.frombytes("I;16B", (11, 23), DEEP.astype(">u2").tobytes()),
        Image.fromarray((DEEP * (255.0 / 65535)).round().astype(np.uint8)),
    ),
    "F": (Image.fromarray(NOISE[:, :, 0] / np.float32(255)), Image.fromarray(NOISE[:, :, 0])),
}


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("name", WHOLE)
def test_what_takes_much_memory_is_done_in_bands_of_rows(monkeypatch, name, mode):
    picture, whole = WHOLE[name]
    if "A" in whole.mode or "transparency" in whole.info:
        layer = whole.convert("RGBA")
        whole = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    sizes, crop = [], Image.Image.crop
    monkeypatch.setattr(pictures, "_BAND", 45)  # 4 rows
    monkeypatch.setattr(Image.Image, "crop", lambda one, box: sizes.append(box) or crop(one, box))
    np.testing.assert_array_equal(np.asarray(converted(picture, mode)), np.asarray(whole.convert(mode)))
    assert max((right - left) * (bottom - top) for left, top, right, bottom in sizes) == 44
    assert sorted({top for _, top, _, _ in sizes}) == [0, 4, 8, 12, 16, 20]


def test_a_picture_of_the_callers_is_not_changed():
    picture = RGB.copy()
    for mode in ("RGB", "L"):
        converted(picture, mode).putpixel((0, 0), 0)
    assert (picture.getpixel((0, 0)), converted(picture, "RGB") is picture) == ((255, 0, 0), False)


def test_too_many_pixels(tmp_path, monkeypatch, raising):
    RGB.save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2)
    with raising(PictureError, "picture-unreadable", said="it has more than 4 pixels; save it smaller"):
        from_file(tmp_path / "a.png", Pixels())


UPRIGHT = {
    1: COLOURS,
    2: COLOURS[:, ::-1],
    3: COLOURS[::-1, ::-1],
    4: COLOURS[::-1],
    5: COLOURS.transpose(1, 0, 2),
    6: np.rot90(COLOURS, -1),
    7: np.rot90(COLOURS, 2).transpose(1, 0, 2),
    8: np.rot90(COLOURS, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_photo_is_upright_in_both(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    RGB.save(tmp_path / "a.png", exif=exif)
    listed = by_csv(tmp_path / "a.png")
    np.testing.assert_array_equal((listed.transpose(1, 2, 0) * 255).round(), UPRIGHT[orientation])
    np.testing.assert_array_equal(from_file(tmp_path / "a.png", Pixels()).pixels, listed)


def test_boxes_are_those_of_the_upright_picture(tmp_path):
    """Stored 2 high and 3 wide, upright 3 high and 2 wide, brought to 6 high and 8 wide."""
    exif = Image.Exif()
    exif[0x0112] = 6
    RGB.save(tmp_path / "a.png", exif=exif)
    (tmp_path / "a.csv").write_text("image,label,x,y,width,height\na.png,x,1,2,1,1\n")
    [sample] = read_samples(csv_dataset(tmp_path / "a.csv", ["x"], size=(6, 8)), 1)
    assert sample.image.shape == (3, 6, 8)
    assert sample.boxes[0].tolist() == [[4, 4, 4, 2]]


def test_size_mean_and_std_are_one_rule_in_both(tmp_path):
    RGB.save(tmp_path / "a.png")
    options = {"size": (4, 5), "mean": (100.0, 20.0, 3.0), "std": (50.0, 60.0, 70.0)}
    listed = by_csv(tmp_path / "a.png", **options)
    assert listed[:, 0, 0].tolist() == pytest.approx([(255 - 100) / 50, -20 / 60, -3 / 70])
    np.testing.assert_array_equal(from_file(tmp_path / "a.png", Pixels(**options)).pixels, listed)


def of_pages(path):
    RGB.save(path, save_all=True, append_images=[RGB])


def with_a_smaller_copy(path):
    smaller = RGB.resize((1, 1))
    smaller.encoderinfo = {"tiffinfo": {254: 1}}
    RGB.save(path, save_all=True, append_images=[smaller])


def test_the_first_frame_of_an_animation_and_no_smaller_copy_counts(tmp_path):
    with_a_smaller_copy(tmp_path / "a.tif")
    with Image.open(tmp_path / "a.tif") as opened:
        assert opened.n_frames == 2
    np.testing.assert_array_equal(by_csv(tmp_path / "a.tif").transpose(1, 2, 0) * 255, COLOURS)
    Image.new("RGB", (3, 2), (255, 0, 0)).save(tmp_path / "a.gif", save_all=True, append_images=[RGB])
    assert by_csv(tmp_path / "a.gif")[:, 1, 2].tolist() == [1, 0, 0]


UNUSABLE = {
    "nan.tif": (lambda path: array([[0, np.nan]], np.float32).save(path), "picture-not-finite", {}),
    "inf.tif": (lambda path: array([[0, np.inf]], np.float32).save(path), "picture-not-finite", {}),
    "below.tif": (lambda path: array([[-0.5, 1]], np.float32).save(path), "picture-range", {"lowest": -0.5}),
    "above.tif": (lambda path: array([[0, 4000]], np.float32).save(path), "picture-range", {"highest": 4000.0}),
    "int32.tif": (lambda path: array([[0, 65536]], np.int32).save(path), "picture-range", {"allowed": "65535"}),
    "lab.tif": (lambda path: Image.new("LAB", (3, 2)).save(path), "picture-mode", {"mode": "LAB"}),
    "pages.tif": (of_pages, "picture-pages", {}),
    "empty.png": (lambda path: path.touch(), "picture-empty", {}),
    "text.png": (lambda path: path.write_text("no picture"), "picture-kind", {}),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_cannot_be_used_says_why_in_both(tmp_path, raising, name):
    make, code, values = UNUSABLE[name]
    make(tmp_path / name)
    with raising(PictureError, code, **values) as caught:
        from_file(tmp_path / name, Pixels())
    assert str(caught.value).startswith(str(tmp_path / name))
    with raising(SampleError, "sample-broken", where=f"{tmp_path / 'list.csv'} line 2", said=str(caught.value)):
        by_csv(tmp_path / name)


def test_pictures_that_are_given_as_they_are_keep_to_the_same_rules(two_channels, raising):
    network = two_channels()
    with raising(PlanError, "picture-not-finite", where="image 0"):
        explain(network, array([[0, 1, np.nan, 0]], np.float32), "Gradient", size=(2, 4), channels=1)


def test_a_picture_cut_short_is_named(tmp_path, raising):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[: len(content) // 2])
    with raising(SampleError, "sample-broken", said=re.compile("a.jpg cannot be read: .*truncated")):
        by_csv(tmp_path / "a.jpg")
