"""One host for tests of containers: everything real but the images, of which there is one, made of busybox."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import tarfile
import time
from pathlib import Path

from jackstay_agent.config import Config
from jackstay_agent.config import Network as NetworkConfig
from jackstay_agent.containers.attaching import Seat
from jackstay_agent.containers.logs import Wanted
from jackstay_agent.containers.service import Containers
from jackstay_agent.containers.settings import NetworkAttachment, Settings
from jackstay_agent.errors import NotFound
from jackstay_agent.images.stored import StoredImage
from jackstay_agent.kernel.mounts import LinuxMounts
from jackstay_agent.kernel.programs import LinuxPrograms
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.layers.overlay import OverlaySnapshotter
from jackstay_agent.metadata.database import Database
from jackstay_agent.networks.service import Networks
from jackstay_agent.secrets.service import Secrets
from jackstay_agent.volumes.service import Volumes
from jackstay_oci.digest import Digest
from jackstay_oci.image_config import ContainerConfig, ImageConfig
from tests.unit.agent.spawned import start_spawner

PROGRAMS = ("sh", "cat", "echo", "sleep", "ls", "stty", "id", "env", "kill", "head", "yes", "hostname", "pwd", "httpd")
ROOT = Digest.of(b"manifest")
IMAGE_ID = Digest.of(b"config")


def busybox_layer() -> bytes:
    """A layer with busybox and a little more, as an uncompressed tar."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for folder in ("bin", "etc", "tmp", "proc", "sys", "dev", "data"):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(info)
        busybox = Path(shutil.which("busybox") or "/bin/busybox").read_bytes()
        for name, content, mode in (
            ("bin/busybox", busybox, 0o755),
            ("etc/passwd", b"root:x:0:0::/root:/bin/sh\nweb:x:33:33::/srv:/bin/sh\n", 0o644),
            ("etc/group", b"root:x:0:\nweb:x:33:\n", 0o644),
            ("etc/plain", b"not a program\n", 0o644),
            ("data/given", b"from the image\n", 0o640),
        ):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            if name == "data/given":
                info.uid = info.gid = 33
            tar.addfile(info, io.BytesIO(content))
        for name in PROGRAMS:
            info = tarfile.TarInfo(f"bin/{name}")
            info.type, info.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(info)
        info = tarfile.TarInfo("escape")
        info.type, info.linkname = tarfile.SYMTYPE, "/../../../../../../etc"
        tar.addfile(info)
    return data.getvalue()


class OneImage:
    """Stands in for `images.service.Images`."""

    def __init__(self, chain_id: str, config: ContainerConfig) -> None:
        self._image = StoredImage(
            ROOT, "application/vnd.oci.image.manifest.v1+json", ROOT, IMAGE_ID, chain_id, ("x/busybox:1",), 0, 0, {}
        )
        self._config = ImageConfig(architecture="amd64", os="linux", config=config)

    async def find(self, text: str) -> StoredImage:
        if text != "busybox":
            raise NotFound(f"No such image: {text}")
        return self._image

    async def by_root(self, root: str) -> StoredImage:
        assert root == str(ROOT)
        return self._image

    async def config(self, image: StoredImage) -> ImageConfig:
        return self._config


class Host:
    """A state folder, a run folder, and an agent's services over them; `restart` makes the services anew."""

    def __init__(self, folder: Path, runtime: str) -> None:
        self.config = Config(
            state=str(folder / "state"),
            run=str(folder / "run"),
            runtime=runtime,
            network=NetworkConfig(bridge="jstest0", subnet="10.199.0.0/24"),
        )
        self.image_config = ContainerConfig(cmd=("/bin/sh",), env=("FROM_IMAGE=yes",))
        self.jobs: Spawner
        self.database: Database
        self.containers: Containers

    async def up(self) -> None:
        os.makedirs(self.config.state, mode=0o700, exist_ok=True)
        os.makedirs(self.config.run, mode=0o755, exist_ok=True)
        self.jobs = start_spawner()
        self.database = await Database.open(os.path.join(self.config.state, "jackstay.db"))
        self.mounts = LinuxMounts(self.jobs)
        self.snapshotter = OverlaySnapshotter(
            os.path.join(self.config.state, "layers"), self.database, self.jobs, self.mounts, self.config.limits
        )
        layer = busybox_layer()
        chain_id = str(Digest.of(layer))
        if not await self._has_image():
            await self._store_image(layer, chain_id)
        self.networks = Networks(
            self.config.network, self.config.run, self.database, self.jobs, programs := LinuxPrograms()
        )
        self.volumes = Volumes(self.config.state, self.database, self.jobs)
        self.secrets = Secrets(self.config.state, self.database)
        self.containers = Containers(
            self.config,
            self.database,
            self.jobs,
            programs,
            self.mounts,
            self.snapshotter,
            OneImage(chain_id, self.image_config),  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            self.networks,
            self.volumes,
            self.secrets,
        )
        await self.snapshotter.clean()
        await self.networks.recover()
        await self.containers.recover()

    async def down(self) -> None:
        await self.containers.close()
        self.networks.close()
        await self.database.close()
        await self.jobs.close()

    async def restart(self) -> None:
        await self.down()
        await self.up()

    async def create(self, *command: str, **settings: object) -> str:
        networks = (NetworkAttachment(network=str(settings.pop("network", "none"))),)
        given = {"image": "busybox", "name": "", "hostname": "", "networks": networks, **settings}
        container, _warnings = await self.containers.create(Settings(command=command, **given))  # type: ignore[arg-type]
        return container

    async def run(self, *command: str, **settings: object) -> str:
        container = await self.create(*command, **settings)
        await self.containers.start(container)
        return container

    async def log(self, container: str, wanted: Wanted | None = None) -> str:
        text = b""
        async for batch in self.containers.logs(container, wanted or Wanted()):
            text += b"".join(entry.text for entry in batch)
        return text.decode()

    async def leftovers(self) -> list[str]:
        """What containers that do not run have left behind, in mounts and folders."""
        found = await self.mounts.mounted(self.config.run)
        for folder in ("containers", "exits", "netns"):
            path = os.path.join(self.config.run, folder)
            found += [os.path.join(folder, name) for name in os.listdir(path)] if os.path.isdir(path) else []
        return found

    async def _has_image(self) -> bool:
        return await self.database.read(lambda c: c.execute("SELECT 1 FROM images").fetchone() is not None)

    async def _store_image(self, layer: bytes, chain_id: str) -> None:
        await self.snapshotter.prepare("extract-1", None)
        memory = os.memfd_create("layer", os.MFD_CLOEXEC)
        os.write(memory, layer)
        os.lseek(memory, 0, os.SEEK_SET)
        try:
            applied = await self.snapshotter.apply("extract-1", memory, "none")
        finally:
            os.close(memory)

        def along(connection: object) -> None:
            for digest in (ROOT, IMAGE_ID):
                connection.execute("INSERT INTO blobs VALUES (?, 1, 1)", (str(digest),))  # type: ignore[attr-defined]
            connection.execute(  # type: ignore[attr-defined]
                "INSERT INTO images (root, media_type, manifest, image_id, chain_id, created, stored)"
                " VALUES (?, 'm', ?, ?, ?, 0, 0)",
                (str(ROOT), str(ROOT), str(IMAGE_ID), chain_id),
            )

        await self.snapshotter.commit("extract-1", chain_id, applied, along=along)


async def read_all(seat: Seat) -> tuple[bytes, bytes]:
    """Everything that a process writes until it ends."""
    out, err = b"", b""
    async for stream, data in seat.output():
        if stream == "stdout":
            out += data
        else:
            err += data
    return out, err


async def until(condition: object, seconds: float = 10) -> None:
    """Wait until calling *condition* gives something true."""
    deadline = time.monotonic() + seconds
    while not await condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not come true"
        await asyncio.sleep(0.02)
