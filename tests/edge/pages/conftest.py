"""A real Chromium on a real node: what is looked at is what a cashier sees."""

import os
import shutil
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import async_playwright, expect

from edge.api.call import INCLUDES
from edge.gateway import Grant
from tests.edge.api.conftest import serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SHOTS = Path(os.environ.get("KARB_SHOTS", Path(__file__).parents[3] / ".shots"))
"""Where screenshots are kept; git does not look there."""

SCAN_MS = 2
"""Between two keys of a scanner."""

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("CI"), reason="no Chromium: apt-get install chromium"
)


class Cashier:
    """A browser at a till."""

    def __init__(self, page, api):
        self.page, self.api = page, api

    async def scan(self, code):
        """Type as a scanner does: fast, and Enter at the end."""
        await self.page.keyboard.type(code, delay=SCAN_MS)
        await self.page.keyboard.press("Enter")

    async def press(self, *keys):
        """Press keys as a person does."""
        for key in keys:
            await self.page.wait_for_timeout(90)
            await self.page.keyboard.press(key)

    async def sees(self, selector, text):
        await expect(self.page.locator(selector)).to_contain_text(text)

    async def lines(self, n):
        await expect(self.page.locator("#lines .row")).to_have_count(n)

    @property
    def basket(self):
        return self.api.node.counter.tills["T1"].basket

    async def shot(self, name):
        SHOTS.mkdir(exist_ok=True)
        await self.page.screenshot(path=SHOTS / f"{name}.png", animations="disabled")


async def pair(context, api):
    """Let a browser in, as a person does."""
    grant = Grant("T1", tuple(INCLUDES["sell"]), "browser")
    code = api.node.gateway.pairing.offer(grant)
    page = await context.new_page()
    await page.goto(api.url)
    await page.fill("#code", code)
    await page.click("button.go")
    await page.wait_for_selector("html[data-ready=yes]")
    await expect(page.locator("#link-text")).not_to_be_empty()
    return Cashier(page, api)


@asynccontextmanager
async def browsing():
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def at_till(folder, **more):
    """A cashier who has paired a browser of 1280 by 800 with a node of one till."""
    async with serving(folder, **more) as api, browsing() as browser:
        context = await browser.new_context(viewport={"width": 1280, "height": 800}, locale="pl-PL")
        context.set_default_timeout(10_000)
        cashier = await pair(context, api)
        problems = []
        cashier.page.on("pageerror", lambda error: problems.append(str(error)))
        yield cashier
        assert not problems
