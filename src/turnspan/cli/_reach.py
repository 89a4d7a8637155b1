"""Trying a destination's address without asking it for anything."""

from __future__ import annotations

import re
import socket
from urllib.parse import SplitResult, urlsplit

__all__ = ["reach"]

_ADDRESS = re.compile(r"(?:[\w.-]+\+)?(https?://.*)", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}


def reach(name: str, *, timeout_s: float) -> str | None:
    """Connect to the address in ``name`` and hang up; what was in the way, None if nothing.

    Empty where ``name`` holds no address. Through a proxy of the environment, only that is
    tried.
    """
    match = _ADDRESS.fullmatch(name)
    if match is None:
        return ""
    parts = urlsplit(match[1])
    proxy = _proxy(parts)
    try:
        _connect(proxy or parts, timeout_s=timeout_s)
    except OSError as error:  # names that don't resolve, TLS and timeouts too
        through = "through the proxy, " if proxy else ""
        return f"{through}{error.strerror or error}"
    return None


def _connect(parts: SplitResult, *, timeout_s: float) -> None:
    host = str(parts.hostname)
    port = parts.port or _PORTS.get(parts.scheme, 80)
    with socket.create_connection((host, port), timeout=timeout_s) as connection:
        if parts.scheme == "https":
            import ssl

            with ssl.create_default_context().wrap_socket(connection, server_hostname=host):
                pass


def _proxy(parts: SplitResult) -> SplitResult | None:
    from urllib.request import getproxies_environment, proxy_bypass

    proxies = getproxies_environment()
    if not proxies or proxy_bypass(parts.netloc):
        return None
    found = proxies.get(parts.scheme) or proxies.get("all")
    if not found:
        return None
    return urlsplit(found if "://" in found else f"http://{found}")
