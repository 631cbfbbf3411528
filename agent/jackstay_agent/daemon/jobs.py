"""Where the jobs live: the modules that the spawner imports before it serves, so that a job starts by fork alone."""

MODULES = (
    "jackstay_agent.containers.copy_in",
    "jackstay_agent.containers.copy_out",
    "jackstay_agent.containers.copy_up",
    "jackstay_agent.containers.export_tree",
    "jackstay_agent.containers.users",
    "jackstay_agent.kernel.mounts",
    "jackstay_agent.layers.apply",
    "jackstay_agent.layers.changes",
    "jackstay_agent.layers.compare",
    "jackstay_agent.layers.copying",
    "jackstay_agent.layers.deleting",
    "jackstay_agent.layers.diff",
    "jackstay_agent.layers.subvolumes",
    "jackstay_agent.layers.trials",
    "jackstay_agent.layers.usage",
    "jackstay_agent.networks.netlink",
    "jackstay_agent.networks.proxy",
    "jackstay_agent.volumes.folders",
)
