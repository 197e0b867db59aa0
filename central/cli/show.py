"""Results in words."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any


def init(told: dict[str, Any]) -> str:
    """Of `init`."""
    return (
        f"Head office made in {told['data']}.\n"
        f"Authority {told['fingerprint'][:32]}\n"
        "Next: karb-central store add, then karb-central run."
    )


def store_add(told: dict[str, Any]) -> str:
    """Of `store add`."""
    said = "is known" if told["changed"] else "was known so already"
    return f"Store {told['store']} ({told['name']}) {said}."


def enrol_code(told: dict[str, Any]) -> str:
    """Of `enrol-code`."""
    return (
        f"{told['code']}\n"
        f"Good once, for a machine of store {told['store']}, for {told['minutes']} minutes."
    )


def token_create(told: dict[str, Any]) -> str:
    """Of `token create`."""
    return f"{told['token']}\nShown once. Scope {told['scope']}, for {told['name']}."


def catalogue_import(told: dict[str, Any]) -> str:
    """Of `catalogue import`."""
    if not told["revision"]:
        return f"{told['rows']} rows, nothing new or changed."
    return (
        f"{told['rows']} rows: {told['articles']} articles and {told['prices']} prices "
        f"new or changed, revision {told['revision']}."
    )


def promotions_import(told: dict[str, Any]) -> str:
    """Of `promotions import`."""
    if not told["revision"]:
        return f"{told['rows']} rows, nothing new or changed."
    return (
        f"{told['rows']} rows: {told['changed']} promotions new or changed, "
        f"revision {told['revision']}."
    )


def status(told: dict[str, Any]) -> str:
    """Of `status`."""
    rows = [("store", "name", "link", "sales", "lines", "value", "quarantined")]
    rows += [
        (
            row["id"],
            row["name"],
            _link(row),
            str(row["sales"]),
            str(row["lines"]),
            f"{_money(row['total_minor'])} {row['currency']}",
            str(row["quarantined"]),
        )
        for row in told["stores"]
    ]
    text = table(rows) if told["stores"] else "No stores yet: karb-central store add."
    return "\n".join(
        [text]
        + [
            f"stick refused {moment(row['read_ms'])}: {row['reason']}"
            for row in told["refused_sticks"]
        ]
    )


def sync(told: dict[str, Any]) -> str:
    """Of `sync`."""
    lines = []
    if read := told["read"]:
        lines.append(
            f"{read['file']}: {read['facts']} new facts of store {read['store']}, written "
            f"{moment(read['written_ms'] or None)} by node {read['node'][:12]}."
        )
        lines += [f"Not taken: {what}" for what in read["not_taken"]]
    if written := told["written"]:
        lines.append(
            f"{written['file']}: for store {written['store']}, {written['batches']} batches, "
            f"{written['size']} bytes. There: karb sync --from FILE."
        )
    return "\n".join(lines)


def stock_transfers(told: dict[str, Any]) -> str:
    """Of `stock transfers`."""
    rows = [("transfer", "from", "to", "state", "sent", "arrived", "article", "sent", "arrived")]
    rows += [
        (
            row["transfer"],
            row["from_store"],
            row["to_store"],
            row["state"].replace("_", " "),
            moment(row["sent_ms"]),
            moment(row["arrived_ms"]),
            line["sku"],
            _milli(line["sent_milli"]),
            _milli(line["arrived_milli"]),
        )
        for row in told["transfers"]
        for line in row["lines"]
    ]
    return table(rows) if told["transfers"] else "No transfers yet."


def vat_set(told: dict[str, Any]) -> str:
    """Of `vat set`."""
    said = "from" if told["changed"] else "was known so already, from"
    return f"VAT {told['code']}: {_rate(told)} {said} {_day(told['since'])} on."


def vat_list(told: dict[str, Any]) -> str:
    """Of `vat list`."""
    rows = [("code", "rate", "since", "until")]
    rows += [
        (
            row["code"],
            _rate(row),
            _day(row["since"]),
            _day(row["until"]) if row["until"] else "",
        )
        for row in told["rates"]
    ]
    return table(rows)


def _rate(row: dict[str, Any]) -> str:
    return "exempt" if row["exempt"] else f"{row['basis_points'] / 100:g} %"


def _day(number: int) -> str:
    return f"{number // 10_000}-{number // 100 % 100:02}-{number % 100:02}"


def node_list(told: dict[str, Any]) -> str:
    """Of `node list`."""
    rows = [("node", "store", "name", "enrolled", "heard", "")]
    rows += [
        (
            row["node"],
            row["store"],
            row["name"],
            moment(row["enrolled_ms"]),
            "online" if row["online"] else moment(row["heard_ms"]),
            f"revoked: {row['why']}" if row["revoked"] else "",
        )
        for row in told["nodes"]
    ]
    return table(rows) if told["nodes"] else "No machines yet: karb-central enrol-code."


def node_revoke(told: dict[str, Any]) -> str:
    """Of `node revoke`."""
    said = "revoked" if told["changed"] else "was revoked already"
    return f"Node {told['node']} of store {told['store']} {said}."


def customer_forget(told: dict[str, Any]) -> str:
    """Of `customer forget`."""
    said = "is forgotten" if told["changed"] else "was forgotten already"
    return (
        f"Customer {told['customer']} {said}: {told['keys']} keys destroyed here, and in each "
        "store as it is heard.\nDestroy the .keys files of earlier backups: they hold copies; "
        "a new backup writes one without this customer."
    )


def backup(told: dict[str, Any]) -> str:
    """Of `backup`."""
    counts = f"{told['facts']} facts of {told['streams']} streams"
    return f"{told['file']}: {told['bytes']} bytes, {counts}."


def restore(told: dict[str, Any]) -> str:
    """Of `restore`."""
    return (
        f"{told['file']}: put back, {told['facts']} facts of {told['streams']} streams; what was "
        f"there is in {told['aside']}.\n"
        "At the next start head office begins a new life. What the stores have beyond the copy "
        "comes back as they are heard; until every machine of a store was, what head office had "
        "promised there may be unknown: karb-central stream list. Enrolment codes made before "
        "are void; make new ones."
    )


def stream_list(told: dict[str, Any]) -> str:
    """Of `stream list`."""
    rows = [("stream", "facts", "waits for")]
    rows += [
        (row["stream"], str(row["facts"]), ", ".join(node[:12] for node in row["waits_for"]))
        for row in told["streams"]
    ]
    return table(rows) if told["streams"] else "Every stream that is over is closed."


def stream_close(told: dict[str, Any]) -> str:
    """Of `stream close`."""
    return f"Stream {told['stream']} closed."


def journal_verify(told: dict[str, Any]) -> str:
    """Of `journal verify`."""
    return f"{told['facts']} facts of {told['streams']} streams: every hash and signature is right."


def hours_set(told: dict[str, Any]) -> str:
    """Of `hours set`."""
    return f"{_hours(told)}{'' if told['changed'] else ' It was so before.'}"


def hours_list(told: dict[str, Any]) -> str:
    """Of `hours list`."""
    return "\n".join(map(_hours, told["hours"])) or "Everything is sold at any hour."


def _hours(row: dict[str, Any]) -> str:
    where = row["store"] or "all stores"
    if not row["forbidden"]:
        return f"{row['target']} at {where}: sold at any hour."
    return f"{row['target']} at {where}: not sold {', '.join(row['forbidden'])}."


def policy_set(told: dict[str, Any]) -> str:
    """Of `stock policy set`."""
    said = "" if told["changed"] else " (as before)"
    return f"{_policy(told)}{said}."


def policy_list(told: dict[str, Any]) -> str:
    """Of `stock policy list`."""
    if not told["policies"]:
        return "No policy yet: everything is sold, nothing is promised elsewhere."
    return "\n".join(_policy(row) for row in told["policies"])


def _policy(row: dict[str, Any]) -> str:
    return (
        f"{row['target']} at {row['store'] or 'all stores'}: {row['mode']}, "
        f"floor {row['floor_milli'] / 1000:g}, web share {row['web_percent']} %"
    )


def promise_give_up(told: dict[str, Any]) -> str:
    """Of `promise give-up`."""
    goods = ", ".join(f"{sku} {milli / 1000:g}" for sku, milli in told["given_up_milli"].items())
    return f"Promise {told['id']}: given up at {told['store']}: {goods}."


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Lay rows out in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def moment(ms: int | None) -> str:
    """Return a time for people, in UTC."""
    if ms is None:
        return "never"
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}Z"


def _link(row: dict[str, Any]) -> str:
    return "online" if row["online"] else f"heard {moment(row['heard_ms'])}"


def _milli(milli: int) -> str:
    return f"{milli // 1000}.{milli % 1000:03}"


def _money(minor: int) -> str:
    sign, minor = ("-", -minor) if minor < 0 else ("", minor)
    return f"{sign}{minor // 100}.{minor % 100:02}"
