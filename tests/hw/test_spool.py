"""The file of printing jobs: whatever dies when, a job is on paper once, or says KOPIA."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hw.errors import DeviceRefused
from hw.outcome import Done, Refused, Unknown
from hw.slip import Barcode, Columns, Cut, OpenDrawer, QrCode, Rule, TextLine, dumped, loaded
from hw.spool import COPY, KEPT_MS, MAX_REFUSALS, RULES, Order, Spool

ELEMENTS = (
    TextLine(text="Żółw", bold=True, align="center"),
    Columns(left="Chleb", right="4,99"),
    Rule(),
    QrCode("https://karb.example/1"),
    Barcode("5901234123457"),
    OpenDrawer(pin=5),
    Cut(),
)
IDS = ("a", "b", "c")


def order(id_="a", kind="slip", text="x", device="P1", till="T1"):
    return Order(id=id_, kind=kind, device=device, till=till, elements=(TextLine(text=text),))


@pytest.fixture
def spool(tmp_path):
    spool = Spool(tmp_path / "jobs.db")
    yield spool
    spool.close()


def test_elements_come_back_as_they_were_kept():
    assert loaded(dumped(ELEMENTS)) == ELEMENTS


@pytest.mark.parametrize(
    "kept", [b"", b"{}", b'[{"element":"x"}]', b'[{"element":"text"}]', b"[1]"]
)
def test_what_was_not_kept_by_us_is_refused(kept):
    if kept == b"{}":
        assert loaded(kept) == ()
        return
    with pytest.raises(DeviceRefused):
        loaded(kept)


def test_asked_twice_it_is_one_job_and_another_order_under_its_id_is_refused(spool):
    job, new = spool.add(order(), 0)
    assert (job.state, new) == ("waiting", True)
    assert spool.add(order(device="P2"), 5) == (job, False), "where it comes out is not the order"
    for other in (order(text="y"), order(till="T2"), order(kind="kitchen")):
        with pytest.raises(DeviceRefused, match="got another one"):
            spool.add(other, 0)


def test_a_job_refused_too_often_is_held_until_a_person_resumes_it(spool):
    spool.add(order(), 0)
    for _ in range(MAX_REFUSALS):
        assert spool.begin("a")
        assert spool.end("a", Refused("paper", "load"), 0).state == "waiting"
    assert spool.begin("a")
    assert spool.end("a", Refused("paper", "load"), 0).state == "held"
    assert spool.next("P1") is None
    assert [job.id for job in spool.listed()] == ["a"]
    resumed = spool.decide("a", "resume", "anna", 7)
    assert (resumed.state, resumed.copy) == ("waiting", False)
    assert (resumed.decided_by, resumed.decided_ms, resumed.decision) == ("anna", 7, "resume")


def test_a_person_says_what_no_machine_can_and_a_reprint_says_copy(spool):
    for id_ in "ab":
        spool.add(order(id_), 0)
        spool.begin(id_)
        spool.end(id_, Unknown("?", "look"), 0)
    assert spool.decide("a", "printed", "anna", 7).state == "done"
    assert spool.decide("a", "printed", "anna", 7).decided_by == "anna"
    assert spool.decide("b", "not_printed", "ola", 7).state == "waiting"
    assert spool.begin("b").slip().elements[0] == COPY
    with pytest.raises(DeviceRefused, match="it is done"):
        spool.decide("a", "not_printed", "ola", 7)


def test_a_drawer_goes_first_lives_three_seconds_and_is_never_replayed(spool):
    spool.add(order("slip"), 0)
    spool.add(order("drawer", "drawer"), 0)
    assert spool.next("P1").id == "drawer"
    assert spool.expire("P1", 2_999) == []
    assert [job.id for job in spool.expire("P1", 3_000)] == ["drawer"]
    spool.add(order("again", "drawer"), 3_000)
    assert spool.move("P1", "P2") != []
    assert spool.get("again").device == "P1", "another drawer is another till's money"
    spool.recover(3_001)
    assert spool.get("again").state == "expired"
    assert spool.get("slip").state == "waiting"


def test_only_what_is_proven_not_to_be_on_paper_moves(spool):
    for id_ in "ab":
        spool.add(order(id_), 0)
    spool.begin("a")
    assert [job.id for job in spool.move("P1", "P2")] == ["b"]
    spool.end("a", Unknown("?", "look"), 0)
    assert spool.move("P1", "P2") == []
    assert spool.next("P2").id == "b"


def test_what_was_printed_is_forgotten_in_time_and_that_it_was_never(spool):
    for id_ in "ab":
        spool.add(order(id_), 0)
        spool.begin(id_)
        spool.end(id_, Done("echo"), KEPT_MS + 1 if id_ == "b" else 0)
    assert spool.get("a").body == b""
    assert spool.add(order("a"), 0)[1] is False


def test_notes_of_drivers_are_kept_in_the_order_they_became_pending(spool):
    spool.keep_note("f", "two", {"n": 1}, pending=True)
    spool.keep_note("f", "one", {"n": 2}, pending=True)
    spool.keep_note("f", "two", {"n": 3, "ż": None}, pending=True)
    spool.keep_note("g", "one", {"n": 4}, pending=True)
    assert spool.pending("f") == ["two", "one"]
    assert spool.note("f", "two") == {"n": 3, "ż": None}
    spool.keep_note("f", "two", {}, pending=False)
    assert spool.pending("f") == ["one"]
    assert spool.note("f", "none") == {}


class Deaths(RuleBasedStateMachine):
    """A printer, its spool, and a program that may die between any two steps."""

    @initialize()
    def start(self):
        self.folder = tempfile.TemporaryDirectory()
        self.spool = Spool(Path(self.folder.name) / "jobs.db")
        self.now = 0
        self.asked, self.paper, self.sending = set(), [], None

    def teardown(self):
        self.spool.close()
        self.folder.cleanup()

    @rule(id_=st.sampled_from(IDS), kind=st.sampled_from(sorted(RULES)))
    def ask(self, id_, kind):
        try:
            self.spool.add(order(id_, kind, id_), self.now)
        except DeviceRefused:
            assert id_ in self.asked
        self.asked.add(id_)

    @rule(passed=st.sampled_from([1, 3_000, 3 * 3_600_000]))
    def wait(self, passed):
        self.now += passed
        for device in ("P1", "P2"):
            for job in self.spool.expire(device, self.now):
                assert RULES[job.kind].lives_ms is not None

    @precondition(lambda self: self.sending is None)
    @rule(device=st.sampled_from(["P1", "P2"]))
    def begin(self, device):
        job = self.spool.next(device)
        if job is not None:
            self.sending = self.spool.begin(job.id)

    @precondition(lambda self: self.sending is not None)
    @rule(
        on_paper=st.booleans(),
        answer=st.sampled_from(["done", "refused", "lost", "died"]),
    )
    def answer(self, on_paper, answer):
        job, self.sending = self.sending, None
        if answer == "done" or (on_paper and answer in {"lost", "died"}):
            self.paper.append((job.id, job.slip().elements[0] == COPY))
        if answer == "died":
            self.die()
            return
        outcome = {
            "done": Done("echo"),
            "refused": Refused("paper", "load"),
            "lost": Unknown("?", "look"),
        }[answer]
        self.spool.end(job.id, outcome, self.now)

    @rule()
    def die(self):
        self.sending = None
        self.spool.close()
        self.spool = Spool(Path(self.folder.name) / "jobs.db")
        assert not self.spool.new
        for job in self.spool.recover(self.now):
            assert self.spool.get(job.id).state == "unknown"

    @rule(to=st.sampled_from(["P1", "P2"]))
    def move(self, to):
        self.spool.move({"P1": "P2", "P2": "P1"}[to], to)

    @rule(
        id_=st.sampled_from(IDS),
        decision=st.sampled_from(["printed", "not_printed", "resume", "cancel"]),
    )
    def decide(self, id_, decision):
        if id_ in self.asked:
            try:
                self.spool.decide(id_, decision, "anna", 7)
            except DeviceRefused:
                return

    @invariant()
    def at_most_one_original_is_on_paper(self):
        originals = [id_ for id_, copy in getattr(self, "paper", ()) if not copy]
        assert len(originals) == len(set(originals))

    @invariant()
    def what_is_believed_to_wait_is_not_on_paper_as_an_original(self):
        for job in self.spool.listed() if hasattr(self, "spool") else ():
            if job.state in {"waiting", "held"} and not job.copy:
                assert job.id not in {id_ for id_, _ in self.paper}


Deaths.TestCase.settings = settings(
    max_examples=30,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestDeaths = Deaths.TestCase
