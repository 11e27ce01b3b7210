"""What is made of a class without the library's module is what the library makes of it, for whoever looks at it."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
import typing
from typing import TYPE_CHECKING, Any

import pytest

from nectar import frozen
from nectar.api.computation import Computation, ComputationResult
from nectar.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable


@frozen.dataclass(frozen=True, kw_only=True)
class Ours:
    name: str
    number: int = 7
    many: list[int] = frozen.field(default_factory=list)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Theirs:
    name: str
    number: int = 7
    many: list[int] = dataclasses.field(default_factory=list)


@frozen.dataclass(frozen=True, kw_only=True)
class OursWithSecrets:
    name: str
    secret: str | None = frozen.field(default=None, repr=False)
    seen: list[int] | None = frozen.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TheirsWithSecrets:
    name: str
    secret: str | None = dataclasses.field(default=None, repr=False)
    seen: list[int] | None = dataclasses.field(default=None, compare=False)


both = pytest.mark.parametrize("made", [Ours, Theirs])
every = pytest.mark.parametrize("cls", [Computation, ComputationResult, Settings])


@both
def test_what_is_not_given_is_the_default_and_each_has_its_own(made: Any) -> None:
    one, two = made(name="a"), made(many=[3], name="b", number=None)
    assert vars(one) == {"name": "a", "number": 7, "many": []}
    assert vars(two) == {"name": "b", "number": None, "many": [3]}
    assert list(vars(two)) == ["name", "number", "many"]
    one.many.append(1)
    assert made(name="a").many == []
    assert made.number == 7
    assert not hasattr(made, "many")


@both
@pytest.mark.parametrize(
    ("args", "given", "said"),
    [
        ((), {}, r"missing .*argument: 'name'"),
        ((), {"name": "a", "nmae": "b"}, "unexpected keyword argument 'nmae'"),
        (("a",), {}, "positional"),
    ],
)
def test_what_is_missing_or_not_known_is_named(made: Any, args: Any, given: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        made(*args, **given)


@both
def test_it_cannot_be_changed(made: Any) -> None:
    one = made(name="a")
    changes: list[Callable[[], None]] = [
        lambda: setattr(one, "name", "b"),
        lambda: setattr(one, "another", "b"),
        lambda: delattr(one, "name"),
        lambda: delattr(one, "another"),
    ]
    for change in changes:
        with pytest.raises(dataclasses.FrozenInstanceError, match=r"cannot (assign to|delete) field '(name|another)'"):
            change()
    assert one == made(name="a")


@both
def test_equal_is_what_is_of_the_same_class_with_equal_fields(made: Any) -> None:
    class Sub(made):  # type: ignore[misc]
        pass

    assert made(name="a") == made(name="a", number=7.0)
    assert made(name="a") != made(name="a", number=8)
    assert made(name="a") != Sub(name="a")
    assert made(name="a").__eq__({"name": "a"}) is NotImplemented
    assert hash(made(name="a", many=())) == hash(("a", 7, ()))
    with pytest.raises(TypeError, match="unhashable"):
        hash(made(name="a"))


@both
def test_it_is_shown_copied_and_taken_apart(made: Any) -> None:
    one = made(name="a", many=[1])
    assert repr(one) == f"{made.__name__}(name='a', number=7, many=[1])"
    for same in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert same == one
        assert type(same) is made
    assert made.__match_args__ == ()


@pytest.mark.parametrize("made", [OursWithSecrets, TheirsWithSecrets])
def test_a_field_may_be_left_out_of_what_is_shown_and_of_what_is_compared(made: Any) -> None:
    one, other = made(name="a", secret="b", seen=[1]), made(name="a", secret="b")
    assert vars(other) == {"name": "a", "secret": "b", "seen": None}
    assert made.secret is None
    assert repr(one) == f"{made.__name__}(name='a', seen=[1])"
    assert one == other
    assert hash(one) == hash(other) == hash(("a", "b"))
    assert one != made(name="a")
    assert [(f.name, f.default, f.repr, f.compare) for f in dataclasses.fields(made)] == [
        ("name", dataclasses.MISSING, True, True),
        ("secret", None, False, True),
        ("seen", None, True, False),
    ]
    assert str(inspect.signature(made)) == "(*, name: 'str', secret: 'str | None' = None, seen: 'list[int] | None' = None) -> None"


@pytest.mark.parametrize("replace", [frozen.replace, dataclasses.replace])
def test_it_is_made_anew_with_another_field(replace: Any) -> None:
    one = Ours(name="a", many=[1])
    assert replace(one, number=8) == Ours(name="a", number=8, many=[1])
    assert replace(one).many is one.many
    assert one.number == 7
    with pytest.raises(TypeError, match="unexpected keyword argument 'other'"):
        replace(one, other=1)


@both
def test_the_library_knows_it(made: Any) -> None:
    one = made(name="a", many=[1])
    assert [dataclasses.is_dataclass(each) for each in (made, one)] == [True, True]
    assert dataclasses.replace(one, number=8) == made(name="a", number=8, many=[1])
    assert dataclasses.asdict(one) == {"name": "a", "number": 7, "many": [1]}
    if hasattr(copy, "replace"):
        assert copy.replace(one, name="b") == made(name="b", many=[1])
    assert [(f.name, f.type, f.kw_only, f.default) for f in dataclasses.fields(made)] == [
        ("name", "str", True, dataclasses.MISSING),
        ("number", "int", True, 7),
        ("many", "list[int]", True, dataclasses.MISSING),
    ]
    assert dataclasses.fields(made)[2].default_factory is list
    assert str(inspect.signature(made)) == "(*, name: 'str', number: 'int' = 7, many: 'list[int]' = <factory>) -> None"


@both
def test_a_dataclass_can_be_made_of_it(made: Any) -> None:
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class More(made):  # type: ignore[misc]
        more: int

    class Other(made):  # type: ignore[misc]
        def __init__(self, other: int) -> None:
            super().__init__(name="a")
            self.other = other

    assert repr(More(name="a", more=1)).endswith("More(name='a', number=7, many=[], more=1)")
    assert [field.name for field in dataclasses.fields(More)] == ["name", "number", "many", "more"]
    assert list(inspect.signature(More).parameters) == ["name", "number", "many", "more"]
    assert list(inspect.signature(Other).parameters) == ["other"]
    one = Other(3)
    one.other = 4
    del one.other
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.name = "b"
    with pytest.raises(TypeError, match="non-frozen"):
        dataclasses.dataclass(kw_only=True)(type("Thawed", (made,), {"__annotations__": {}}))


@every
def test_types_of_fields_can_be_asked_for_at_run_time(cls: Any) -> None:
    assert typing.get_type_hints(cls).keys() == {field.name for field in dataclasses.fields(cls)}


@every
def test_the_library_is_not_needed_until_it_is_asked(cls: Any) -> None:
    code = (
        f"import sys; from {cls.__module__} import {cls.__name__} as made; print(*{{'dataclasses', 'inspect'}} & {{*sys.modules}})"
    )
    known = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout
    assert known == "\n"


class Pair(frozen.NamedTuple):
    """Two."""

    left: int
    right: list[str] | None = None

    @property
    def both(self) -> str:
        return f"{self.left} {self.right}"


def test_a_named_tuple_is_as_of_the_library() -> None:
    assert Pair(1) == (1, None) == Pair(left=1)
    assert Pair(1, ["a"]).both == "1 ['a']"
    assert Pair(1)._replace(left=2)._asdict() == {"left": 2, "right": None}
    assert repr(Pair(1)) == "Pair(left=1, right=None)"
    assert (Pair.__doc__, Pair.__name__, Pair.__module__, Pair.__mro__[1]) == ("Two.", "Pair", __name__, tuple)
    assert typing.get_type_hints(Pair) == {"left": int, "right": list[str] | None}
    assert pickle.loads(pickle.dumps(Pair(3))) == Pair(3)
    with pytest.raises(TypeError, match="left"):
        Pair()  # type: ignore[call-arg]
