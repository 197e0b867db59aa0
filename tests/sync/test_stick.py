"""A file carried by hand: whatever happens to it on the way, it is taken whole or refused."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from sync.errors import BadIdentity
from sync.exchange.stick import MAGIC, BadStick, Header, Lock, Writer, check, payloads
from sync.identity import NODE_URI, STORE_URI, fingerprint, node_id, raw_public
from sync.sealing import lock, seal, unlock, unseal

BEGAN = datetime(2026, 9, 1, tzinfo=UTC)
NOW_MS = int(BEGAN.timestamp() * 1000) + 3_600_000
KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in range(5)]


def issued(public, signer, uris, name="node"):
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")]))
        .public_key(public)
        .serial_number(7)
        .not_valid_before(BEGAN)
        .not_valid_after(BEGAN + timedelta(days=90))
        .add_extension(x509.BasicConstraints(ca=not uris, path_length=None), critical=True)
    )
    if uris:
        names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer, None)


def node_certificate(key, signer, store):
    uris = [NODE_URI + node_id(raw_public(key.public_key())).hex()]
    return issued(key.public_key(), signer, uris + ([STORE_URI + store] if store else []))


AUTHORITY = issued(KEYS[0].public_key(), KEYS[0], [], "authority")
OTHER = issued(KEYS[1].public_key(), KEYS[1], [], "authority")


def made(parts=(b"hello", b"facts"), *, key=KEYS[2], writer=None, authority=AUTHORITY, **more):
    file = io.BytesIO()
    certificate = writer or node_certificate(KEYS[2], KEYS[0], "S1")
    said = {"store": "S1", "written_ms": NOW_MS, "keys": {}} | more
    header = Header(fingerprint(authority), writer=certificate.public_bytes(Encoding.DER), **said)
    writing = Writer(file, header)
    for part in parts:
        writing.add(part)
    size = writing.end(key)
    assert size == len(file.getvalue())
    return file.getvalue()


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=6))
def test_what_was_put_on_it_comes_off_it(parts):
    file = io.BytesIO(made(parts))
    header, writer = check(file, AUTHORITY)
    assert (header.store, writer.store) == ("S1", "S1")
    assert list(payloads(file)) == parts


WHOLE = made()


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 7))
def test_no_flipped_bit_is_taken(at, bit):
    damaged = bytearray(WHOLE)
    damaged[at] ^= 1 << bit
    with pytest.raises(BadStick) as refused:
        check(io.BytesIO(bytes(damaged)), AUTHORITY)
    assert str(refused.value).endswith(".")


@given(st.integers(0, len(WHOLE) - 1))
def test_no_part_of_it_is_taken_and_it_says_so(length):
    with pytest.raises(BadStick) as refused:
        check(io.BytesIO(WHOLE[:length]), AUTHORITY)
    said = str(refused.value)
    if length == 0:
        assert "empty" in said
    elif length >= len(MAGIC) + 8:
        assert f"expected {len(WHOLE)} bytes, got {length}" in said
    else:
        assert "cut off" in said


@given(st.binary(min_size=1, max_size=400))
def test_nothing_else_is_taken(content):
    for file in (content, MAGIC + content, WHOLE + content):
        with pytest.raises(BadStick):
            check(io.BytesIO(file), AUTHORITY)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (made(authority=OTHER, writer=node_certificate(KEYS[2], KEYS[1], "S1")), "another chain"),
        (made(writer=node_certificate(KEYS[2], KEYS[1], "S1")), "not issued by this head office"),
        (made(key=KEYS[3]), "did not sign"),
        (made(store="S2"), "of store S1"),
        (made(written_ms=NOW_MS + 91 * 24 * 3_600_000), "valid until"),
        (b"PK\x03\x04 a picture", "no file of Karb's"),
    ],
)
def test_a_strangers_stick_is_refused_with_a_reason(file, words):
    with pytest.raises(BadStick, match=words):
        check(io.BytesIO(file), AUTHORITY)


def test_it_is_read_long_after_its_writers_certificate_ended():
    header, _ = check(io.BytesIO(made()), AUTHORITY)  # the machine's date is not asked
    assert header.written_ms == NOW_MS


@given(st.binary(max_size=64), st.binary(min_size=32, max_size=32))
def test_only_the_one_it_is_for_opens_what_is_sealed(secret, ephemeral):
    sealed = seal(secret, raw_public(KEYS[3].public_key()), ephemeral)
    assert unseal(sealed, KEYS[3]) == secret
    assert secret not in sealed or len(secret) < 4
    for key, changed in ((KEYS[4], sealed), (KEYS[3], sealed[:-1]), (KEYS[3], b"")):
        with pytest.raises(BadIdentity):
            unseal(changed, key)


@given(st.dictionaries(st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32)))
def test_who_finds_a_stick_has_no_persons_keys(keys):
    receiver, finder = KEYS[3], KEYS[4]
    node = node_id(raw_public(receiver.public_key()))
    own = Lock(bytes(range(32)))
    sealed = own.for_nodes({node: raw_public(receiver.public_key())}, bytes(range(1, 33)))
    header = Header(bytes(32), "S1", b"", 0, sealed)
    closed = own.close(keys)
    assert not any(key in value for key, value in zip(keys.values(), closed.values(), strict=True))
    assert Lock.of(header, node, receiver).open(closed) == keys
    assert Lock.of(header, node, finder) is None
    assert Lock.of(header, b"another", receiver) is None
    assert Lock(bytes(32)).open(closed) == {}


def test_a_lock_is_of_one_name():
    locked = lock(bytes(32), b"one", b"secret")
    assert unlock(bytes(32), b"one", locked) == b"secret"
    assert unlock(bytes(32), b"two", locked) is None


def test_the_map_between_the_curves_is_the_known_one():
    """RFC 7748's base point u = 9 is the image of Ed25519's, y = 4/5 (RFC 8032)."""
    p = 2**255 - 19
    y = (4 * pow(5, -1, p) % p).to_bytes(32, "little")
    from sync.sealing import _montgomery  # noqa: PLC0415 - what is looked at

    assert _montgomery(y) == (9).to_bytes(32, "little")
