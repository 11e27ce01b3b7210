"""The model: what words weigh. It stands for something that takes a while to load."""

import json
from importlib.resources import files


class Model:
    """Words and their weights; empty until it is loaded.

    :ivar loads: how often it was loaded in this process.
    """

    def __init__(self) -> None:
        self.weights: dict[str, int] = {}
        self.loads = 0

    def load(self) -> None:
        self.weights = json.loads(files("warm_model").joinpath("weights.json").read_text(encoding="utf-8"))
        self.loads += 1

    def unload(self) -> None:
        self.weights = {}

    def score(self, text: str) -> int:
        """The sum of the weights of a text's words.

        :raises RuntimeError: the model is not loaded.
        """
        if not self.weights:
            raise RuntimeError("the model is not loaded")
        return sum(self.weights.get(word.strip(".,;:!?").lower(), 0) for word in text.split())


MODEL = Model()
