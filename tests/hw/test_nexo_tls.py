"""A terminal proves over TLS that it is one of its maker's, and by the shared key which one."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hw.errors import DeviceMisconfigured, DeviceUnavailable
from hw.payment import Approved, PaymentIntent
from tests.contract.rigs import NexoRig


def certificate(name, key, issuer, issuer_key, *, ca):
    def named(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
async def rig(tmp_path):
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    other_key = ec.generate_private_key(ec.SECP256R1())
    root = certificate("Maker", root_key, "Maker", root_key, ca=True)
    # The name is that of the terminal, as on real ones, and none the network knows.
    leaf = certificate("S1E-1.test.terminal.example", key, "Maker", root_key, ca=False)
    other = certificate("Other", other_key, "Other", other_key, ca=True)
    (tmp_path / "root.pem").write_bytes(pem(root))
    (tmp_path / "other.pem").write_bytes(pem(other))
    (tmp_path / "leaf.pem").write_bytes(
        pem(leaf)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "leaf.pem")
    rig = NexoRig(tmp_path)
    (tmp_path / "key").write_text(rig.passphrase)
    host, port = await rig.simulator.cable.listen(tls=context)
    rig.url = f"https://{host}:{port}/nexo"
    yield rig
    await rig.stop()


async def test_a_terminal_of_its_maker_is_paid_at(rig):
    terminal = rig.make(ca_file=str(rig.folder / "root.pem"))
    await terminal.open()
    outcome = await terminal.pay(PaymentIntent(attempt="A", sale="S", amount_minor=100))
    assert isinstance(outcome, Approved)
    await terminal.close()


@pytest.mark.parametrize(
    ("options", "names"),
    [({"ca_file": "other.pem"}, "certificate"), ({}, "ca_file"), ({"ca_file": "none"}, "none")],
)
async def test_another_is_not(rig, options, names):
    options = {name: str(rig.folder / value) for name, value in options.items()}
    terminal = rig.make(**options)
    with pytest.raises(DeviceMisconfigured, match=names):
        await terminal.open()
    assert rig.books.record == []


async def test_one_without_the_shared_key_is_not(rig):
    (rig.folder / "key").write_text("another passphrase")
    terminal = rig.make(ca_file=str(rig.folder / "root.pem"))
    with pytest.raises(DeviceUnavailable, match="answer"):
        await terminal.open()
