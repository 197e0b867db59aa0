"""From the Enter that ends a scan to its line on the screen, in Chromium.

python -m tests.bench.page [--articles 20000] [--scans 200]
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from sync.facts.catalogue import Article, ArticleColumns, Articles, Price, PriceColumns, Prices
from tests.edge.api.conftest import NoLink
from tests.edge.pages.conftest import at_till
from tests.edge.till.shop import tell

PART = 1000

WATCH = """
window.took = [];
let at = 0;
window.addEventListener("keydown", (event) => {
  if (event.key === "Enter") at = event.timeStamp;
}, {capture: true});
new MutationObserver(() => {
  if (!at) return;
  const begun = at;
  at = 0;
  requestAnimationFrame(() => setTimeout(() => took.push(performance.now() - begun)));
}).observe(document.getElementById("lines"), {childList: true, subtree: true});
"""


async def main(articles: int, scans: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        async with at_till(Path(folder), link=NoLink()) as cashier:
            store = cashier.api.node.store
            for n in range(0, articles, PART):
                rows = range(n, min(n + PART, articles))
                names = tuple(
                    Article(f"A{m}", f"Artykuł {m}", f"Artykuł {m}", "szt", "23", (f"A{m}",))
                    for m in rows
                )
                prices = tuple(Price(f"A{m}", 100 + m % 900) for m in rows)
                await tell(
                    store,
                    ((1_000_000 + n).to_bytes(16, "big"), Articles(3000, ArticleColumns.of(names))),
                    ((2_000_000 + n).to_bytes(16, "big"), Prices(3000, PriceColumns.of(prices))),
                )
            page = cashier.page
            await page.evaluate(WATCH)
            begun = time.process_time()
            for n in range(scans):
                await page.keyboard.type(f"A{(n * 7919) % articles}".ljust(4), delay=2)
                await page.keyboard.press("Enter")
                while await page.evaluate("took.length") <= n:  # noqa: ASYNC110 - it is another process
                    await asyncio.sleep(0.02)
                await asyncio.sleep(0.05)
                if n % 40 == 39:
                    await cashier.api("DELETE", "/v1/tills/T1/basket")
            took = sorted(await page.evaluate("took"))
            print(
                f"{articles} articles, {len(took)} scans: median {statistics.median(took):.1f} ms, "
                f"p99 {took[int(len(took) * 0.99) - 1]:.1f} ms, worst {took[-1]:.1f} ms "
                f"(this process: {(time.process_time() - begun) / scans * 1000:.1f} ms CPU a scan)"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--articles", type=int, default=20_000)
    parser.add_argument("--scans", type=int, default=200)
    asyncio.run(main(**vars(parser.parse_args())))
