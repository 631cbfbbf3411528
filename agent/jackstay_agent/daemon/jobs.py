"""Where the jobs live: the modules that the spawner imports before it serves."""

MODULES = ("jackstay_agent.kernel.mounts",)
