"""Who is a member is known after each commit as if it had been read anew."""

import contextlib
import secrets

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from central.ledger import author
from central.ledger.published import load_members
from central.ledger.views import rebuild
from sync.facts.node import NodeEnrolled, NodeRevoked
from sync.identity import node_id, raw_public
from tests.central.machine import request

KEYS = [Ed25519PrivateKey.generate() for _ in range(3)]
NODES = [node_id(raw_public(key.public_key())) for key in KEYS]
STEPS = st.tuples(
    st.sampled_from(("S1", "S2")),
    st.integers(0, len(KEYS) - 1),
    st.sampled_from(("enrol", "again", "revoke", "rolled back", "rebuild")),
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.lists(STEPS, max_size=3), max_size=6))
def test_members_are_what_the_tables_say(new_desk, steps):
    with new_desk() as desk:

        def certificate(store, number):
            csr = x509.load_pem_x509_csr(request(KEYS[number]).encode())
            return desk.authority.node_from(csr, store).public_bytes(Encoding.DER)

        def tell(unit, store, number, what):
            if what == "rebuild":
                rebuild(unit)
                return
            told = NodeEnrolled(NODES[number], store, certificate(store, number), what)
            if what == "revoke":
                told = NodeRevoked(NODES[number], "lost")
            author.write(unit, store, [(secrets.token_bytes(16), told)])
            if what == "rolled back":
                raise LookupError

        def together(unit, part):
            for step in part:
                tell(unit, *step)

        for part in steps:
            with contextlib.suppress(LookupError):
                desk.write(lambda unit, part=part: together(unit, part))
            with desk.ledger._database.reading() as connection:
                assert desk.ledger.published.members == load_members(connection)


def test_a_machine_that_is_enrolled_costs_no_reading_of_the_others(desk, monkeypatch):
    desk.member("S1")
    read = []
    monkeypatch.setattr(
        x509,
        "load_der_x509_certificate",
        lambda der, real=x509.load_der_x509_certificate: read.append(der) or real(der),
    )
    desk.member("S2")
    assert len(read) <= 2
