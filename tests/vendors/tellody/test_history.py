"""The whole purchase history is read exactly, whatever happens to it between two pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.errors import AnswerNotTrusted
from dagster_project.vendors.tellody.history import ALL_AT_ONCE, History, read_history
from dagster_project.vendors.tellody.payment_page import (
    PaymentResponse,
    current_positions,
    read_page,
)
from tests.vendors.tellody.conftest import page, purchase

Change = Callable[["Shop"], None]


@dataclass
class Shop:
    """A vendor in miniature: purchases newest first as (id, version), changed after chosen requests."""

    purchases: list[tuple[int, int]]
    cap: int = 0
    changes: dict[int, Change] = field(default_factory=dict)
    each_time: Change | None = None
    paging: bool = True
    odd_count: int = 0
    asked: list[tuple[int, int]] = field(default_factory=list)

    def ask(self, number: int, per_page: int) -> PaymentResponse:
        size = min(per_page, self.cap or per_page)
        first = number * size if self.paging else 0
        records = [
            purchase(paymentId=str(n), months=str(version))
            for n, version in self.purchases[first : first + size]
        ]
        total = len(self.purchases) + self.odd_count
        answer = page(*records, count=total, page=number)
        self.asked.append((number, per_page))
        change = self.changes.get(len(self.asked)) or self.each_time
        if change is not None:
            change(self)
        return PaymentResponse(**answer.values(), page=read_page(answer.body))

    def buy(self) -> None:
        self.purchases.insert(0, (max((n for n, _ in self.purchases), default=0) + 1, 0))

    def move(self, old: int, new: int) -> None:
        """One purchase is re-sent with another date, and changes its place."""
        if self.purchases:
            n, version = self.purchases.pop(old % len(self.purchases))
            self.purchases.insert(new % (len(self.purchases) + 1), (n, version + 1))

    def withdraw(self, place: int) -> None:
        if self.purchases:
            del self.purchases[place % len(self.purchases)]


def shop(count: int, **more: object) -> Shop:
    return Shop([(n, 0) for n in range(count, 0, -1)], **more)  # type: ignore[arg-type]


def rows(history: History) -> dict[int, int]:
    """Every purchase that the answers' current records hold; each must stand once."""
    found: dict[int, int] = {}
    for answer in history.answers:
        whole = read_page(answer.body)
        for position in current_positions(whole, answer.request):
            number = whole.identities[position]
            assert isinstance(number, int)
            assert number not in found, "a purchase stands in two answers"
            found[number] = int(whole.fields[position]["months"])
    return found


@pytest.mark.parametrize("count", [0, 1, 12, 250])
def test_one_question_reads_everything_where_the_server_allows_it(count: int) -> None:
    vendor = shop(count)
    history = read_history(vendor.ask)
    assert vendor.asked == [(0, ALL_AT_ONCE)]
    assert rows(history) == dict(vendor.purchases)
    assert history.total == count


@pytest.mark.parametrize("cap", [1, 7, 100, 249, 250])
def test_pages_are_read_where_per_page_is_capped(cap: int) -> None:
    vendor = shop(250, cap=cap)
    assert rows(read_history(vendor.ask)) == dict(vendor.purchases)
    assert len(vendor.asked) == -(-250 // cap)
    assert all(per_page == cap for number, per_page in vendor.asked[1:])


def test_purchases_that_arrive_at_every_request_neither_hide_nor_double_another() -> None:
    vendor = shop(250, cap=10, each_time=Shop.buy)
    history = read_history(vendor.ask)
    before_last_request = dict(vendor.purchases[1:])
    assert rows(history) == before_last_request
    assert len(vendor.asked) < 40
    assert [answer.sequence for answer in history.answers] == [*range(1, len(history.answers) + 1)]


def test_a_later_reading_of_a_purchase_stands() -> None:
    vendor = shop(30, cap=10, changes={1: lambda shop: shop.move(25, 0)})
    assert rows(read_history(vendor.ask)) == dict(vendor.purchases)
    assert dict(vendor.purchases)[5] == 1


def test_purchases_that_moved_by_whole_pages_are_no_paging_that_does_not_work() -> None:
    first_to_last = {call: lambda shop: shop.move(0, 5) for call in (1, 2)}
    vendor = shop(6, cap=2, changes=first_to_last)
    assert rows(read_history(vendor.ask)) == dict(vendor.purchases)


arrivals = st.builds(lambda: Shop.buy)
moves = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(
    lambda places: lambda shop: shop.move(*places)
)
removals = st.integers(0, 60).map(lambda place: lambda shop: shop.withdraw(place))


@given(
    st.integers(0, 60),
    st.integers(2, 25),
    st.dictionaries(st.integers(1, 12), arrivals | moves, max_size=6),
)
def test_whatever_arrives_or_moves_between_pages_all_is_read(
    count: int, cap: int, changes: dict[int, Change]
) -> None:
    vendor = shop(count, cap=cap, changes=changes)
    history = read_history(vendor.ask)
    read = rows(history)
    assert len(read) == history.total
    pending = changes.get(len(vendor.asked)) is Shop.buy
    assert set(read) == {n for n, _ in vendor.purchases[pending:]}


@given(
    st.integers(0, 60),
    st.integers(2, 25),
    st.dictionaries(st.integers(1, 12), arrivals | moves | removals, max_size=4),
)
def test_when_purchases_are_taken_back_the_total_comes_out_even_or_nothing_is_trusted(
    count: int, cap: int, changes: dict[int, Change]
) -> None:
    vendor = shop(count, cap=cap, changes=changes)
    try:
        history = read_history(vendor.ask)
    except AnswerNotTrusted:
        return
    assert len(rows(history)) == history.total


def test_a_purchase_taken_back_between_pages_starts_the_reading_anew() -> None:
    vendor = shop(40, cap=10, changes={2: lambda shop: shop.withdraw(0)})
    history = read_history(vendor.ask)
    assert rows(history) == dict(vendor.purchases)
    assert history.reads > len(history.answers)


def test_a_server_that_ignores_the_page_is_an_error() -> None:
    vendor = shop(25, cap=10, paging=False)
    with pytest.raises(AnswerNotTrusted, match="page 1 of the purchases equals page 0: paging"):
        read_history(vendor.ask)
    assert len(vendor.asked) == 3


@pytest.mark.parametrize("odd_count", [-1, 1, 50])
def test_a_count_that_never_comes_out_even_is_an_error(odd_count: int) -> None:
    vendor = shop(25, cap=10, odd_count=odd_count)
    with pytest.raises(AnswerNotTrusted, match="counted"):
        read_history(vendor.ask)
    assert len(vendor.asked) < 60


def test_an_empty_page_of_a_history_that_is_not_empty_is_an_error() -> None:
    with pytest.raises(AnswerNotTrusted, match="12 purchases are counted, 0 distinct ones came"):
        read_history(shop(0, odd_count=12).ask)


def test_records_without_a_readable_number_are_counted_by_their_characters() -> None:
    answer = page(purchase(paymentId="null"), purchase(paymentId='"a"'), purchase())
    whole = read_page(answer.body)

    def ask(number: int, per_page: int) -> PaymentResponse:
        return PaymentResponse(**answer.values(), page=whole)

    history = read_history(ask)
    assert history.total == 3
    assert history.answers[0].page is whole


def test_an_answer_that_holds_as_many_records_as_it_counts_is_whole_though_one_stands_twice() -> (
    None
):
    answer = page(purchase(), purchase())

    def ask(number: int, per_page: int) -> PaymentResponse:
        assert number == 0
        whole = read_page(answer.body)
        return PaymentResponse(**answer.values(), page=whole)

    assert len(read_history(ask).answers) == 1


def test_a_page_that_comes_empty_where_purchases_are_due_ends_the_reading() -> None:
    """Else a count far too high would be paged up to, page after page."""
    vendor = shop(12, cap=4, odd_count=900_000)
    with pytest.raises(AnswerNotTrusted, match="900012 purchases are counted, 12 distinct ones"):
        read_history(vendor.ask)
    assert len(vendor.asked) == 4
