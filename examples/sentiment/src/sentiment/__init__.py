"""How does the question sound? Without a network: VADER (``vaderSentiment``) is a lexicon and some rules."""

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from nectar import Computation, handler

analyzer = SentimentIntensityAnalyzer()  # reads its lexicon: 60 ms, once for each process


@handler
def sentiment(comp: Computation) -> int:
    """Return 0 for horrible, 100 for neutral, 200 for wonderful, and what lies between.

    VADER's score is -1 to 1. An answer is an integer and must not be below zero, hence this scale: who adds up the answers of ten nodes
    takes 100 for each away again.
    """
    return round(100 * analyzer.polarity_scores(comp.query)["compound"]) + 100
