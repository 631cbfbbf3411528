"""Every command: its name, the module that holds it, and its line in ``jackstay --help``. Importing this imports none.

A command's module is imported when the command is run, so that ``--help``, ``--version`` and completion stay fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Entry(NamedTuple):
    """A command; its module has a function ``command`` whose docstring begins with ``summary``."""

    module: str
    summary: str
    hidden: bool = False


class Group(NamedTuple):
    """Commands below a noun."""

    summary: str
    entries: Mapping[str, Entry]


def _entry(module: str, summary: str) -> Entry:
    return Entry(f"jackstay.cli.{module}", summary)


def _alias(entry: Entry) -> Entry:
    """Another word of docker's for it, which the help does not tell."""
    return entry._replace(hidden=True)


RUN = _entry("run", "Create a container from an image and start it.")
CREATE = _entry("create", "Create a container without starting it.")
START = _entry("start", "Start containers that exist.")
STOP = _entry("stop", "Stop running containers.")
RESTART = _entry("restart", "Restart containers.")
KILL = _entry("kill", "Send a signal to running containers.")
PAUSE = _entry("pause", "Freeze every process of containers.")
UNPAUSE = _entry("unpause", "Let frozen containers go on.")
RM = _entry("rm", "Remove containers.")
RENAME = _entry("rename", "Give a container another name.")
UPDATE = _entry("update", "Change the limits of containers.")
PS = _entry("ps", "List containers.")
LOGS = _entry("logs", "Print what a container wrote.")
EXEC = _entry("exec", "Run a command in a running container.")
ATTACH = _entry("attach", "Join the terminal of a running container.")
WAIT = _entry("wait", "Wait until containers stop, and print their exit codes.")
COMMIT = _entry("commit", "Make an image of a container's changes.")
EXPORT = _entry("export", "Write a container's file system as a tar.")
CP = _entry("cp", "Copy files between a container and this machine.")
DIFF = _entry("diff", "Show which paths a container has changed.")
EVENTS = _entry("events", "Show what happens on hosts.")
STATS = _entry("stats", "Show what containers use, as it changes.")
TOP = _entry("top", "Show the processes of a container.")
PORT = _entry("port", "Show where the ports of a container are published.")
IMAGES = _entry("images", "List images.")
LOAD = _entry("load", "Load images from an archive.")
IMPORT = _entry("import_image", "Make an image of a tar of a file system.")
PULL = _entry("pull", "Pull images from registries.")
PUSH = _entry("push", "Push an image to a registry.")
SAVE = _entry("save", "Save images to an archive.")
TAG = _entry("tag", "Give an image another name.")
RMI = _entry("rmi", "Remove images.")
HISTORY = _entry("history", "Show how an image came to be.")
SECRET_LS = _entry("secret_ls", "List secrets.")
SECRET_RM = _entry("secret_rm", "Remove secrets.")
VOLUME_LS = _entry("volume_ls", "List volumes.")
VOLUME_RM = _entry("volume_rm", "Remove volumes.")
NETWORK_LS = _entry("network_ls", "List networks.")
NETWORK_RM = _entry("network_rm", "Remove networks.")

ROOT: Mapping[str, Entry | Group] = {
    "copy": _entry("copy", "Copy images between hosts, registries and archives."),
    "run": RUN,
    "create": CREATE,
    "start": START,
    "stop": STOP,
    "restart": RESTART,
    "kill": KILL,
    "pause": PAUSE,
    "unpause": UNPAUSE,
    "rm": RM,
    "rename": RENAME,
    "update": UPDATE,
    "ps": PS,
    "logs": LOGS,
    "exec": EXEC,
    "attach": ATTACH,
    "wait": WAIT,
    "commit": COMMIT,
    "export": EXPORT,
    "cp": CP,
    "diff": DIFF,
    "port": PORT,
    "top": TOP,
    "stats": STATS,
    "images": IMAGES,
    "pull": PULL,
    "push": PUSH,
    "load": LOAD,
    "save": SAVE,
    "import": IMPORT,
    "tag": TAG,
    "rmi": RMI,
    "history": HISTORY,
    "inspect": _entry("inspect", "Show everything about containers, images, networks or volumes."),
    "search": _entry("search", "Search a registry for images."),
    "login": _entry("login", "Log in to a registry."),
    "logout": _entry("logout", "Log out of a registry."),
    "events": EVENTS,
    "info": _entry("info", "Show a host and its agent."),
    "version": _entry("version", "Show the versions here and on the hosts."),
    "completion": _entry("completion", "Print the completion script of a shell."),
    "container": Group(
        "Containers.",
        {
            "run": RUN,
            "create": CREATE,
            "start": START,
            "stop": STOP,
            "restart": RESTART,
            "kill": KILL,
            "pause": PAUSE,
            "unpause": UNPAUSE,
            "rm": RM,
            "rename": RENAME,
            "update": UPDATE,
            "ls": PS,
            "logs": LOGS,
            "exec": EXEC,
            "attach": ATTACH,
            "wait": WAIT,
            "commit": COMMIT,
            "export": EXPORT,
            "cp": CP,
            "diff": DIFF,
            "port": PORT,
            "top": TOP,
            "stats": STATS,
            "exists": _entry("container_exists", "Tell by the exit code whether a container exists."),
            "prune": _entry("container_prune", "Remove the containers that do not run."),
            "inspect": _entry("container_inspect", "Show everything about containers."),
            "list": _alias(PS),
            "ps": _alias(PS),
            "remove": _alias(RM),
        },
    ),
    "image": Group(
        "Images.",
        {
            "ls": IMAGES,
            "inspect": _entry("image_inspect", "Show everything about images."),
            "rm": RMI,
            "prune": _entry("image_prune", "Remove images that nothing uses."),
            "tag": TAG,
            "history": HISTORY,
            "tree": _entry("image_tree", "Show which layers images share, as a tree."),
            "pull": PULL,
            "push": PUSH,
            "load": LOAD,
            "save": SAVE,
            "import": IMPORT,
            "list": _alias(IMAGES),
            "remove": _alias(RMI),
        },
    ),
    "volume": Group(
        "Volumes.",
        {
            "create": _entry("volume_create", "Create a volume."),
            "ls": VOLUME_LS,
            "inspect": _entry("volume_inspect", "Show everything about volumes."),
            "rm": VOLUME_RM,
            "prune": _entry("volume_prune", "Remove volumes that no container uses."),
            "list": _alias(VOLUME_LS),
            "remove": _alias(VOLUME_RM),
        },
    ),
    "secret": Group(
        "Secrets.",
        {
            "create": _entry(
                "secret_create", "Keep a value for containers: the contents of a file, or of standard input (-)."
            ),
            "ls": SECRET_LS,
            "inspect": _entry("secret_inspect", "Show everything about secrets but their values."),
            "rm": SECRET_RM,
            "list": _alias(SECRET_LS),
            "remove": _alias(SECRET_RM),
        },
    ),
    "network": Group(
        "Networks.",
        {
            "create": _entry("network_create", "Create a network."),
            "ls": NETWORK_LS,
            "inspect": _entry("network_inspect", "Show everything about networks."),
            "rm": NETWORK_RM,
            "prune": _entry("network_prune", "Remove the networks that no container is in."),
            "connect": _entry("network_connect", "Connect a container to a network."),
            "disconnect": _entry("network_disconnect", "Disconnect a container from a network."),
            "list": _alias(NETWORK_LS),
            "remove": _alias(NETWORK_RM),
        },
    ),
    "registry": Group(
        "Registries.",
        {
            "ls": _entry("registry_ls", "List the repositories of a registry."),
            "tags": _entry("registry_tags", "List the tags of a repository."),
            "expose": _entry("registry_expose", "Serve a host's images as a registry on this machine."),
        },
    ),
    "host": Group(
        "The hosts of the fleet.",
        {
            "add": _entry("host_add", "Add a host to the inventory."),
            "rm": _entry("host_rm", "Remove hosts from the inventory."),
            "ls": _entry("host_ls", "List hosts, or preview a set."),
            "check": _entry("host_check", "Check the way to hosts and what they can do."),
        },
    ),
    "system": Group(
        "The agents.",
        {
            "check": _entry("system_check", "Check every blob and layer, and repair."),
            "df": _entry("system_df", "Show what takes space."),
            "events": EVENTS,
            "info": _entry("info", "Show a host and its agent."),
            "prune": _entry("system_prune", "Remove everything that nothing uses."),
        },
    ),
}
