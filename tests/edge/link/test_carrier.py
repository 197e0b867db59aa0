"""What is said when the link fails: plain, and the same each time it fails alike."""

import asyncio
import errno
import socket
import ssl
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp.client_exceptions import ClientConnectorDNSError, ClientConnectorError

from edge.link import carrier, tls
from edge.link.carrier import LinkRefused, LinkUnreachable
from sync.errors import BadIdentity

URL = "https://centrala.example:8443/v1/exchange"
KEY = SimpleNamespace(host="centrala.example", port=8443, ssl=object(), is_ssl=True)


def alert():
    made = ssl.SSLError(1, "x")
    made.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    return made


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (TimeoutError(), LinkUnreachable, "no answer (it took too long)"),
        (aiohttp.ServerDisconnectedError(), LinkUnreachable, "no answer (it hung up)"),
        (ConnectionResetError(errno.ECONNRESET, "x"), LinkUnreachable, "no answer (it hung up)"),
        (ClientConnectorError(KEY, ConnectionResetError()), LinkUnreachable, "(it hung up)"),
        (
            ClientConnectorError(KEY, ConnectionRefusedError(errno.ECONNREFUSED, "x")),
            LinkUnreachable,
            "no answer (connection refused)",
        ),
        (
            ClientConnectorDNSError(KEY, socket.gaierror(-2, "x")),
            LinkUnreachable,
            "no answer (its name is not known)",
        ),
        (aiohttp.ClientPayloadError(), LinkUnreachable, "no answer (ClientPayloadError)"),
        (alert(), LinkRefused, "does not take this machine's certificate"),
    ],
)
def test_a_failure_says_where_and_why_and_nothing_that_changes(error, kind, reason):
    said = carrier._failure(URL, error)
    assert type(said) is kind
    assert str(said).startswith("centrala.example:8443: ")
    assert reason in str(said)
    assert "0x" not in str(said)
    assert str(carrier._failure(URL, error)) == str(said)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b'HTTP/1.1 403 no\r\nContent-Length: 18\r\n\r\n{"detail": "gone"}', LinkRefused),
        (b"HTTP/1.1 503 no\r\nContent-Length: 4\r\n\r\nlate", LinkUnreachable),
        (b"HTTP/1.1 404 no\r\nContent-Length: 2\r\n\r\n[]", LinkRefused),
    ],
)
async def test_trouble_of_head_office_s_own_is_no_refusal(answer, kind):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, aiohttp.ClientSession() as client:
        with pytest.raises(kind):
            await carrier.request(
                client, "GET", f"http://127.0.0.1:{port}/", tls.unverified_context()
            )


def test_certificates_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(BadIdentity, match=r"authority.crt"):
        tls.client_context(tmp_path)
    (tmp_path / tls.CERTIFICATE).write_bytes(b"\xff")
    with pytest.raises(BadIdentity, match=r"node.crt.*backup"):
        tls.certificate(tmp_path)
