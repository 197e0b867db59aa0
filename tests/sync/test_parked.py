"""Baskets put aside and profiles: what documents of theirs say, and who may sell."""

from hypothesis import given
from hypothesis import strategies as st

from sync.facts.document import BASKET, GenerationBegan
from sync.facts.sale import Discount
from sync.merge import basket
from sync.merge.basket import Article, Line, Recall, park, parked, standing
from sync.merge.document import FIELDS, ITEMS, MAX_CHANGE, Add, Put, Value, opened, pieces
from sync.merge.history import Generation, History, Settlement, misplaced
from sync.merge.profile import Profile, edits, handles, profile, sought

text = st.text(max_size=20)
articles = st.builds(
    Article,
    sku=st.text(min_size=1, max_size=20),
    name=text,
    unit=st.sampled_from(("szt", "kg")),
    vat=st.sampled_from(("5", "23", "zw")),
    unit_minor=st.integers(0, 10**9),
    carried_name=text,
    deposit_minor=st.integers(0, 500),
    age_min=st.sampled_from((0, 18)),
    price_version=st.integers(0, 1 << 53),
)


@st.composite
def baskets(draw):
    lines = []
    for n in range(draw(st.integers(0, 12))):
        article = draw(articles)
        given_ = [
            Discount(draw(text), draw(st.integers(1, 99))) for _ in range(draw(st.integers(0, 2)))
        ]
        checked = article.age_min if draw(st.booleans()) else 0
        lines.append(Line(f"{n:06}", article, draw(st.integers(1, 10**9)), tuple(given_), checked))
    return tuple(lines)


def written(made, actor=b"a" * 16, changes=()):
    changes = list(changes)
    for part in pieces(made):
        change = opened(changes).change(actor, part)
        if change is not None:
            changes.append(change)
    return changes


@given(baskets(), text, st.integers(0, 1 << 52))
def test_a_basket_comes_back_as_it_was_put_aside(lines, note, at_ms):
    changes = written(park("T1", "ola", note, at_ms, lines))
    told = parked(opened(changes).value)
    assert told == basket.Parked("T1", "ola", note, at_ms, lines, ())


def test_the_longest_basket_goes_in_as_several_changes():
    article = Article("5901234123457", "ż" * 40, "szt", "23", 1999, "ż" * 40, 50, 18)
    lines = tuple(
        Line(f"{n:06}", article, 1000, (Discount("krótka data", 100),), 18) for n in range(500)
    )
    changes = written(park("T1", "ola", "", 1, lines))
    assert 1 < len(changes) < 20
    assert max(map(len, changes)) <= MAX_CHANGE
    assert parked(opened(changes).value).lines == lines


@given(st.lists(st.integers(-3000, 3000), max_size=6))
def test_pieces_that_several_tills_add_and_take_are_all_counted(amounts):
    line = Line("l1", Article("MLEKO", "Mleko", "szt", "5", 389), 5000)
    first = written(basket.add(line))
    changes = list(first)
    for number, amount in enumerate(amounts):
        apart = opened(first).change(bytes([number]) * 16, [Add("l1", amount)])
        if apart is not None:
            changes.append(apart)
    told = parked(opened(changes).value)
    left = 5000 + sum(amounts)
    assert [one.quantity_milli for one in told.lines] == ([left] if left > 0 else [])


values = st.one_of(st.text(max_size=30), st.integers(-(1 << 60), 1 << 60), st.booleans())
keys = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ("line/a", "line/", "discount/a/00", "discount/a", "age/a", "code/", "consent/x")
    ),
)


@given(
    st.dictionaries(st.one_of(text, st.sampled_from(("till", "at_ms", "name"))), values),
    st.dictionaries(keys, values),
    st.dictionaries(st.sampled_from(("a", "", "b")), st.integers(-(1 << 60), 1 << 60)),
)
def test_whatever_a_document_says_can_be_read(fields, items, sums):
    value = Value(fields, items, sums)
    for line in parked(value).lines:
        assert line.quantity_milli > 0
    assert isinstance(profile(value), Profile)
    assert isinstance(handles(profile(value)), frozenset)


names = st.sampled_from([b"1" * 16, b"2" * 16, b"3" * 16])
recalls = st.dictionaries(
    names, st.builds(Recall, st.just(b""), text, st.binary(), st.integers(), st.just(frozenset()))
)
ends = st.dictionaries(names, st.sampled_from((b"", b"s" * 16, b"t" * 16)))


@given(recalls, ends, st.one_of(st.just(b""), names))
def test_at_most_one_recall_may_sell_and_nothing_is_sold_twice_unseen(taken, ended, keep):
    where = standing(taken, ended, keep)
    sellers = [name for name in taken if where.holder == name]
    assert len(sellers) <= 1
    if where.sales:
        assert where.state == "sold"
        assert where.holder is None, "what is sold is nobody's to sell"
    if sellers:
        assert where.state == "recalled"
        assert sellers[0] not in ended
        others = {name for name in taken if name not in ended} - set(sellers)
        assert not others or keep == sellers[0], "of several only the one a person named"
    if where.state == "contested":
        assert "recalled twice" in dict(where.oddities)
    if len(where.sales) > 1:
        assert dict(where.oddities)["sold twice"] == set(where.sales)


def test_a_persons_word_is_forgotten_when_more_happens():
    history = History(b"d" * 16, BASKET)
    for n in (1, 2):
        history.recalled(Recall(bytes([n]) * 16, f"T{n}", b"", 0, frozenset()))
    (odd,) = history.oddities()
    history.settlements.append(Settlement((1, "a"), odd.names, b""))
    assert not history.oddities()
    assert history.standing.state == "contested", "looked at, and still nobody's to sell"
    history.ends = {bytes([n]) * 16: bytes([9, n]) * 8 for n in (1, 2)}
    assert [one.what for one in history.oddities()] == ["sold twice"]


def test_of_two_generations_one_holds_and_the_other_is_shown():
    history = History(b"d" * 16, BASKET)
    change = opened().change(b"a" * 16, [Put(FIELDS, "note", "x")])
    for name, number, covered in ((b"a", 2, {b"1"}), (b"b", 2, {b"1", b"2"}), (b"c", 3, set())):
        history.generations[name * 16] = Generation(
            name * 16, b"b" * 16 if name == b"c" else b"", number, frozenset(covered), change
        )
    assert history.generation == b"c" * 16
    (odd,) = history.oddities()
    assert (odd.what, odd.names) == ("lost generation", {b"a" * 16})
    del history.generations[b"c" * 16]
    assert history.generation == b"b" * 16


def test_only_head_office_leaves_a_history_behind():
    change = opened().change(b"a" * 16, [Put(FIELDS, "note", "x")])
    body = GenerationBegan(bytes(16), BASKET, b"", 2, b"", change)
    assert "only head office" in misplaced(body, "S1")
    assert not misplaced(body, "")


codes = st.from_regex(r"[A-Za-z0-9:]{1,12}", fullmatch=True)
profiles = st.builds(
    Profile,
    name=text,
    phone=text,
    email=text,
    nip=text,
    notes=text,
    consents=st.dictionaries(codes, st.booleans(), max_size=4),
    codes=st.lists(codes, max_size=4, unique=True).map(lambda made: tuple(sorted(made))),
)


@given(profiles, profiles)
def test_the_edits_between_two_profiles_make_the_one_of_the_other(before, after):
    changes = written(edits(Profile(), before))
    changes = written(edits(profile(opened(changes).value), after), changes=changes)
    assert profile(opened(changes).value) == after
    assert not edits(after, after)


@given(profiles)
def test_a_profile_is_found_by_everything_it_is_found_by(of):
    found = handles(of)
    for shown in (*of.codes, of.phone, of.email):
        spelled = sought(shown)
        assert shown == "" or spelled & found or not (spelled - {f"code:{shown.strip()}"})


def test_one_phone_has_one_spelling():
    spelled = {
        next(iter(handles(Profile(phone=phone))))
        for phone in ("601202303", "+48 601 202 303", "0048601-202-303", "(48) 601.202.303")
    }
    assert spelled == {"phone:601202303"}
    assert handles(Profile(email=" Jan@Example.PL ")) == {"mail:jan@example.pl"}
    assert handles(Profile(phone="12", email="none")) == frozenset()
    assert ITEMS
