"""What a container uses, out of files as kernels write them: cgroups v1 and v2, and the counters of interfaces."""

from __future__ import annotations

from pathlib import Path

import pytest

from jackstay_agent.containers import accounts
from jackstay_agent.containers.accounts import Accounts
from jackstay_agent.containers.cgroups import Cgroups

V1 = {
    ("cpuacct", "cpuacct.usage"): "65627204\n",
    ("memory", "memory.usage_in_bytes"): "5214208\n",
    ("memory", "memory.limit_in_bytes"): "67108864\n",
    ("memory", "memory.stat"): (
        "cache 4325376\nrss 278528\nshmem 0\nmapped_file 811008\ndirty 0\nswap 0\npgpgin 1419\npgpgout 295\n"
        "inactive_anon 270336\nactive_anon 8192\ninactive_file 1\nactive_file 4096\nunevictable 0\n"
        "hierarchical_memory_limit 67108864\nhierarchical_memsw_limit 134217728\n"
        "total_cache 4325376\ntotal_rss 278528\ntotal_inactive_anon 270336\ntotal_inactive_file 4321280\n"
        "total_active_file 4096\ntotal_unevictable 0\n"
    ),
    ("blkio", "blkio.throttle.io_service_bytes_recursive"): (
        "259:1 Read 3600384\n259:1 Write 0\n259:1 Sync 3600384\n259:1 Async 0\n259:1 Discard 0\n259:1 Total 3600384\n"
        "8:0 Read 512\n8:0 Write 40960\n8:0 Sync 41472\n8:0 Async 0\n8:0 Discard 0\n8:0 Total 41472\nTotal 3641856\n"
    ),
    ("pids", "pids.current"): "3\n",
}
"""Linux 6.1, a hybrid host, controllers in v1."""

V2 = {
    ("cpu", "cpu.stat"): (
        "usage_usec 65627\nuser_usec 21875\nsystem_usec 43752\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n"
        "nr_bursts 0\nburst_usec 0\n"
    ),
    ("memory", "memory.current"): "5214208\n",
    ("memory", "memory.max"): "67108864\n",
    ("memory", "memory.stat"): (
        "anon 278528\nfile 4325376\nkernel 557056\nkernel_stack 49152\npagetables 81920\nsock 0\nshmem 0\n"
        "file_mapped 811008\nfile_dirty 0\nfile_writeback 0\nswapcached 0\ninactive_anon 270336\nactive_anon 8192\n"
        "inactive_file 4321280\nactive_file 4096\nunevictable 0\nslab_reclaimable 200704\n"
    ),
    ("io", "io.stat"): (
        "259:1 rbytes=3600384 wbytes=0 rios=88 wios=0 dbytes=0 dios=0\n"
        "8:0 rbytes=512 wbytes=40960 rios=1 wios=10 dbytes=0 dios=0\n"
        "7:0 \n"
    ),
    ("pids", "pids.current"): "3\n",
}
"""Linux 6.1, a pure v2 host."""

USED = Accounts(
    cpu_ns=65627204,
    memory=5214208 - 4321280,
    memory_limit=67108864,
    block_read=3600896,
    block_written=40960,
    pids=3,
)


def test_version_1() -> None:
    assert accounts.of_v1(lambda *file: V1.get(file, "")) == USED


def test_version_2() -> None:
    used = accounts.of_v2(lambda *file: V2.get(file, ""))
    assert used == Accounts(65627000, USED.memory, USED.memory_limit, USED.block_read, USED.block_written, 3)


def test_without_a_limit() -> None:
    v1 = V1 | {("memory", "memory.limit_in_bytes"): "9223372036854771712\n"}
    v2 = V2 | {("memory", "memory.max"): "max\n"}
    assert accounts.of_v1(lambda *file: v1.get(file, "")).memory_limit == 0
    assert accounts.of_v2(lambda *file: v2.get(file, "")).memory_limit == 0


def test_a_cache_that_is_more_than_what_is_used() -> None:
    """The two files are read one after the other."""
    v2 = V2 | {("memory", "memory.current"): "4321279\n"}
    assert accounts.of_v2(lambda *file: v2.get(file, "")).memory == 4321279


@pytest.mark.parametrize("of", [accounts.of_v1, accounts.of_v2])
def test_a_kernel_without_controllers(of: object) -> None:
    assert of(lambda controller, name: "") == Accounts()  # type: ignore[operator]


def test_an_older_files_name_for_block_devices() -> None:
    text = V1[("blkio", "blkio.throttle.io_service_bytes_recursive")]
    v1 = {
        ("blkio", "blkio.throttle.io_service_bytes_recursive"): "Total 0\n",
        ("blkio", "blkio.bfq.io_service_bytes_recursive"): text,
    }
    used = accounts.of_v1(lambda *file: v1.get(file, ""))
    assert (used.block_read, used.block_written) == (USED.block_read, USED.block_written)


NET_DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compr
    lo:  999999     100    0    0    0     0          0         0   999999     100    0    0    0     0       0      0
  eth0:    1296      16    0    0    0     0          0         0      586       7    0    0    0     0       0      0
  eth1:1000000000 16    0    0    0     0          0         0     1000       7    0    0    0     0       0      0
"""


def test_interfaces() -> None:
    assert accounts.network(NET_DEV) == (1000001296, 1586)
    assert accounts.network("") == (0, 0)


@pytest.mark.parametrize(
    ("cpu", "elapsed", "shown"), [(500, 1000, 50.0), (2000, 1000, 200.0), (-1, 1000, 0.0), (5, 0, 0.0)]
)
def test_share_of_one_cpu(cpu: int, elapsed: int, shown: float) -> None:
    assert accounts.percent(cpu, elapsed) == shown


@pytest.mark.parametrize("v2", [False, True])
def test_folders(tmp_path: Path, v2: bool) -> None:
    cgroup = tmp_path / "jackstay" / "c1" if v2 else tmp_path / "pids" / "jackstay" / "c1"
    if v2:
        (tmp_path / "cgroup.controllers").write_text("cpu io memory pids\n")
    cgroups = Cgroups.of_host(str(tmp_path))
    assert (cgroups.v2, cgroups.exist("c1"), cgroups.pids("c1")) == (v2, False, [])
    (cgroup / "own").mkdir(parents=True)
    (cgroup / "cgroup.procs").write_text("12\n5\n0\n")
    (cgroup / "own" / "cgroup.procs").write_text("7\n5\n")
    (cgroup / "pids.current").write_text("3\n")
    assert (cgroups.exist("c1"), cgroups.pids("c1")) == (True, [5, 7, 12])
    assert (cgroups.read("c1", "pids", "pids.current"), cgroups.read("c1", "pids", "none")) == ("3\n", "")
