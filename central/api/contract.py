"""The literal table of what programs may ask, as ``/openapi.json`` describes it."""

from typing import Annotated

import msgspec
from msgspec import Meta

from central import VERSION
from central.catalogue.article import CatalogueDocument
from central.catalogue.promotions import PromotionsDocument, PromotionsPublished
from central.catalogue.publish import Published
from central.ledger import baskets, customers, papers, reading, selling, waiting
from central.ledger.selling import MAX_LIMIT
from central.stock import inbox
from central.stock.request import (
    UUID_PATTERN,
    PolicyRequest,
    PromiseLine,
    PromiseRequest,
    PromiseTold,
)
from sync.contract.openapi import Parameter, Route, document, encode
from sync.enrolment import EnrolAnswer, EnrolRequest, RenewAnswer, RenewRequest
from sync.rules.quote import Quote, QuoteRequest


class Health(msgspec.Struct, frozen=True):
    """It answers."""

    status: str


class Stores(msgspec.Struct, frozen=True):
    """Every store."""

    stores: list[reading.Store]


class Stock(msgspec.Struct, frozen=True):
    """Quantities with their age."""

    stock: list[reading.StockRow]


class Transfers(msgspec.Struct, frozen=True):
    """What stores sent each other."""

    transfers: list[papers.Transfer]


class Returns(msgspec.Struct, frozen=True):
    """Answer of ``GET /v1/returns``."""

    returns: list[papers.Returned]


class Counts(msgspec.Struct, frozen=True):
    """Count sheets."""

    counts: list[papers.Sheet]


class Quarantine(msgspec.Struct, frozen=True):
    """What waits for a person."""

    quarantine: list[reading.Quarantined]


class Baskets(msgspec.Struct, frozen=True):
    """Baskets that are not sold."""

    baskets: list[baskets.Basket]


class Exceptions(msgspec.Struct, frozen=True):
    """What waits for a person."""

    exceptions: list[baskets.Odd]
    """Of documents and baskets."""

    stock: list[inbox.Waiting]
    """Of stock, promises and orders."""


class WaitingTold(msgspec.Struct, frozen=True):
    """What waits."""

    waiting: list[waiting.Pending]
    """What waits longest first."""


class Policy(msgspec.Struct, frozen=True):
    """How articles are promised."""

    store: str
    """Empty: at all stores."""

    target: str
    mode: str
    floor_milli: int
    web_percent: int


class PolicySaid(Policy, frozen=True, kw_only=True):
    """What holds now."""

    changed: bool


class Policies(msgspec.Struct, frozen=True):
    """Every policy."""

    policies: list[Policy]


_PROMISE = Parameter(
    name="id",
    where="path",
    type=Annotated[str, Meta(pattern=UUID_PATTERN)],
    description="Made by the client with POST /v1/promises",
)
_STORE = Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]
_SKU = Annotated[str, Meta(min_length=1, max_length=64)]

ROUTES: tuple[Route, ...] = (
    Route(method="get", path="/healthz", summary="Whether it answers", answers={200: Health}),
    Route(
        method="get",
        path="/v1/stores",
        summary="Every store: when it was last heard, what it has sold",
        answers={200: Stores},
        scope="read",
    ),
    Route(
        method="get",
        path="/v1/status",
        summary="How things stand",
        answers={200: reading.Status},
        scope="read",
    ),
    Route(
        method="get",
        path="/v1/stock",
        summary="Quantities, each with its age",
        answers={200: Stock},
        scope="read",
        parameters=(
            Parameter(name="store", where="query", type=_STORE, description="Of one store only"),
            Parameter(name="sku", where="query", type=_SKU, description="Of one article only"),
        ),
        problems=(404,),
    ),
    Route(
        method="get",
        path="/v1/transfers",
        summary="What stores sent each other, and what of it arrived",
        answers={200: Transfers},
        scope="read",
        parameters=(
            Parameter(name="store", where="query", type=_STORE, description="From or to it only"),
        ),
        problems=(404,),
    ),
    Route(
        method="get",
        path="/v1/returns",
        summary="What was given back, and obvious mistakes, the newest first",
        answers={200: Returns},
        scope="read",
        parameters=(Parameter(name="store", where="query", type=_STORE, description="Of it only"),),
        problems=(404,),
    ),
    Route(
        method="get",
        path="/v1/counts",
        summary="Count sheets, and what they made of the books",
        answers={200: Counts},
        scope="read",
        parameters=(
            Parameter(name="store", where="query", type=_STORE, description="Of one store only"),
        ),
        problems=(404,),
    ),
    Route(
        method="get",
        path="/v1/sales",
        summary="A store's sales, in the order head office learned of them",
        answers={200: selling.SalesPage},
        scope="read",
        parameters=(
            Parameter(name="store", where="query", type=_STORE, required=True),
            Parameter(
                name="after",
                where="query",
                type=Annotated[str, Meta(max_length=64)],
                description="The 'next' of the answer before; a changed sale comes again",
            ),
            Parameter(
                name="limit",
                where="query",
                type=Annotated[int, Meta(ge=1, le=MAX_LIMIT)],
                description="100 unless told",
            ),
        ),
        problems=(404,),
    ),
    Route(
        method="get",
        path="/v1/quarantine",
        summary="Facts that cannot be what they say",
        answers={200: Quarantine},
        scope="read",
    ),
    Route(
        method="get",
        path="/v1/customers/{uuid}",
        summary="A customer's profile, while the key to it exists",
        answers={200: customers.Customer},
        scope="read",
        parameters=(
            Parameter(name="uuid", where="path", type=Annotated[str, Meta(pattern=UUID_PATTERN)]),
        ),
        problems=(410,),
    ),
    Route(
        method="get",
        path="/v1/parked",
        summary="Baskets put aside in the stores, and those taken back and not sold",
        answers={200: Baskets},
        scope="read",
        parameters=(
            Parameter(name="store", where="query", type=_STORE, description="Of one store only"),
        ),
        problems=(404,),
    ),
    Route(
        method="get",
        path="/v1/exceptions",
        summary="What people should look at: documents, baskets taken back twice, stock, orders",
        answers={200: Exceptions},
        scope="read",
    ),
    Route(
        method="get",
        path="/v1/waiting",
        summary="What waits: promises, orders not answered, transfers not arrived; by store",
        answers={200: WaitingTold},
        scope="read",
    ),
    Route(
        method="post",
        path="/v1/promises",
        summary="Hold goods for somebody; the same again holds nothing more",
        answers={201: PromiseTold, 200: PromiseTold},
        scope="write",
        request=PromiseRequest,
        request_example=PromiseRequest(
            id="0b5a7f5e-9d5c-4a86-9f0a-0c2f7a2f4c11",
            channel="web",
            lines=(PromiseLine(sku="MLEKO-1L", quantity_milli=2000),),
            expires_s=900,
        ),
        problems=(409,),
        tags=("promises",),
    ),
    Route(
        method="get",
        path="/v1/promises/figures",
        summary="How well promising works: oversold, refused, and what lay elsewhere",
        answers={200: inbox.Figures},
        scope="read",
        tags=("promises",),
    ),
    Route(
        method="get",
        path="/v1/promises/{id}",
        summary="A promise as it stands",
        answers={200: PromiseTold},
        scope="read",
        parameters=(_PROMISE,),
        tags=("promises",),
    ),
    Route(
        method="post",
        path="/v1/promises/{id}/confirm",
        summary="Turn a promise into orders of its stores; again it is the same",
        answers={200: PromiseTold},
        scope="write",
        parameters=(_PROMISE,),
        problems=(409, 422),
        tags=("promises",),
    ),
    Route(
        method="post",
        path="/v1/promises/{id}/release",
        summary="Free what a promise holds; again it is the same",
        answers={200: PromiseTold},
        scope="write",
        parameters=(_PROMISE,),
        problems=(409,),
        tags=("promises",),
    ),
    Route(
        method="get",
        path="/v1/stock/policies",
        summary="How articles are promised",
        answers={200: Policies},
        scope="read",
    ),
    Route(
        method="post",
        path="/v1/stock/policies",
        summary="Say how an article, a group or everything is promised",
        answers={200: PolicySaid},
        scope="write",
        request=PolicyRequest,
    ),
    Route(
        method="post",
        path="/v1/catalogue",
        summary="Take in a catalogue: all of it or nothing",
        answers={200: Published},
        scope="write",
        request=CatalogueDocument,
        also_takes=("text/csv",),
    ),
    Route(
        method="post",
        path="/v1/promotions",
        summary="Take in promotions: all of them or nothing",
        answers={200: PromotionsPublished},
        scope="write",
        request=PromotionsDocument,
    ),
    Route(
        method="post",
        path="/v1/quotes",
        summary="What a basket would cost in a store, and which promotion gives what",
        answers={200: Quote},
        scope="read",
        request=QuoteRequest,
        parameters=(
            Parameter(
                name="store", where="query", type=_STORE, description="Whose tills", required=True
            ),
        ),
        problems=(404,),
    ),
    Route(
        method="post",
        path="/v1/enrol",
        summary="Trade a one-time code for a node's certificate",
        answers={200: EnrolAnswer},
        request=EnrolRequest,
        problems=(403, 429),
    ),
    Route(
        method="post",
        path="/v1/renew",
        summary="Trade a node's certificate (mTLS) for one that lasts longer",
        answers={200: RenewAnswer},
        request=RenewRequest,
        problems=(401, 403),
    ),
)


def openapi() -> bytes:
    """Return the description to serve."""
    return encode(
        document(
            ROUTES,
            title="Karb head office",
            version=VERSION,
            description="Nodes exchange facts at POST /v1/exchange and GET /v1/exchange/live, "
            "in binary, with a client certificate; `sync.exchange` says how.",
        )
    )
