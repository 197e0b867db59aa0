"""An Adyen-like terminal on a real socket: HTTP, sealed nexo messages, its own books.

    python -m hw.nexo.simulator --listen 127.0.0.1:8443 --key-file FILE

prints the address it listens on (plain HTTP: the seal is what is simulated). Accidents are
switched by lines on standard input: those of the line (`hw.simulated_line`; orders are
`Payment`, `Reversal`, `TransactionStatus`, `Diagnosis`, `GetTotals`, `Abort`), and `decline
CONDITION | off` (`Refusal`, `WrongPIN` …), `host online | offline`, `cashback on | off`,
`busy on | off`, `customer waits | pays | leaves`, `means NAME`.

It puts the card's number where real answers have masked ones, and where none should be.
"""

import argparse
import asyncio
import secrets
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from hw.acquirer import CARD, Acquirer, Transaction
from hw.console import serve
from hw.errors import DeviceUnavailable
from hw.nexo.codec import REQUEST, RESPONSE, Header, header_json, major, message, minor
from hw.nexo.sealed import VECTOR, SharedKey, seal, unseal
from hw.simulated_line import Cable, Line

Body = dict[str, Any]
OK: Body = {"Result": "Success"}

_decoder = msgspec.json.Decoder(dict[str, dict[str, Any]], float_hook=Decimal)


class NexoSimulator:
    """One terminal; its books outlive its lines."""

    def __init__(self, key: SharedKey) -> None:
        self.key = key
        self.books = Acquirer()
        self.cable = Cable(self._serve)
        self._ends: dict[str, tuple[str, Body]] = {}
        """Category and body of the answer to each order, by ServiceID."""

        self._work: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Switch off; the books stay."""
        for task in (tasks := list(self._work)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.cable.close()

    async def _serve(self, line: Line) -> None:
        """One HTTP request; the till closes the connection."""
        got = b""
        while data := await line.read():
            got += data
            head, end, body = got.partition(b"\r\n\r\n")
            if end and len(body) >= _length(head):
                got = b""
                self._take(line, body)

    def _take(self, line: Line, body: bytes) -> None:
        try:
            plain = unseal(self.key, REQUEST, body)
        except DeviceUnavailable:
            line.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
            return
        told = _decoder.decode(plain)[REQUEST]
        header = msgspec.convert(told["MessageHeader"], Header)
        category = header.MessageCategory
        if line.dropped(category):
            return
        asked = told[f"{category}Request"]
        if category in {"Payment", "Reversal"}:
            # Beside the line: a payment goes on when the line falls.
            task = asyncio.create_task(self._order(line, header, asked), name="simulated payment")
            self._work.add(task)
            task.add_done_callback(self._work.discard)
        elif category == "Abort":
            self.books.abort()
            line.answer("Abort", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        else:
            answers = {
                "TransactionStatus": self._status,
                "Diagnosis": self._diagnosis,
                "GetTotals": self._totals,
            }
            self._answer(line, header, answers[category](header, asked))

    async def _order(self, line: Line, header: Header, asked: Body) -> None:
        category, service = header.MessageCategory, header.ServiceID
        if service in self._ends or self.books.at_work == service:
            self._answer(line, header, _failed("NotAllowed"))
            return
        if self.books.busy or self.books.at_work is not None:
            self._answer(line, header, _failed("Busy"))
            return
        if category == "Payment":
            await self.books.customer_is_done(service)
            self._ends[service] = category, self._pay(service, asked)
        else:
            self._ends[service] = category, self._reverse(service, asked)
        self._answer(line, header, self._ends[service][1])

    def _pay(self, service: str, asked: Body) -> Body:
        amounts = asked["PaymentTransaction"]["AmountsReq"]
        cashback = minor(Decimal(amounts.get("CashBackAmount", 0)))
        amount = minor(Decimal(amounts["RequestedAmount"])) - cashback
        refund = asked.get("PaymentData", {}).get("PaymentType") == "Refund"
        done = self.books.carry_out(
            service,
            "refund" if refund else "sale",
            amount,
            cashback_minor=cashback,
            currency=amounts["Currency"],
        )
        return _ended(done)

    def _reverse(self, service: str, asked: Body) -> Body:
        original = asked["OriginalPOITransaction"]["POITransactionID"]["TransactionID"]
        found = next((t for t in self.books.taken() if t.reference == original), None)
        if found is None:
            return _failed("NotFound")
        done = self.books.carry_out(
            service, "reversal", found.amount_minor, cashback_minor=found.cashback_minor
        )
        if done.result != "approved":
            return _ended(done)
        return {
            "Response": OK,
            "POIData": {"POITransactionID": _reference(done)},
            "ReversedAmount": major(found.amount_minor + found.cashback_minor),
        }

    def _status(self, header: Header, asked: Body) -> Body:
        service = asked["MessageReference"]["ServiceID"]
        if self.books.at_work == service:
            return _failed("InProgress")
        if service not in self._ends:
            return _failed("NotFound")
        category, body = self._ends[service]
        original = {
            "MessageClass": "Service",
            "MessageCategory": category,
            "MessageType": "Response",
            "SaleID": header.SaleID,
            "POIID": header.POIID,
            "ServiceID": service,
        }
        repeated = {
            "MessageHeader": original,
            "RepeatedResponseMessageBody": {f"{category}Response": body},
        }
        return {"Response": OK, "RepeatedMessageResponse": repeated}

    def _diagnosis(self, _header: Header, _asked: Body) -> Body:
        online = not self.books.offline
        return {
            "Response": OK,
            "POIStatus": {"CommunicationOKFlag": online, "GlobalStatus": "OK"},
            "HostStatus": [{"AcquirerID": "1", "IsReachableFlag": online}],
        }

    def _totals(self, _header: Header, _asked: Body) -> Body:
        sides = {"Debit": self.books.taken(), "Credit": self.books.given_back()}
        rows = [
            {
                "TransactionType": side,
                "TransactionCount": len(rows),
                "TransactionAmount": major(sum(t.amount_minor + t.cashback_minor for t in rows)),
            }
            for side, rows in sides.items()
        ]
        return {"Response": OK, "TransactionTotals": [{"PaymentTotals": rows}]}

    def _answer(self, line: Line, header: Header, body: Body) -> None:
        category = header.MessageCategory
        back = msgspec.structs.replace(header, MessageType="Response")
        plain = message(RESPONSE, back, f"{category}Response", body)
        nonce = secrets.token_bytes(VECTOR)
        data = seal(self.key, RESPONSE, header_json(back), plain, nonce)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(data)}"
        line.answer(category, head.encode() + b"\r\n\r\n" + data)


def _ended(done: Transaction) -> Body:
    if done.result != "approved":
        condition = {"aborted": "Aborted", "offline": "UnreachableHost"}.get(
            done.reason, done.reason
        )
        return _failed(condition)
    return {
        "Response": {**OK, "AdditionalResponse": f"pan={CARD}&track2=;{CARD}=30121015432112345?"},
        "POIData": {"POITransactionID": _reference(done)},
        "PaymentResult": {
            "PaymentInstrumentData": {
                "PaymentInstrumentType": "Card",
                "CardData": {"PaymentBrand": done.means, "MaskedPan": CARD, "PAN": CARD},
            },
            "AmountsResp": {
                "Currency": done.currency,
                "AuthorizedAmount": major(done.amount_minor + done.cashback_minor),
                "CashBackAmount": major(done.cashback_minor),
            },
            "PaymentAcquirerData": {
                "ApprovalCode": done.auth_code,
                "MerchantID": "KarbPOS",
                "AcquirerPOIID": "S1E-000150182500001",
                "AcquirerTransactionID": {"TransactionID": CARD},
            },
        },
        "PaymentReceipt": [{"OutputContent": {"OutputText": [{"Text": f"KARTA {CARD}"}]}}],
    }


def _failed(condition: str) -> Body:
    text = f"refused {CARD}"
    return {
        "Response": {"Result": "Failure", "ErrorCondition": condition, "AdditionalResponse": text}
    }


def _reference(done: Transaction) -> Body:
    return {"TransactionID": done.reference, "TimeStamp": done.at.isoformat()}


def _length(head: bytes) -> int:
    for row in head.split(b"\r\n"):
        name, _, value = row.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def obey(simulator: NexoSimulator, line: str) -> None:
    """Do what one line of the console says.

    Raises:
        ValueError: It says nothing we know.
    """
    words = line.split()
    if not (simulator.cable.obey(words) or simulator.books.obey(words)):
        raise ValueError(f"unknown: {line!r}; see the head of hw/nexo/simulator.py")


async def main(arguments: list[str]) -> None:
    """Run until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m hw.nexo.simulator")
    parser.add_argument("--listen", default="127.0.0.1:8443", metavar="HOST:PORT")
    parser.add_argument("--key-file", type=Path, required=True, help="holds the passphrase")
    parser.add_argument("--key-id", default="karb")
    parser.add_argument("--key-version", type=int, default=1)
    options = parser.parse_args(arguments)
    passphrase = options.key_file.read_text(encoding="utf-8").strip()
    simulator = NexoSimulator(SharedKey.derive(options.key_id, options.key_version, passphrase))
    host, _, port = options.listen.rpartition(":")
    try:
        address = await simulator.cable.listen(host, int(port))
        where = f"http://{address[0]}:{address[1]}/nexo"
        await serve(where, lambda line: obey(simulator, line))
    finally:
        await simulator.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
