"""The script that the environment's interpreter runs: it finds nectar beside itself and starts one of the four roles.

::

    python -I -S start.py daemon        a handler's daemon: `nectar.runtime.daemon.beginning`
    python -I -S start.py once          a computation without a daemon: `nectar.runtime.daemon.once`
    python -P -s start.py worker FD     the process that runs the handler's code: `nectar.runtime.worker.worker`
    python -P -s start.py part FD PID   the same beside an engine's process, whose PID that is: `nectar.runtime.worker.part`

It lies at ``runtime/{tag}/api/nectar/runtime/``. The daemon has ``deps/`` on its path too. The last two have only ``api/``, behind the
handler's own packages.
"""

import gc
import os
import sys

# Without pathlib, here and in all that a worker imports: with what it brings along it takes 0.7 MB of each worker.


def main() -> None:
    # What is imported stays. To look through it for garbage again and again, while it is imported, takes a tenth of a start; each role
    # has that begin when its modules are there, and leave them alone (`gc.freeze`).
    gc.disable()
    # Links are left as they are: the runtime's directory may be reached through one, and is known by that name.
    api = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    role = sys.argv[1]
    sys.path.append(api)
    if role == "daemon":
        sys.path.append(os.path.join(os.path.dirname(api), "deps"))
        from nectar.runtime.daemon.beginning import main as run
    elif role == "once":
        from nectar.runtime.daemon.once import main as run
    elif role == "worker":
        from nectar.runtime.worker.worker import main as run
    else:
        from nectar.runtime.worker.part import main as run
    run()


if __name__ == "__main__":
    main()
elif __name__ == "__mp_main__" and "NECTAR_SNAPSHOT" in os.environ:
    # The code has started a process with multiprocessing, which runs its parent's script under this name before it imports
    # what it is to do from the handler's file.
    import json

    from nectar.runtime.worker.snapshot import install

    install(*json.loads(os.environ["NECTAR_SNAPSHOT"]))
