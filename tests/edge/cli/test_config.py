import tomllib
from pathlib import Path

import pytest

from edge.config import BadConfig, Lan, Listen, first_file, load, masked, moved, parse, parse_listen
from sync.rules import in_store

DATA = Path("/data")
LEAST = {"name": "kasa-1", "store": "KRK1", "central": "https://c.example:8443"}


def mistakes(**table):
    with pytest.raises(BadConfig) as caught:
        parse(LEAST | table, DATA)
    return caught.value.mistakes


def test_the_file_of_a_new_node_is_whole(tmp_path):
    text = first_file('kasa "1"\\', "KRK1", "https://c.example:8443")
    (tmp_path / "karb.toml").write_text(text, encoding="utf-8")
    config = load(tmp_path)
    assert (config.name, config.store) == ('kasa "1"\\', "KRK1")
    assert str(config.listen) == "127.0.0.1:8787"
    assert [till.id for till in config.tills] == ["T1"]
    commented = "\n".join(line.removeprefix("# ") for line in text.splitlines())
    assert parse(tomllib.loads(commented), tmp_path).devices[0].driver == "printer.escpos"


def test_the_lan_and_neighbours_given_by_hand():
    peers = [{"url": "https://10.0.0.7:8788/"}]
    config = parse(LEAST | {"lan": {"listen": "10.0.0.5:9000"}, "peers": peers}, DATA)
    assert config.lan == Lan(Listen("10.0.0.5", 9000), discover=True, interfaces=())
    assert config.peers == ("https://10.0.0.7:8788",)
    assert parse(LEAST | {"lan": {}}, DATA).lan == Lan(Listen("0.0.0.0", 8788))
    assert parse(LEAST, DATA).lan is None


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"lan": 7}, "lan: expected a table written [lan], got 7"),
        ({"lan": {"lisen": "x"}}, "lan.lisen: unknown; did you mean listen?"),
        ({"lan": {"listen": "kasa:1"}}, "lan.listen: expected an address of this machine"),
        ({"lan": {"listen": "here"}}, "lan.listen: expected HOST:PORT, as 0.0.0.0:8788"),
        ({"lan": {"discover": "yes"}}, "lan.discover: expected true or false, got 'yes'"),
        ({"lan": {"interfaces": ["eth0"]}}, "lan.interfaces: expected addresses of this machine"),
        ({"peers": [{"url": "http://10.0.0.7"}]}, "peers[0].url: expected an address as https://"),
    ],
)
def test_mistakes_about_neighbours_are_told(table, told):
    assert any(told in mistake for mistake in mistakes(**table)), mistakes(**table)


def test_devices_and_their_options():
    config = parse(
        LEAST
        | {
            "tills": [{"id": "T1"}, {"id": "T2"}],
            "devices": [
                {
                    "id": "printer",
                    "driver": "printer.escpos",
                    "url": "tcp:10.0.0.5:9100",
                    "till": "T2",
                    "options": {"columns": 42, "kanji_off": True, "job_timeout_s": 1.5},
                }
            ],
        },
        DATA,
    )
    (device,) = config.devices
    assert device.till == "T2"
    assert device.options == {"columns": "42", "kanji_off": "yes", "job_timeout_s": "1.5"}


def test_the_shop_s_own_labels():
    config = parse(LEAST | {"labels": {"29": "ttttvwwwww", "23": "TTTTTTTTTT"}}, DATA)
    assert config.labels == in_store.DEFAULT | {"29": "TTTTVWWWWW", "23": in_store.PLAIN}
    assert parse(LEAST, DATA).labels == in_store.DEFAULT
    told = mistakes(labels={"29": "TTTTTWWWW", "28": 7, "30": "TTTTTWWWWW"})
    assert any("labels.29: expected ten letters" in mistake for mistake in told)
    assert any("labels.28: expected ten letters" in mistake for mistake in told)
    assert any("labels.30: unknown" in mistake for mistake in told)


def test_all_mistakes_are_told_together_with_suggestions():
    told = "\n".join(
        mistakes(
            langauge="pl",
            language="de",
            store=7,
            central="http://c",
            listen="here",
            clock="sundial",
            tills=[{"id": "T 1"}, {"id": "T2", "printer": "x"}, {"id": "T2"}],
            devices=[
                {"id": "p", "driver": "printer.escpoz", "url": "", "till": "T7"},
                {"id": "p", "driver": "scanner.serial", "url": "serial:/x", "options": {"a": []}},
                {"id": "q", "driver": "scanner.serial", "url": "serial:/x", "till": 3},
            ],
        )
    )
    for part in (
        "langauge: unknown; did you mean language?",
        "language: expected pl or en, got 'de'",
        "store: expected a text, got 7",
        "central: expected an address as https",
        "listen: expected HOST:PORT",
        "clock: expected auto or rtc or none",
        "tills[0].id: expected 1 to 20 letters",
        "tills[1].printer: unknown",
        "tills: id 'T2' is given twice",
        "did you mean printer.escpos?",
        "devices[0].url: expected a text",
        "devices: id 'p' is given twice",
        "'p' belongs to till 'T7'",
        "devices[1].options: expected a table",
        "devices[2].till: expected the id of a till",
    ):
        assert part in told


def test_beyond_this_machine_only_with_tls():
    assert "--tls-cert" in "".join(mistakes(listen="0.0.0.0:8787"))
    assert "both or neither" in "".join(mistakes(tls_cert="a.pem"))
    served = parse(LEAST | {"listen": "[::]:8787", "tls_cert": "a", "tls_key": "/k"}, DATA)
    assert (served.tls_cert, served.tls_key) == (DATA / "a", Path("/k"))
    config = parse(LEAST, DATA)
    with pytest.raises(BadConfig, match="has no TLS"):
        moved(config, "192.168.1.7:80", None, None)
    with pytest.raises(BadConfig, match="expected HOST:PORT"):
        moved(config, "8787", None, None)
    assert moved(config, "[::1]:0", None, None).listen == Listen("::1", 0)


@pytest.mark.parametrize("text", ["", ":80", "host", "host:x", "host:70000", "::1:80", "h:-1"])
def test_what_is_no_address(text):
    with pytest.raises(ValueError, match="expected HOST:PORT"):
        parse_listen(text)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(BadConfig, match="karb init"):
        load(tmp_path)
    (tmp_path / "karb.toml").write_text("name = ", encoding="utf-8")
    with pytest.raises(BadConfig, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "karb.toml").write_bytes(b'name = "\xff"')
    with pytest.raises(BadConfig, match="cannot be read"):
        load(tmp_path)


def test_secrets_are_not_shown():
    assert masked({"url": "x", "api_key": "s", "Password": "s", "pin": "1"}) == {
        "url": "x",
        "api_key": "***",
        "Password": "***",
        "pin": "***",
    }
    assert "hunter2" not in "".join(mistakes(token="hunter2"))
