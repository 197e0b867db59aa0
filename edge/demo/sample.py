"""A made-up Polish shop, for when the real baskets cannot be had.

Everything is invented: names, prices, and GTINs that begin with 590 and check out but
belong to nobody we asked. VAT codes are what such goods usually carry.
"""

import random
from dataclasses import dataclass

from edge.demo.baskets import Article, Basket, BasketLine
from sync.rules.barcode import check_digit
from sync.rules.money import divide_half_away, line_total_minor

DRINK_DEPOSIT_MINOR = 50
ADULT = 18
MAX_LINES = 20

_FIRST_ID = 1001
_KILO = "kg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Goods that are alike for the law."""

    group: str
    vat: str
    goods: tuple[tuple[str, int], ...]
    """Name and price in grosz."""

    unit: str = "szt"
    deposit_minor: int = 0
    age_min: int = 0


SHELVES: tuple[Shelf, ...] = (
    Shelf(
        group="Pieczywo",
        vat="5",
        goods=(
            ("Chleb żytni razowy 500 g", 649),
            ("Chleb pszenno-żytni krojony 600 g", 529),
            ("Bułka kajzerka", 69),
            ("Bułka grahamka", 99),
            ("Rogal maślany", 259),
            ("Bagietka czosnkowa", 399),
            ("Chałka z kruszonką", 599),
            ("Pączek z różą", 349),
            ("Drożdżówka z serem", 379),
            ("Obwarzanek z solą", 299),
        ),
    ),
    Shelf(
        group="Nabiał",
        vat="5",
        goods=(
            ("Mleko świeże 3,2% 1 l", 429),
            ("Mleko UHT 2% 1 l", 379),
            ("Masło ekstra 200 g", 799),
            ("Śmietana 18% 330 g", 419),
            ("Śmietanka 30% 200 ml", 369),
            ("Twaróg półtłusty 250 g", 549),
            ("Ser żółty gouda plastry 150 g", 749),
            ("Ser pleśniowy camembert 120 g", 629),
            ("Jogurt naturalny 370 g", 329),
            ("Jogurt truskawkowy 150 g", 199),
            ("Kefir 400 g", 289),
            ("Maślanka 1 l", 449),
            ("Jaja z wolnego wybiegu 10 szt.", 1399),
            ("Serek wiejski 200 g", 299),
        ),
    ),
    Shelf(
        group="Warzywa i owoce",
        vat="5",
        unit=_KILO,
        goods=(
            ("Ziemniaki młode", 349),
            ("Marchew", 399),
            ("Cebula żółta", 329),
            ("Pomidory malinowe", 1499),
            ("Ogórki gruntowe", 899),
            ("Papryka czerwona", 1699),
            ("Kapusta kiszona", 799),
            ("Buraki ćwikłowe", 349),
            ("Jabłka szara reneta", 499),
            ("Gruszki konferencja", 799),
            ("Śliwki węgierki", 699),
            ("Banany", 649),
            ("Cytryny", 999),
            ("Winogrona ciemne", 1399),
            ("Truskawki", 1799),
        ),
    ),
    Shelf(
        group="Mięso i wędliny",
        vat="5",
        unit=_KILO,
        goods=(
            ("Szynka wędzona", 4499),
            ("Kiełbasa śląska", 2899),
            ("Kabanosy wieprzowe", 4999),
            ("Pierś z kurczaka", 2399),
            ("Schab bez kości", 2199),
            ("Karkówka", 1999),
            ("Boczek wędzony", 3299),
            ("Pasztet pieczony", 2699),
            ("Udziec z indyka", 1799),
            ("Żeberka wieprzowe", 2299),
        ),
    ),
    Shelf(
        group="Spożywcze",
        vat="5",
        goods=(
            ("Mąka pszenna tortowa 1 kg", 349),
            ("Kasza gryczana prażona 400 g", 499),
            ("Kasza jęczmienna 4x100 g", 379),
            ("Ryż biały długoziarnisty 1 kg", 599),
            ("Makaron świderki 500 g", 449),
            ("Płatki owsiane górskie 500 g", 399),
            ("Olej rzepakowy 1 l", 899),
            ("Pierogi ruskie 400 g", 1099),
            ("Żurek w butelce 500 ml", 549),
            ("Barszcz czerwony koncentrat 330 ml", 699),
            ("Koncentrat pomidorowy 190 g", 479),
            ("Ogórki konserwowe 870 g", 799),
            ("Dżem z czarnej porzeczki 280 g", 649),
            ("Miód wielokwiatowy 370 g", 2199),
            ("Sok jabłkowy tłoczony 1 l", 799),
            ("Śledzie w oleju 200 g", 899),
        ),
    ),
    Shelf(
        group="Przyprawy i cukier",
        vat="8",
        goods=(
            ("Cukier biały 1 kg", 399),
            ("Cukier waniliowy 32 g", 149),
            ("Sól kamienna jodowana 1 kg", 219),
            ("Musztarda sarepska 180 g", 399),
            ("Chrzan tarty 180 g", 459),
            ("Zapiekanka z pieczarkami na ciepło", 1290),
            ("Kanapka z jajkiem na wynos", 990),
        ),
    ),
    Shelf(
        group="Słodycze i kawa",
        vat="23",
        goods=(
            ("Czekolada gorzka 70% 100 g", 649),
            ("Czekolada mleczna z orzechami 100 g", 599),
            ("Krówki mleczne 300 g", 1099),
            ("Ptasie mleczko waniliowe 340 g", 1899),
            ("Wafelek kakaowy 36 g", 249),
            ("Pierniki w czekoladzie 150 g", 549),
            ("Żelki owocowe 100 g", 429),
            ("Guma do żucia miętowa", 349),
            ("Lody śmietankowe 1 l", 1599),
            ("Kawa mielona 250 g", 1699),
            ("Herbata czarna ekspresowa 100 tor.", 1399),
        ),
    ),
    Shelf(
        group="Napoje",
        vat="23",
        deposit_minor=DRINK_DEPOSIT_MINOR,
        goods=(
            ("Woda mineralna gazowana 1,5 l", 249),
            ("Woda źródlana niegazowana 1,5 l", 219),
            ("Woda niegazowana 0,5 l", 189),
            ("Cola 0,5 l", 479),
            ("Cola 1,5 l", 849),
            ("Oranżada czerwona 1 l", 549),
            ("Lemoniada cytrynowa 1 l", 599),
            ("Napój energetyczny 0,25 l puszka", 449),
            ("Tonik 1 l", 629),
            ("Mrożona herbata brzoskwinia 1,5 l", 699),
        ),
    ),
    Shelf(
        group="Piwo",
        vat="23",
        deposit_minor=DRINK_DEPOSIT_MINOR,
        age_min=ADULT,
        goods=(
            ("Piwo jasne pełne 0,5 l puszka", 429),
            ("Piwo pszeniczne 0,5 l puszka", 599),
            ("Piwo ciemne koźlak 0,5 l puszka", 649),
            ("Piwo IPA 0,5 l puszka", 899),
            ("Piwo grzaniec z miodem 0,5 l puszka", 699),
            ("Radler cytrynowy 0,5 l puszka", 479),
        ),
    ),
    Shelf(
        group="Wino i mocne alkohole",
        vat="23",
        age_min=ADULT,
        goods=(
            ("Wino czerwone półsłodkie 0,75 l", 2499),
            ("Wino białe wytrawne 0,75 l", 2799),
            ("Wódka czysta 0,5 l", 3299),
            ("Wiśniówka 0,5 l", 3599),
            ("Miód pitny trójniak 0,75 l", 3999),
        ),
    ),
    Shelf(
        group="Chemia i dom",
        vat="23",
        goods=(
            ("Płyn do naczyń 0,9 l", 899),
            ("Proszek do prania 3 kg", 3999),
            ("Papier toaletowy 8 rolek", 1299),
            ("Ręczniki papierowe 2 rolki", 899),
            ("Mydło w płynie 500 ml", 799),
            ("Szampon pokrzywowy 400 ml", 1199),
            ("Pasta do zębów 100 ml", 999),
            ("Worki na śmieci 60 l 20 szt.", 749),
            ("Gąbki kuchenne 5 szt.", 449),
            ("Zapałki 3 pudełka", 199),
            ("Świeca zapachowa", 1499),
            ("Żarówka LED 8 W", 1299),
        ),
    ),
    Shelf(
        group="Dzieci i prasa",
        vat="8",
        goods=(
            ("Tygodnik telewizyjny", 399),
            ("Dziennik", 549),
            ("Krzyżówki panoramiczne", 450),
            ("Plastry opatrunkowe 20 szt.", 699),
        ),
    ),
    Shelf(
        group="Książki i pieluchy",
        vat="5",
        goods=(
            ("Pieluchy rozmiar 4, 46 szt.", 4999),
            ("Bajki na dobranoc, książka", 2490),
        ),
    ),
    Shelf(group="Poczta", vat="zw", goods=(("Znaczek pocztowy krajowy", 490),)),
)


def articles() -> tuple[Article, ...]:
    """Return the whole catalogue."""
    rows = [(shelf, name, price) for shelf in SHELVES for name, price in shelf.goods]
    return tuple(
        Article(
            sku=str(number),
            name=name,
            unit=shelf.unit,
            vat=shelf.vat,
            price_minor=price,
            codes=(code(number),),
            deposit_minor=shelf.deposit_minor,
            age_min=shelf.age_min,
            group=shelf.group,
        )
        for number, (shelf, name, price) in enumerate(rows, start=_FIRST_ID)
    )


def read(stores: int, per_store: int, seed: int = 0) -> tuple[Basket, ...]:
    """Invent baskets, store after store; the same arguments always give the same ones.

    Some goods sell far more than others, a tenth of the lines is sold at a discount,
    and what is sold by weight is weighed to the gram.
    """
    catalogue = articles()
    draw = random.Random(seed)  # noqa: S311 - a draw to be repeated
    popular = draw.sample(catalogue, len(catalogue))
    weights = [1 / rank for rank in range(1, len(popular) + 1)]
    return tuple(
        Basket(
            store,
            store * 1_000_000 + number,
            tuple(
                _line(draw, article)
                for article in draw.choices(popular, weights, k=_line_count(draw))
            ),
        )
        for store in range(1, stores + 1)
        for number in range(1, per_store + 1)
    )


def code(number: int) -> str:
    """Return the GTIN-13 of an article."""
    body = f"590{number:09d}"
    return body + check_digit(body)


def _line_count(draw: random.Random) -> int:
    return min(MAX_LINES, 1 + int(draw.expovariate(1 / 7)))


def _line(draw: random.Random, article: Article) -> BasketLine:
    if article.unit == _KILO:
        quantity_milli = draw.randint(80, 2500)
    else:
        quantity_milli = 1000 * draw.choice((1, 1, 1, 1, 2, 2, 3, 6))
    full = line_total_minor(quantity_milli, article.price_minor)
    per_cent = draw.choice((10, 20, 25, 50)) if draw.random() < 0.1 else 0
    return BasketLine(
        product_id=int(article.sku),
        sku=article.sku,
        code=article.codes[0],
        quantity_milli=quantity_milli,
        value_minor=full - divide_half_away(full * per_cent, 100),
        list_unit_minor=article.price_minor,
    )
