"""The script that the environment's interpreter runs: it finds nectar beside itself and starts one of the three roles.

::

    python -I -S start.py daemon        a handler's daemon: `nectar.runtime.daemon.daemon`
    python -I -S start.py once          a computation without a daemon: `nectar.runtime.daemon.once`
    python -P -s start.py worker FD     the process that runs the handler's code: `nectar.runtime.worker.worker`

It lies at ``runtime/{tag}/api/nectar/runtime/``. The daemon has ``deps/`` on its path too. A worker has only ``api/``, behind the
handler's own packages.
"""

import os
import sys
from pathlib import Path


def main() -> None:
    # Without pathlib's resolve(): the runtime's directory may be reached through a link, and is known by that name.
    api = Path(__file__).parent.parent.parent
    role = sys.argv[1]
    sys.path.append(str(api))
    if role == "daemon":
        sys.path.append(str(api.parent / "deps"))
        from nectar.runtime.daemon.daemon import main as run
    elif role == "once":
        from nectar.runtime.daemon.once import main as run
    else:
        from nectar.runtime.worker.worker import main as run
    run()


if __name__ == "__main__":
    main()
elif __name__ == "__mp_main__" and "NECTAR_SNAPSHOT" in os.environ:
    # The code has started a process with multiprocessing, which runs its parent's script under this name before it imports
    # what it is to do from the handler's file.
    from nectar.runtime.worker.snapshot import install

    name, _, manifest = os.environ["NECTAR_SNAPSHOT"].partition(":")
    install(manifest, name)
