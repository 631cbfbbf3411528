"""The way to an agent: one SSH connection a host, bridged to a private Unix socket."""

from jackstay.tunnel.settings import TunnelSettings
from jackstay.tunnel.tunnel import Tunnel, open_tunnel

__all__ = ["Tunnel", "TunnelSettings", "open_tunnel"]
