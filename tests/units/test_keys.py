"""Who may look at the dashboard: whoever opened its address first, within a minute."""

from __future__ import annotations

import pytest

from nectar.web.keys import GOOD, Keys


@pytest.mark.parametrize(("after", "good"), [(0, True), (GOOD - 0.1, True), (GOOD, False), (10 * GOOD, False)])
def test_a_token_is_good_once_and_for_a_minute(after: float, good: bool) -> None:
    now = 5.0
    keys = Keys(lambda: now)
    now += after
    for wrong in ("", "x", keys.token[:-1], keys.token + "x", "ä", "\udc80"):
        assert keys.spend(wrong) is None
    cookie = keys.spend(keys.token)
    assert (cookie is not None) is good
    assert keys.spend(keys.token) is None
    if cookie is not None:
        value, *attributes = cookie.split("; ")
        assert attributes == [f"Path={keys.path}", "HttpOnly", "SameSite=Strict"]
        assert keys.fit(value) and keys.fit(f"a=b; {value}; c=d")
        assert not any(keys.fit(other) for other in ("", value[:-1], value + "x", value.upper(), "nectar=", "nectar=\xe4"))


def test_nothing_of_one_fits_another() -> None:
    one, other = Keys(), Keys()
    cookie = one.spend(one.token)
    assert cookie is not None and not other.fit(cookie.split(";")[0])
    assert other.spend(one.token) is None and one.path != other.path
