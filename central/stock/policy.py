"""How articles are promised: said by head office, per article, group or all, and store."""

import secrets

from central.ledger import author, reading, shelves
from central.ledger.errors import Refused
from central.ledger.unit import Unit
from sync.chain import ALL, EVENT_BYTES
from sync.facts.rights import MOST, Mode, StockPolicy

_GROUP = "group:"
_MODES = {"lenient": Mode.LENIENT, "strict": Mode.STRICT}


def set_policy(
    unit: Unit,
    target: str,
    *,
    store: str | None,
    mode: str | None,
    floor_milli: int | None,
    web_percent: int | None,
) -> tuple[StockPolicy, bool]:
    """Say how an article is promised; what is not said stays as the target has it.

    Returns:
        The policy, and whether anything changed.

    Raises:
        Refused: A value is out of bounds; or article, group or store are not known.
    """
    named = _target(unit, target)
    scope = ALL if store is None else store
    if store is not None and reading.store(unit.connection, store) is None:
        raise Refused(f"--store {store!r}: not known here; karb-central status lists the stores.")
    before = shelves.policies(unit.connection).get(scope, {}).get(named)
    if mode is not None and mode not in _MODES:
        raise Refused(f"--mode {mode!r}: expected lenient or strict.")
    if web_percent is not None and not 0 <= web_percent <= 100:
        raise Refused(f"--web-share {web_percent}: expected 0 to 100, percent of what comes in.")
    if floor_milli is not None and not 0 <= floor_milli < MOST:
        raise Refused(f"--floor {floor_milli / 1000:g}: expected 0 or more units.")
    base = before or StockPolicy(named)
    policy = StockPolicy(
        named,
        base.mode if mode is None else _MODES[mode],
        base.floor_milli if floor_milli is None else floor_milli,
        base.web_percent if web_percent is None else web_percent,
    )
    if policy == before:
        return policy, False
    author.write(unit, scope, [(secrets.token_bytes(EVENT_BYTES), policy)])
    return policy, True


def _target(unit: Unit, target: str) -> str:
    if target == "*":
        return target
    if target.startswith(_GROUP):
        group = target.removeprefix(_GROUP)
        if not shelves.knows_group(unit.connection, group):
            raise Refused(
                f"Target {target!r}: expected the group of an article of the catalogue; "
                "import the catalogue first, or correct the name."
            )
        return target
    sku = target.removeprefix("sku:")
    if not shelves.known_articles(unit.connection, [sku]):
        raise Refused(
            f"Target {target!r}: expected an article of the catalogue, group:NAME or '*'; "
            "import the catalogue first, or correct it."
        )
    return f"sku:{sku}"
