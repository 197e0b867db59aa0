"""Each parser, each module that parses, and the long form: `python -m tests.decoders.fuzz`."""

import ast
import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decoders.fuzz import main
from tests.decoders.mutation import spoilt
from tests.decoders.parsers import OWN, PARSERS

ROOT = Path(__file__).parents[2]
DECODERS = {
    "decode",
    "Decoder",
    "loads",
    "unpack",
    "unpack_from",
    "decompress",
    "convert",
    "fromhex",
    "b64decode",
    "urlsafe_b64decode",
    "b32decode",
    "load_der_x509_certificate",
    "load_pem_x509_certificate",
    "load_pem_x509_csr",
    "load_pem_private_key",
    "reader",
}
"""Calls by which bytes or text become values."""

OF_TEXT = {"decode"}
"""Calls that are a decoder only with a module of ours or of a library before them: `b"".decode()`
makes text of bytes, and is looked at where it is read."""

LIBRARY = re.compile(r"msgspec\.\w+\.decode|_?decode(r|rs|)\.decode|_DECODER\w*\.decode")
DEMO = "edge.demo"


def decodes(tree):
    """Whether a module calls a decoder."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name not in DECODERS:
            continue
        if name in OF_TEXT and not LIBRARY.fullmatch(ast.unparse(node.func)):
            continue
        return True
    return False


def test_every_module_that_decodes_is_on_the_list():
    known = {parser.where for parser in PARSERS} | set(OWN)
    found = set()
    for package in ("sync", "hw", "edge", "central"):
        for path in (ROOT / package).rglob("*.py"):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            module = module.removesuffix(".__init__")
            if not module.startswith(DEMO) and decodes(ast.parse(path.read_text("utf-8"))):
                found.add(module)
    assert found <= known, f"say what they parse in tests/decoders/parsers.py: {found - known}"
    assert set(OWN) <= found, f"decode nothing any more: {set(OWN) - found}"
    assert not set(OWN) & {parser.where for parser in PARSERS}


# What bytes nobody would issue can hold, `cryptography` takes, and says that it will not for long.
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_spoilt_bytes_end_in_a_declared_error(parser):
    samples = parser.samples()

    @given(spoilt(samples), st.none())
    @settings(max_examples=40)
    def fed(data, _):
        try:
            parser.feed(data)
        except parser.raises:
            return

    fed()


def test_the_part_of_the_proof(tmp_path):
    told = main("short", 1, tmp_path / "decoders.json")
    assert (told["corrupt"], told["stuck"]) == (0, 0), told["notes"]
    assert told["cases"] > 200 * len(PARSERS)
    assert told["faults"]["inputs refused"] > told["faults"]["inputs taken"] > 0


DEEP = b'{"a":' * 2000
NO_VERSION = bytes.fromhex("a003020112")


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("an enrolment code", lambda sound: sound[:5] + "Ł".encode() + sound[6:]),
        ("an address to listen on, head office", lambda sound: sound + b"9" * 5000),
        ("an address to listen on, store", lambda sound: sound + b"9" * 5000),
        ("EnrolRequest at head office", lambda _: DEEP),
        ("EnrolRequest at head office", lambda _: b'{"secret":"\xdd"}'),
        ("a certificate, read", lambda sound: sound.replace(b"\xa0\x03\x02\x01\x02", NO_VERSION)),
        (
            "an author's certificate at head office",
            lambda sound: sound.replace(b"\xa0\x03\x02\x01\x02", NO_VERSION),
        ),
        ("what head office refuses with", lambda _: DEEP),
        ("a basket in a document", lambda sound: sound[:-1] + b',"more":' + DEEP),
        ("karb.toml", lambda sound: sound.split(b"\n")[0] + b"\nstore = " + b"9" * 5000),
        ("karb.toml", lambda sound: sound.split(b"\n")[0] + b"\nstore = " + b"[" * 3000),
        ("a NoviAPI printer's answers", lambda sound: sound.replace(b"12,", b"1e999,")),
        ("a service on the LAN", lambda _: "²-²".encode()),
    ],
)
def test_what_once_ended_in_another_error(name, spoil):
    parser = next(one for one in PARSERS if one.name == name)
    with contextlib.suppress(*parser.raises):
        parser.feed(spoil(parser.samples()[0]))
