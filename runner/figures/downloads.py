"""Pictures fetched from http(s) addresses: within a time that bounds the whole exchange, and from nowhere else."""

from __future__ import annotations

import io
import re
import time
from base64 import b64encode
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import (
    AbstractHTTPHandler,
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from ...summary_format.names import without_login
from ...summary_format.problem import Problem
from ..data.pictures import PictureError

SECONDS_TO_ANSWER = 20
SECONDS_TO_ARRIVE = 120
LARGEST_DOWNLOAD = 64 * 2**20
_CHUNK = 2**16
_SCHEMES = ("http", "https")


def is_address(source: str) -> bool:
    """Whether a picture is named by an http(s) address."""
    return source.lower().startswith(tuple(f"{scheme}://" for scheme in _SCHEMES))


def downloaded(address: str) -> bytes:
    """What an http(s) address gives.

    Raises:
        PictureError: if it cannot be had, takes too long or is too large.
    """
    shown, deadline = without_login(address), time.monotonic() + SECONDS_TO_ARRIVE
    try:
        with _opener(shown, deadline).open(_request(address), timeout=SECONDS_TO_ANSWER) as answer:
            return _content(answer, shown)
    except PictureError:
        raise
    except HTTPError as error:
        words = "{address} cannot be fetched: the server says {status} {reason}"
        values = {"address": shown, "status": error.code, "reason": " ".join(str(error.reason).split())}
        raise PictureError(Problem.of("picture-refused", words, **values)) from error
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError) and time.monotonic() >= deadline:
            words = "{address} did not arrive within {seconds} seconds"
            raise PictureError(
                Problem.of("picture-too-slow", words, address=shown, seconds=SECONDS_TO_ARRIVE)
            ) from error
        said = "no answer in time" if isinstance(reason, TimeoutError) else " ".join(str(reason).split())
        words = "{address} cannot be fetched: {said}"
        raise PictureError(Problem.of("picture-not-fetched", words, address=shown, said=said)) from error


def _content(answer: HTTPResponse, shown: str) -> bytes:
    content = bytearray()
    while chunk := answer.read1(_CHUNK):
        content += chunk
        if len(content) > LARGEST_DOWNLOAD:
            words, size = "{address} is larger than {size} MiB; fetch it yourself", LARGEST_DOWNLOAD // 2**20
            raise PictureError(Problem.of("picture-too-large", words, address=shown, size=size))
    return bytes(content)


def _request(address: str) -> Request:
    """What is asked of a server; a name and password in the address go to that server alone.

    Raises:
        ValueError: if the address is none.
    """
    try:
        parts = urlsplit(address)
    except ValueError:  # which may show a password
        raise ValueError("it is not an address") from None
    login, at, host = parts.netloc.rpartition("@")
    if re.search(r":(?!\d*$)[^]]*$", host):
        raise ValueError("its port is not a number; in a name or password / is written %2F, ? %3F and # %23")
    request = Request(urlunsplit(parts._replace(netloc=host)))
    request.add_header("User-Agent", "explainrun")  # some servers refuse Python's own
    if at:
        name, _, password = unquote(login).partition(":")
        coded = b64encode(f"{name}:{password}".encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {coded}")
    return request


def _opener(shown: str, deadline: float) -> OpenerDirector:
    opener = OpenerDirector()
    handlers = (ProxyHandler(), _Http(deadline), _Https(deadline), _Redirects(shown))
    for handler in (*handlers, HTTPDefaultErrorHandler(), HTTPErrorProcessor()):
        opener.add_handler(handler)
    return opener


class _Redirects(HTTPRedirectHandler):
    """Follows redirects to http(s) addresses alone."""

    def __init__(self, shown: str) -> None:
        self._shown = shown

    def http_error_302(self, req: Request, fp: Any, code: int, msg: str, headers: Any) -> Any:
        target = headers.get("location") or headers.get("uri") or ""
        if urlsplit(target).scheme.lower() not in (*_SCHEMES, ""):
            words = "{address} leads to {target}, which is not an http(s) address"
            values = {"address": self._shown, "target": without_login(target)}
            raise PictureError(Problem.of("picture-redirected", words, **values))
        fp.close()  # else what comes with the redirect is read, however much that is
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


class _Bounded(AbstractHTTPHandler):
    """Has connections whose reading ends at a deadline, however often a server sends a little."""

    def __init__(self, deadline: float) -> None:
        super().__init__()
        self._deadline = deadline

    def do_open(self, http_class: Callable[..., HTTPConnection], req: Request, **options: Any) -> Any:
        def connection(*given: Any, **named: Any) -> HTTPConnection:
            made = http_class(*given, **named)
            made.response_class = self._response  # type: ignore[assignment]  # which is only called
            return made

        return super().do_open(connection, req, **options)

    def _response(self, sock: Any, *given: Any, **named: Any) -> HTTPResponse:
        response = HTTPResponse(sock, *given, **named)
        response.fp = io.BufferedReader(_Reading(response.fp.detach(), sock, self._deadline))
        return response


class _Http(_Bounded, HTTPHandler):
    pass


class _Https(_Bounded, HTTPSHandler):
    pass


class _Reading(io.RawIOBase):
    """What a socket gives, until a deadline."""

    def __init__(self, raw: io.RawIOBase, sock: Any, deadline: float) -> None:
        self._raw, self._sock, self._deadline = raw, sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(min(left, SECONDS_TO_ANSWER))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
