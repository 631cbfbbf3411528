"""The library: everything that the commands do, typed and async.

::

    async with Fleet.open() as fleet:
        hosts = fleet.select("@web!web7")
        for outcome in (await hosts.containers.list(all=True)).outcomes:
            print(outcome.host, outcome.outcome)
"""

from jackstay.library.fleet import Fleet
from jackstay.library.hosts import Hosts

__all__ = ["Fleet", "Hosts"]
