"""Taking away what a run of a container holds: processes, network, mount, bundle. Each step is safe to do again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil

import structlog

from jackstay_agent.containers import mapping, state
from jackstay_agent.containers.engine import Engine
from jackstay_agent.containers.mounting import listed, unmount_parts
from jackstay_agent.errors import Error

_log = structlog.get_logger("containers")


async def release(engine: Engine, container: str) -> str:
    """End what is left of *container*'s processes, disconnect it, unmount its root; "" or what went wrong.

    Every step is tried, whatever the others do. Its bundle and its exit file stay, as they tell how it ended.
    """
    wrong = ""
    disconnecting = asyncio.create_task(engine.networks.disconnect(container))
    for step in (
        engine.monitors.discard(container),
        disconnecting,
        engine.snapshotter.unmount(engine.layout.rootfs(container)),
        engine.mounts.unmount(engine.layout.shm(container)),
        unmount_parts(engine, container),
        mapping.clear(engine, container),
    ):
        try:
            await step
        except Exception as error:  # also one of the database's that is no `Error`
            _log.error("cannot release", container=container, error=str(error))
            wrong = wrong or str(error) or repr(error)
    return wrong


def release_later(engine: Engine, container: str) -> None:
    """`release` has failed for *container*: do it until it works, unless its next run, or its removal, comes first."""

    async def again() -> None:
        async with engine.entry(container).lock:
            row = await engine.get(container)
            if state.is_live(row.state) or row.state == "removing":
                return
            if wrong := await release(engine, container):
                raise Error(wrong)
            await forget(engine, container)

    engine.retries.keep(f"release {container}", again)


async def forget(engine: Engine, container: str) -> None:
    """Delete the bundle and the exit file, once the row says how the run ended. Raises `Error` while the root is
    mounted."""
    await asyncio.to_thread(delete_bundle, engine.layout.bundle(container))
    await asyncio.to_thread(_forget_exit, engine.layout.exits, container)


def delete_bundle(bundle: str) -> None:
    """Delete *bundle*, but never what is mounted in it: a mounted root or volume would lose its files."""
    parts = os.path.join(bundle, "parts")
    for place in (os.path.join(bundle, "rootfs"), *(os.path.join(parts, name) for name in listed(parts))):
        try:
            os.rmdir(place)
        except FileNotFoundError:
            pass
        except NotADirectoryError:
            os.unlink(place)
        except OSError as error:
            raise Error(
                f"{place} is still in use: {error.strerror}", hint="find who uses it with: fuser -vm on that folder"
            ) from error
    shutil.rmtree(bundle, ignore_errors=True)


def _forget_exit(folder: str, container: str) -> None:
    """Delete the exit file, and what a monitor that was killed while it wrote has left beside it (``ID.XXXXXX``)."""
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(folder):
            if name.partition(".")[0] == container:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(folder, name))
