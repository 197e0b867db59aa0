"""The till as a cashier uses it: one browser, one node, real keys."""

import json
import re
from pathlib import Path

from playwright.async_api import expect

from edge.pages import session
from sync.facts.catalogue import Article, ArticleColumns, Articles, Price, PriceColumns, Prices
from tests.edge.api.conftest import NoLink
from tests.edge.api.test_staff import ANNA, JAN
from tests.edge.pages.conftest import at_till, needs_chromium
from tests.edge.till.shop import EAN, tell

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


async def test_scans_go_to_the_basket_wherever_the_focus_is(tmp_path):
    async with at_till(tmp_path, link=NoLink()) as cashier:
        page = cashier.page
        await page.focus("[data-do=cash]")
        await cashier.scan(EAN[0])
        await cashier.lines(1)
        await expect(page.locator("#dialog")).to_be_hidden()  # its Enter pressed nothing
        await cashier.press("F2")
        await page.keyboard.type("wod", delay=120)
        await page.wait_for_timeout(300)  # nobody types and scans at once
        await cashier.scan(EAN[3])  # weighed: a scan while the search is open
        await cashier.lines(2)
        await expect(page.locator("#sought")).to_have_value("wod")
        await cashier.sees(".list", "Woda")
        await cashier.press("ArrowDown", "ArrowUp", "Enter")
        await cashier.lines(3)
        await page.evaluate("sessionStorage.setItem('karb.cashier', 'Anna')")
        await page.reload()
        await cashier.lines(3)  # the basket is on the node
        await page.wait_for_selector("html[data-ready=yes]")
        await cashier.press("F9")
        await cashier.press("5", "0")
        await page.wait_for_timeout(300)
        await cashier.scan(EAN[0])  # while the amount is typed: it stays what it was
        await cashier.sees(".shown b", "50")
        await cashier.sees("#dialog .facts", "15,46")
        await cashier.press("Escape")
        # A capital letter of a scanner, with CapsLock on; and FNC1 as some scanners send it.
        await page.keyboard.press("CapsLock")
        for key in "mleko":
            await page.evaluate(
                "key => document.dispatchEvent(new KeyboardEvent('keydown', "
                "{key, bubbles: true, cancelable: true, modifierCapsLock: true}))",
                key,
            )
        await page.keyboard.press("Enter")
        await expect(page.locator(".row").first).to_contain_text("3 \u00d7")
        await page.keyboard.type("]C1", delay=2)
        await page.keyboard.press("F8")
        await page.keyboard.type("010" + EAN[0], delay=2)
        await page.keyboard.press("Enter")
        await expect(page.locator(".row").first).to_contain_text("4 \u00d7")
        await expect(page.locator("#dialog")).to_be_hidden()
        await cashier.scan("5900000000099")
        await cashier.sees("#notice", "Nie ma takiego towaru")
        await cashier.lines(3)


async def test_quantity_void_discount_park_and_price(tmp_path):
    async with at_till(tmp_path, link=NoLink()) as cashier:
        page = cashier.page
        await page.evaluate("sessionStorage.setItem('karb.cashier', 'Anna')")
        await page.reload()
        await page.wait_for_selector("html[data-ready=yes]")
        await cashier.press("3", "*")
        await cashier.scan(EAN[0])
        await cashier.sees("#total", "11,67")
        await cashier.press("F8")
        await page.click("text=Krótka data")
        await cashier.press("1", ",", "6", "7", "Enter")
        await cashier.sees("#total", "10,00")
        await cashier.scan(EAN[2])
        await cashier.sees(".row >> nth=1", "sprawdź wiek: 18+")
        await cashier.press("F6", "2", "Enter")
        await cashier.sees("#total", "20,00")  # two beers of 4,50 and their deposits
        await cashier.press("F7")
        await cashier.lines(1)
        await cashier.press("F3")
        await cashier.scan(EAN[1])
        await cashier.sees("#dialog", "2,19")
        await cashier.press("Escape")
        await cashier.lines(1)
        await cashier.press("F11", "x", "Enter")
        await cashier.lines(0)
        await cashier.press("F11")
        await cashier.sees(".list", "x")
        await cashier.press("Enter")
        await cashier.lines(1)
        await cashier.sees("#total", "10,00")


async def test_goods_come_back_by_the_receipt(tmp_path):
    async with at_till(tmp_path, link=NoLink()) as cashier:
        page = cashier.page
        await page.evaluate("sessionStorage.setItem('karb.cashier', 'Anna')")
        await page.reload()
        await page.wait_for_selector("html[data-ready=yes]")
        for code in (EAN[1], EAN[0]):
            await cashier.scan(code)
        await cashier.lines(2)
        await cashier.press("F9", "Enter")
        await cashier.lines(0)
        last = cashier.api.node.counter.tills["T1"].last
        await cashier.press("F5")
        await page.click("text=Zwrot towaru")
        await page.fill("#line", f"{last.series}/{last.sale.number}")
        await cashier.press("Enter", "Enter")  # the first line: water and its deposit
        await page.click("text=Rozmy\u015blił się")
        await cashier.sees("#dialog", "2,69")
        await page.click("#dialog .go")
        await cashier.sees("#notice", "2,69")
        told = await cashier.api("GET", f"/v1/receipts/{last.series}/{last.sale.number}")
        assert told.json["returned_milli"] == [1000, 0]


async def test_names_are_never_markup(tmp_path):
    async with at_till(tmp_path, link=NoLink()) as cashier:
        evil = "<img src=x onerror=\"document.title='hit'\">"
        await tell(
            cashier.api.node.store,
            (
                bytes(15) + b"\x41",
                Articles(2000, ArticleColumns.of((Article("ZLY", evil, evil, "szt", "5", ()),))),
            ),
            (bytes(15) + b"\x42", Prices(2000, PriceColumns.of((Price("ZLY", 100),)))),
        )
        await cashier.scan("ZLY")
        await cashier.sees(".row", "<img src=x")
        await cashier.press("F2")
        await cashier.page.keyboard.type("img", delay=100)
        await cashier.sees(".list", "<img src=x")
        assert await cashier.page.locator("img").count() == 0
        assert await cashier.page.title() != "hit"


async def test_a_pin_a_shift_and_a_second_person(tmp_path):
    async with at_till(tmp_path, link=NoLink()) as cashier:
        page, api = cashier.page, cashier.api
        await api("PUT", "/v1/staff/anna", ANNA, scope="admin")
        await api("PUT", "/v1/staff/jan", JAN, scope="admin")
        await page.reload()
        await cashier.sees("#dialog", "Kto staje przy kasie?")
        await cashier.shot("login")
        await cashier.scan("B-77")  # the badge identifies
        await cashier.sees("#dialog", "PIN")
        await cashier.press(*"4711", "Enter")  # the PIN proves
        await cashier.sees("#who", "Anna")
        await expect(page.locator("#dialog")).to_be_hidden()
        await cashier.press("F5")
        await page.click("text=Zmiana i szuflada")
        await page.click("text=Otwórz zmianę")
        await cashier.press(*"200", "Enter")
        await cashier.sees("#who", "zmiana 1")
        await cashier.scan(EAN[0])
        await cashier.lines(1)
        await cashier.press("F9", "Enter")
        await cashier.sees("#now", "Zapłacone")
        assert api.node.counter.tills["T1"].last.sale.cashier == "anna"
        await cashier.press("F5")
        await page.click("text=Zmiana i szuflada")
        await page.click("text=Zamknij zmianę")
        await expect(page.locator("#dialog")).not_to_contain_text("203,89")  # counted blind
        await cashier.press(*"203", "Enter")
        await page.click("#dialog .go")
        await cashier.sees("#dialog", "\u22120,89")
        await cashier.shot("z")
        await cashier.press("Escape", "F12")
        await cashier.sees("#dialog", "Kto staje przy kasie?")
        refused = await page.evaluate(
            "fetch('/v1/tills/T1/payments', {method: 'POST', headers: {'Content-Type': "
            "'application/json'}, body: JSON.stringify({sale: crypto.randomUUID(), method: 'cash', "
            "tendered_minor: 1, cashier: 'anna'})}).then((answer) => answer.status)"
        )
        assert refused == 403


def test_each_text_is_there_in_both_languages():
    web = Path(session.__file__).parent / "web"
    polish, english = (json.loads((web / f"{name}.json").read_text()) for name in ("pl", "en"))
    assert polish.keys() == english.keys()
    code = "".join(path.read_text() for path in web.glob("*.js"))
    used = set(re.findall(r'\bt\("([\w-]+)"', code))
    assert used
    assert used <= polish.keys()


async def test_a_nip_is_checked_read_back_and_on_the_sale(tmp_path):
    async with at_till(tmp_path, link=NoLink()) as cashier:
        page = cashier.page
        await page.evaluate("sessionStorage.setItem('karb.cashier', 'Anna')")
        await page.reload()
        await page.wait_for_selector("html[data-ready=yes]")
        await cashier.scan(EAN[0])
        await cashier.lines(1)
        await cashier.press("F4")
        await page.fill("#line", "1234563219")
        await cashier.press("Enter")
        await cashier.sees("#notice", "cyfra kontrolna")
        await cashier.press("F4")
        await page.fill("#line", "123-456-32-18")
        await cashier.press("Enter")
        await cashier.sees("#dialog", "123-456-32-18")
        await cashier.press("Enter")
        await cashier.sees("#sums", "1234563218")
        await cashier.press("F9", "Enter")
        await cashier.sees("#now", "Zapłacone")
        assert cashier.api.node.counter.tills["T1"].last.sale.buyer is not None
        await cashier.scan(EAN[1])
        await cashier.lines(1)
        await expect(page.locator("#sums")).not_to_contain_text("1234563218")
        await cashier.press("F10", "Enter")  # there is no terminal here: a person has to say
        await cashier.sees("#way", "czeka na płatność")
        await cashier.sees("#now", "czeka na płatność")
        await cashier.shot("way")
