"""Pictures by path or address, and as the pixels that a network takes."""

import re
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np
import pytest
from PIL import Image

from explainrun.runner.cli.process.standard_streams import report
from explainrun.runner.data.pictures import PictureError, Pixels, converted
from explainrun.runner.figures import downloads
from explainrun.runner.figures.pictures import picture_name, read_picture, seen
from explainrun.summary_format.names import without_login
from explainrun.summary_format.problem import Problem

COLOURS = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[9, 9, 9], [90, 90, 90], [0, 51, 102]]], np.uint8)


def saved(picture, path, **options):
    picture.save(path, **options)
    return read_picture(path)


def test_kinds_of_pictures(tmp_path):
    rgb = Image.fromarray(COLOURS)
    grey = Image.fromarray(np.array([[0, 100, 200], [3, 2, 1]], np.uint8))
    palette = rgb.quantize(8)
    clear = rgb.copy()
    clear.putalpha(Image.fromarray(np.array([[255, 0, 255], [255, 255, 51]], np.uint8)))
    for picture in (saved(rgb, tmp_path / "a.png"), saved(palette, tmp_path / "b.png"), saved(rgb, tmp_path / "c.bmp")):
        np.testing.assert_array_equal(np.asarray(converted(picture, "RGB")), COLOURS)
    assert read_picture(tmp_path / "b.png").mode == "P"
    np.testing.assert_array_equal(np.asarray(converted(grey, "RGB"))[:, :, 2], np.asarray(grey))
    np.testing.assert_array_equal(np.asarray(converted(rgb, "L"))[1], [9, 90, 42])  # 0.587 * 51 + 0.114 * 102
    seen_through = np.asarray(converted(saved(clear, tmp_path / "d.png"), "RGB"))
    assert seen_through[0, 1].tolist() == [255, 255, 255]  # what is transparent is white
    assert seen_through[1, 2].tolist() == [204, 214, 224]  # a fifth of the colour, the rest white
    np.testing.assert_array_equal(np.asarray(converted(clear, "RGBA")), np.asarray(clear))
    see_through = palette.copy()
    see_through.info["transparency"] = palette.getpixel((1, 0))
    assert np.asarray(converted(see_through, "RGB"))[0, 1].tolist() == [255, 255, 255]
    deep = Image.fromarray(np.array([[0, 257, 65535]], np.uint16))
    for picture in (deep, saved(deep, tmp_path / "e.png")):
        assert np.asarray(converted(picture, "L")).tolist() == [[0, 1, 255]]
    assert np.asarray(converted(Image.fromarray(np.array([[0, 0.2, 1]], np.float32)), "L")).tolist() == [[0, 51, 255]]
    assert np.asarray(converted(Image.fromarray(np.array([[0, 51, 255]], np.float32)), "L")).tolist() == [[0, 51, 255]]
    assert converted(rgb.convert("CMYK"), "RGB").getpixel((0, 0)) == (255, 0, 0)


def test_a_photo_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: a quarter turn clockwise makes it upright
    picture = saved(Image.fromarray(COLOURS), tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(np.asarray(picture), np.rot90(COLOURS, -1))


def test_pixels_for_a_network():
    picture = Image.fromarray(COLOURS)
    assert Pixels().of(picture).shape == (3, 2, 3)
    np.testing.assert_allclose(Pixels().of(picture), COLOURS.transpose(2, 0, 1) / 255, rtol=1e-6)
    normalised = Pixels(mean=(0.5, 0, 0), std=(0.25, 1, 0.5)).of(picture)
    np.testing.assert_allclose(normalised[:, 0, 0], [2, 0, 0])
    np.testing.assert_allclose(Pixels(mean=100, std=50).of(picture)[0, 0], [3.1, -2, -2])  # statistics of 0..255
    assert Pixels(size=(5, 7), channels=1).of(picture).shape == (1, 5, 7)
    large = Image.new("RGB", (1280, 320))
    assert (seen(large).size, large.size) == ((640, 160), (1280, 320))


class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        self.asked.append((self.path, self.headers["Authorization"]))
        if self.path == "/slow":
            self.server.answering.wait()
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", unquote(self.path[4:]))
            self.end_headers()
            self.drip(b"drip")
        if self.path == "/drips_headers":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            self.drip(b"X-A: b\r\n")
        if self.path == "/drips_chunks":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            self.drip(b"0" * 9)  # of the number that says how long the first is
        if self.path == "/drips_continue":
            self.drip(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.send_response(404 if self.path == "/none" else 200)
        self.end_headers()
        content = BytesIO()
        Image.fromarray(COLOURS).save(content, "PNG")
        if self.path == "/drips":
            self.drip(b"drip")
        elif self.path == "/large":
            self.wfile.write(bytes(2**20 + 1))
        elif self.path != "/slow":
            self.wfile.write(b"no picture" if self.path == "/text" else content.getvalue())

    def drip(self, what):
        while True:  # until it is hung up on
            self.wfile.write(what)
            time.sleep(0.02)

    def handle_one_request(self):
        with suppress(ConnectionError):  # some are hung up on
            super().handle_one_request()

    def log_message(self, *_):
        pass


@pytest.fixture
def address():
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.answering = threading.Event()
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        Answers.asked = []
        yield f"http://127.0.0.1:{server.server_port}"
        server.answering.set()
        server.shutdown()
        thread.join()


def test_an_address(address, monkeypatch, raising):
    np.testing.assert_array_equal(np.asarray(read_picture(f"{address}/scene.png")), COLOURS)
    for path, limit, code, values in (
        ("none", {}, "picture-refused", {"address": f"{address}/none", "status": 404, "reason": "Not Found"}),
        ("text", {}, "picture-kind", {"source": f"{address}/text"}),
        ("slow", {"SECONDS_TO_ANSWER": 0.1}, "picture-not-fetched", {"said": "no answer in time"}),
        ("drips", {"SECONDS_TO_ARRIVE": 0.2}, "picture-too-slow", {"address": f"{address}/drips", "seconds": 0.2}),
    ):
        with monkeypatch.context() as patch:
            for name, seconds in limit.items():
                patch.setattr(downloads, name, seconds)
            with raising(PictureError, code, **values) as caught:
                read_picture(f"{address}/{path}")
        assert "\n" not in str(caught.value)
    monkeypatch.setattr(downloads, "LARGEST_DOWNLOAD", 2**20)
    with raising(PictureError, "picture-too-large", address=f"{address}/large", size=1):  # in MiB
        read_picture(f"{address}/large")
    monkeypatch.setattr(downloads, "LARGEST_DOWNLOAD", 20)
    with raising(PictureError, "picture-too-large", address=f"{address}/scene.png", size=0):
        read_picture(f"{address}/scene.png")
    with raising(PictureError, "picture-not-fetched", said=re.compile("refused")):
        read_picture("http://127.0.0.1:9/a.png")
    with raising(PictureError, "picture-not-fetched", address="http://"):
        read_picture("http://")


@pytest.mark.parametrize("path", ["drips_headers", "drips_chunks", "drips_continue", "to/%2Fdrips_headers"])
def test_the_time_bounds_the_whole_exchange(address, monkeypatch, raising, path):
    monkeypatch.setattr(downloads, "SECONDS_TO_ARRIVE", 0.15)
    with raising(PictureError, "picture-too-slow", address=f"{address}/{path}", seconds=0.15):
        read_picture(f"{address}/{path}")


@pytest.mark.parametrize(
    "target", ["ftp://127.0.0.1:9/a.png", "file:///etc/hostname", "data:image/png;base64,AA", "x:a"]
)
def test_what_is_not_followed(address, raising, target):
    with raising(PictureError, "picture-redirected", address=f"{address}/to/{target}", target=target):
        read_picture(f"{address}/to/{target}")


def test_what_is_followed(address, raising):
    for target in ("/scene.png", f"{address}/scene.png", "../scene.png"):
        np.testing.assert_array_equal(np.asarray(read_picture(f"{address}/to/{quote(target, safe='')}")), COLOURS)
    with raising(PictureError, "picture-refused", status=302, reason=re.compile("infinite loop. The last")):
        read_picture(f"{address}/to/{quote('/to/', safe='')}")


def test_a_password_is_given_to_its_server_alone_and_shown_nowhere(address, raising):
    host = address.partition("//")[2]
    read_picture(f"http://me:s%40cret@{host}/scene.png")
    read_picture(f"http://token@{host}/to/%2Fscene.png")
    assert Answers.asked == [
        ("/scene.png", "Basic bWU6c0BjcmV0"),  # me:s@cret
        ("/to/%2Fscene.png", "Basic dG9rZW46"),
        ("/scene.png", None),
    ]
    for source, code in (
        (f"http://me:secret@{host}/none", "picture-refused"), (f"http://me:secret@{host}/text", "picture-kind"),
        (f"http://me:secret@{host}/to/ftp:%2F%2Fme:word@b%2Fc.png", "picture-redirected"),
        ("http://me:secret@127.0.0.1:9/a.png", "picture-not-fetched"), ("ftp://me:secret@b/c.png", "no-picture"),
        ("http://me:sec/ret@b/c.png", "picture-not-fetched"), ("http://me:secret\u2100@b/c.png", "picture-not-fetched"),
        ("http:/me:secret@b/c.png", "no-picture"), ("HTTPS://secret@[::1/c.png", "picture-not-fetched"),
    ):  # fmt: skip
        with raising(PictureError, code) as caught:
            read_picture(source)
        said = f"{caught.value} {caught.value.problems[0].values}"
        assert ("sec" in said, "://***@" in said or ":/***@" in said) == (False, True), said


def test_names_of_pictures():
    for source, name in (
        ("a/b@2x.png", "b@2x.png"), (Path("a/b.png"), "b.png"), ("b.png?c", "b.png?c"),
        ("https://a.org/b.png?k=secret", "b.png"), ("https://me:secret@a.org/b@2x.png#c", "b@2x.png"),
        ("http://me:secret@a.org", "a.org"), ("http://a.org/?k=b/c", "a.org"),
    ):  # fmt: skip
        assert picture_name(source) == name


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no https://me:secret@host/a, nor ftp://you@b", "no https://***@host/a, nor ftp://***@b"),
        ("http://host:8080/a@2x.png", "http://host:8080/a@2x.png"), ("ask a@b.c: 1", "ask a@b.c: 1"),
        ("data/http:/me:se/cret@host/a.png", "data/http:/***@host/a.png"),
        ("https://host: no user me@host", "https://host: no user me@host"), ("C:\\a@b", "C:\\a@b"),
    ],
)  # fmt: skip
def test_addresses_without_their_logins(text, shown, capsys):
    assert without_login(text) == shown
    assert Problem.of("other", "no {a} {b:repr and}", a=text, b=[text]) == f"no {shown} {shown!r}"
    report(text)
    assert capsys.readouterr().err == f"explainrun: {shown}\n"


def test_files_that_are_no_pictures(tmp_path, raising):
    Image.fromarray(COLOURS).resize((300, 200)).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:400])
    (tmp_path / "text.png").write_text("no picture")
    for name, code, values in (
        ("none.png", "no-picture", {}),
        ("", "picture-is-folder", {}),
        ("cut.png", "picture-unreadable", {"said": re.compile("truncated")}),
        ("text.png", "picture-kind", {}),
    ):
        with raising(PictureError, code, source=str(tmp_path / name), **values):
            read_picture(tmp_path / name)
