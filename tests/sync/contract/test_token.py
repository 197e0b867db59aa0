import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.contract.token import BadToken, Token, from_header, make, parse

SCOPES = ("read", "sell", "write")
SECRETS = st.binary(min_size=20, max_size=20)


def test_a_token_and_what_is_stored_of_it():
    token = make("sell", bytes(range(20)), SCOPES)
    assert token.text == "karb_sell_aaaqeayeaudaocajbifqydiob4ibceqt"
    assert token.digest == hashlib.sha256(token.text.encode()).digest()
    assert token.text not in repr(token)


@given(st.sampled_from(SCOPES), SECRETS, SECRETS)
def test_round_trip_and_comparison(scope, secret, other):
    token = make(scope, secret, SCOPES)
    assert parse(token.text, SCOPES) == token
    assert from_header(f"Bearer {token.text}", SCOPES) == token
    assert token.matches(token.digest)
    assert token.matches(make(scope, other, SCOPES).digest) == (secret == other)
    assert not token.matches(b"")


@given(SECRETS, st.data())
def test_a_token_of_another_scope_is_another_token(secret, data):
    one, other = data.draw(st.permutations(SCOPES))[:2]
    assert not make(one, secret, SCOPES).matches(make(other, secret, SCOPES).digest)


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (None, "No Authorization header"),
        ("", "No Authorization header"),
        ("Basic dXNlcjpzZWNyZXQ=", "not of the kind Bearer"),
        ("Bearer", "Token of 0 characters"),
        ("Bearer karb_sell_short", "expected karb_<scope>_"),
        ("Bearer karb_sell_" + "A" * 32, "expected karb_<scope>_"),
        ("Bearer karb_root_" + "a" * 32, "scope 'root': expected one of read, sell, write"),
        ("Bearer karb_sell_" + "a" * 32 + "\n", "expected karb_<scope>_"),
        ("Bearer " + "a" * 10**6, "Token of 1000000 characters"),
    ],
)
def test_bad_headers_are_named_without_their_secret(header, told):
    with pytest.raises(BadToken) as refusal:
        from_header(header, SCOPES)
    message = str(refusal.value)
    assert told in message
    assert len(message) < 200
    assert not header or len(header) < 20 or header[-14:].strip() not in message


@given(st.text() | st.from_regex(r"karb_[a-z]+_[a-z2-7]{32}", fullmatch=True))
def test_any_text_is_a_token_or_refused(text):
    with contextlib.suppress(BadToken):
        token = parse(text, SCOPES)
        assert isinstance(token, Token)
        assert token.scope in SCOPES


@pytest.mark.parametrize(
    ("scope", "secret"), [("root", bytes(20)), ("sell", bytes(19)), ("sell", bytes(21))]
)
def test_making_refuses_unknown_scopes_and_weak_secrets(scope, secret):
    with pytest.raises(BadToken, match="xpected"):
        make(scope, secret, SCOPES)


def test_a_scope_that_would_break_the_form_is_refused():
    with pytest.raises(BadToken):
        make("a_b", bytes(20), ("a_b",))
