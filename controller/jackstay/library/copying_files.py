"""cp on hosts: into a container on all of them, each from its own read of the local side; out of one."""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from jackstay.copying import container_copy
from jackstay.copying.container_paths import STREAM, parse_ends
from jackstay.copying.progress import CopyProgress
from jackstay.copying.unwaited import begin

if TYPE_CHECKING:
    from jackstay.client import AgentClient
    from jackstay.copying.container_copy import Copied, Produce
    from jackstay.copying.pouring import Write
    from jackstay.fleet import FleetResult
    from jackstay.library.hosts import Hosts


async def copy_files(
    hosts: Hosts,
    source: str,
    destination: str,
    *,
    follow_link: bool,
    keep_owner: bool,
    write: Write | None,
    progress: CopyProgress | None,
) -> FleetResult[Copied]:
    """See :meth:`jackstay.library.containers.Containers.copy`."""
    ends = parse_ends(source, destination)
    shown = progress or CopyProgress()
    with ExitStack() as held:
        stream: Produce | None = None
        if ends.to_container and ends.local == STREAM:
            stream = container_copy.standard_input
            if len(hosts) > 1:
                from jackstay.copying.archive_source import spool_folder

                spooled = container_copy.for_many(partial(spool_folder, os.environ))
                stream = await begin(partial(held.enter_context, spooled))

        async def work(agent: AgentClient) -> Copied:
            host = shown.host(agent.host.name)
            try:
                if ends.to_container:
                    return await container_copy.to_container(
                        agent, ends, stream, host, follow=follow_link, keep_owner=keep_owner
                    )
                return await container_copy.from_container(
                    agent, ends, write, host, follow=follow_link, keep_owner=keep_owner
                )
            finally:
                host.finished = True

        return await hosts.run(work)
