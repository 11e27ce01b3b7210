"""The trivial handler as syft-event has it: ``python with_syft_event.py DATA_DIR``; the questions come as its own messages."""

import sys
from pathlib import Path

from loguru import logger
from syft_core import Client, SyftClientConfig
from syft_event import SyftEvents

logger.remove()  # it says more of each question than nectar does, and would be slower for it
data_dir = Path(sys.argv[1])
config = SyftClientConfig(data_dir=data_dir, email="bench@example.org", path=data_dir / "config.json")
box = SyftEvents("bench", client=Client(config))


@box.on_request("/analyze")
def analyze(question: dict) -> int:
    return len(question["query"])


box.run_forever()
