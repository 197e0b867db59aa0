"""Ask the node that runs in a data folder, over HTTP, with the token it left there."""

import http.client
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from edge import folder
from edge.cli.say import FAILED, REFUSED, UNREACHABLE, Failure

TIMEOUT_S = 300.0
"""A verification of a big journal takes its time."""

_PARTIAL_CHAIN = 0x80000
"""X509_V_FLAG_PARTIAL_CHAIN of OpenSSL: the served certificate itself is what we trust."""


def ask(data: Path, method: str, path: str, body: Any = None) -> Any:
    """Return the JSON answer of the running node.

    Raises:
        Failure: It does not answer (3), refuses (4), or failed (1).
    """
    try:
        told, token = folder.told(data)
    except (OSError, ValueError) as error:
        raise Failure(UNREACHABLE, f"{data}: runs, but is not up yet; ask again.") from error
    connection = _connection(told)
    headers = {"Authorization": f"Bearer {token}"}
    content = None
    if body is not None:
        content = msgspec.json.encode(body)
        headers["Content-Type"] = "application/json"
    try:
        connection.request(method, path, content, headers)
        response = connection.getresponse()
        answer = msgspec.json.decode(response.read())
    except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
        raise Failure(
            UNREACHABLE, f"{told.address} (process {told.pid}): no answer: {error}."
        ) from error
    finally:
        connection.close()
    if response.status >= http.client.BAD_REQUEST:
        raise Failure(_code(response.status), str(answer.get("detail", answer)))
    return answer


def _code(status: int) -> int:
    if status == http.client.SERVICE_UNAVAILABLE:
        return UNREACHABLE
    return FAILED if status >= http.client.INTERNAL_SERVER_ERROR else REFUSED


def _connection(told: folder.Running) -> http.client.HTTPConnection:
    parts = urlsplit(told.address)
    host, port = parts.hostname or "127.0.0.1", parts.port
    if host in ("0.0.0.0", "::"):  # noqa: S104 - where it listens, not where we do
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    context = ssl.create_default_context(cafile=told.tls_cert)
    # Its own certificate is the only one trusted, whatever name this machine calls it by.
    context.check_hostname = False
    context.verify_flags |= _PARTIAL_CHAIN
    return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
