"""Where an HTTP destination is: its endpoint, the name it goes by, and its key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from turnspan.errors import ExporterError

__all__ = ["Address", "origin_of", "without_credentials"]

PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """An endpoint without credentials, and the key that stood in its URL, apart."""

    name: str
    base: str
    endpoint: str
    key: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str, *, path: str, dialect: str = "") -> Address:
        """Read ``url``, which may begin with ``dialect`` and a plus; ``path`` is added to it.

        `https://KEY@host/base` gives the endpoint `https://host/base` + ``path`` and the key;
        a user name before the key is passed over.

        Raises:
            ExporterError: the URL is malformed; the message shows it without credentials.
        """
        parts = _split(url, url.removeprefix(f"{dialect}+") if dialect else url)
        host = _host(parts)
        base = parts.path.rstrip("/").removesuffix(path)
        plain = urlunsplit((parts.scheme, host, base, "", ""))
        name = f"{dialect}+{plain}" if dialect else plain
        return cls(name=name, base=plain, endpoint=plain + path, key=_key(parts, name))


def without_credentials(url: str) -> str:
    """``url`` as it may be shown: without user info, query and fragment."""
    scheme, found, rest = url.partition("://")
    if not found:
        return url.rpartition("@")[2]
    authority, slash, path = rest.partition("/")
    path = path.partition("?")[0].partition("#")[0]
    return f"{scheme}://{authority.rpartition('@')[2].partition('?')[0]}{slash}{path}"


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of ``url``, the scheme's own port filled in."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or PORTS.get(parts.scheme)


def _split(given: str, url: str) -> SplitResult:
    shown = repr(without_credentials(given))
    fix = "write it as https://host or https://host:port/base"
    if any(ord(character) <= ord(" ") for character in url):
        raise ExporterError(f"the URL {shown} holds a space or control character", fix=fix)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ExporterError(f"the URL {shown} cannot be read", fix=fix) from None
    if parts.scheme not in PORTS or not parts.hostname or port == 0:
        raise ExporterError(f"the URL {shown} names no host to send turns to", fix=fix)
    if parts.query or parts.fragment:
        raise ExporterError(
            f"the URL {shown} carries a query or fragment", fix="leave out what follows the path"
        )
    return parts


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    try:
        host = host.encode("idna").decode() if not host.isascii() else host
    except UnicodeError:
        raise ExporterError(
            f"{host!r} is no host name", fix="write the host in its ASCII form"
        ) from None
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in {None, PORTS[parts.scheme]} else f"{host}:{parts.port}"


def _key(parts: SplitResult, name: str) -> str | None:
    key = unquote(parts.password or parts.username or "")
    return checked_key(key, name) if key else None


def checked_key(key: str, name: str) -> str:
    """``key``, if it can stand in a header.

    Raises:
        ExporterError: it cannot; the message does not show it.
    """
    if not key.isascii() or not key.isprintable() or key != key.strip():
        raise ExporterError(
            f"the API key for {name} holds characters that no HTTP header may carry",
            fix="give the key as printable ASCII, without spaces or line ends around it",
        )
    return key
