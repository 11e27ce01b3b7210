from full_context import contextual_handler
from nectar.testing import ask, computation


def test_the_length_for_each_target() -> None:
    assert ask(contextual_handler, computation(query="abc", targets=["alice", "bob"])) == 6


def test_a_weight() -> None:
    assert ask(contextual_handler, computation(query="abc", targets=["alice"], metadata={"weight": 5})) == 15


def test_our_own_questions_count_nothing() -> None:
    assert ask(contextual_handler, computation(proposer="alice", metadata={"own": ["alice"]})) == 0
