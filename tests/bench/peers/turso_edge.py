"""A till on a Turso database: a commit a sale; what is new is pushed once a second, or at once.

`push` is the application's to call. A connection serves one caller at a time, so tills that
sell at once stand in a queue; pushing takes turns with recording.
"""

import asyncio
import sys
import time
from pathlib import Path

import clerk
import turso.sync

RETRY_S = 1.0


async def main(path: str, url: str) -> None:
    loop = asyncio.get_running_loop()
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    hand = ThreadPoolExecutor(1)

    def do(work, *args):
        return loop.run_in_executor(hand, work, *args)

    def connect():
        found = turso.sync.connect(path, remote_url=url, bootstrap_if_empty=False)
        found.execute(
            "CREATE TABLE IF NOT EXISTS sales (id TEXT PRIMARY KEY, till TEXT, body BLOB)"
        )
        found.commit()
        return found

    def insert(goods: clerk.Goods):
        db.execute(
            "INSERT OR IGNORE INTO sales VALUES (?, ?, ?)", (goods.id, goods.till, goods.body)
        )
        db.commit()

    db = await do(connect)
    news = asyncio.Event()
    state = {"recorded": 0, "pushed": 0, "error": ""}

    async def keep():
        while True:
            await news.wait()
            news.clear()
            upto = state["recorded"]
            try:
                await do(db.push)
                state["pushed"], state["error"] = upto, ""
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
                state["error"] = f"{type(error).__name__}: {error}"
                news.set()
                await asyncio.sleep(RETRY_S)

    async def one(goods: clerk.Goods):
        await do(insert, goods)
        state["recorded"] += 1
        news.set()

    async def record(sales: str, first: int, last: int, tills: int, ack: str, form: str):
        goods = clerk.read(Path(sales), first, last, form)
        return await clerk.record(goods, tills, Path(ack), one)

    async def status():
        return {**state, "at": time.time()}

    news.set()
    keeper = asyncio.create_task(keep())
    await clerk.serve({"record": record, "status": status})
    keeper.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
