"""The till as a cashier uses it: one browser, one node, real keys."""

from playwright.async_api import expect

from tests.edge.api.conftest import NoLink
from tests.edge.pages.conftest import at_till, needs_chromium
from tests.edge.till.shop import EAN

pytestmark = needs_chromium


async def test_a_cash_sale_by_keys_alone(tmp_path):
    async with at_till(tmp_path, link=NoLink()) as cashier:
        page = cashier.page
        await cashier.scan(EAN[0])
        await cashier.scan(EAN[0])
        await cashier.scan(EAN[1])
        await cashier.lines(2)
        await cashier.sees("#total", "10,47")
        await cashier.shot("first")
        await cashier.press("F9", "Enter")
        await page.fill("#line", "Anna")
        await cashier.press("Enter")
        await cashier.sees("#dialog", "Do zapłaty")
        await cashier.press("2", "0")
        await cashier.sees("#dialog .facts", "9,53")
        await cashier.shot("tender")
        await cashier.press("Enter")
        await cashier.sees("#now", "9,53")
        await cashier.lines(0)
        sale = cashier.api.node.counter.tills["T1"].last
        assert sale.sale.cashier == "Anna"
        assert sale.sale.total_minor == 1047
        await cashier.scan(EAN[0])
        await cashier.lines(1)
        await cashier.press("F9", "Enter")  # two keys after the last scan, exact money
        await cashier.sees("#now", "Zapłacone")
        await cashier.lines(0)
        await expect(page.locator("#notice")).to_be_hidden()
