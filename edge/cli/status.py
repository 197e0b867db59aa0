"""The status of a node, for a person."""

from typing import Any


def status_text(told: dict[str, Any]) -> str:
    """Return what `/v1/status` says, a line each; what is well is said in a word."""
    oldest = told["oldest_waiting_s"]
    error = told["exchange"]["last_error"] if told["exchange"] else ""
    trust = told["clock"]["trust"]
    lines = [
        f"node      {told['node'][:12]} ({told['name']}), karb {told['version']}",
        f"store     {told['store']}",
        f"link      {told['link']}" + (f": {error}" if error else ""),
        f"waiting   {told['waiting']}" + (f", oldest {oldest} s" if oldest is not None else ""),
        "clock     " + (f"trusted by {trust}" if trust != "none" else "vouched for by nobody yet"),
        f"sales     {told['sales']}, articles {told['articles']}",
        "slips     " + (", ".join(f"{n} {state}" for state, n in told["slips"].items()) or "none"),
    ]
    if told["lan"]:
        lines.append(f"lan       {told['lan']}")
    lines += [_peer(peer) for peer in told["peers"]]
    lines += [
        f"device    {device['id']}: {device['state']}"
        + (f"; {device['problem']} {device['cure'] or ''}" if device["problem"] else "")
        for device in told["devices"]
    ]
    lines += [
        f"open sale {sale['uuid']} ({sale['receipt']}): waits for {sale['waits_for']}"
        for sale in told["open_sales"]
    ]
    lines += [f"life      {_of_life(life)}" for life in told["lives"] if life["ended"]]
    if told["kept_aside"]:
        lines.append(
            f"kept aside {told['kept_aside']} facts of a branch that lost: ask head office"
        )
    if told["base"]["facts"]:
        lines.append(
            "base      {facts} facts of {streams} streams, {bytes} bytes; most of these are at "
            "head office only".format_map(told["base"])
        )
    lines += [f"mended    {line}" for line in told["mended"]]
    lines += [
        f"{label} {told[key]}: run karb journal verify"
        for key, label in (
            ("quarantined", "quarantined facts"),
            ("unreadable", "facts of newer programs"),
            ("frozen_streams", "forked streams"),
        )
        if told[key]
    ]
    if told["disk_full"]:
        lines.append("disk      FULL: free some space and start again; selling has stopped")
    return "\n".join(lines)


def _peer(told: dict[str, Any]) -> str:
    name = told["name"] or told["node"][:12] or told["address"]
    heard = f", heard {told['heard_s']} s ago" if told["heard_s"] is not None else ""
    line = f"peer      {name}: {told['state']}{heard}, {told['waiting']} waiting for it"
    return line + (f"; {told['last_error']}" if told["last_error"] else "")


def _of_life(life: dict[str, Any]) -> str:
    said = f"{life['stream']} ended ({life['ended']}) with {life['facts']} facts"
    if life["came_back"]:
        said += f", {life['came_back']} of them came back"
    if life["missing"]:
        last = ", ".join(f"{series}/{number}" for series, number in life["receipts"].items())
        said += f"; {life['missing']} are known to be missing, after receipt {last or 'none'}"
    return said
