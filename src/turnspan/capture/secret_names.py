"""Names that say of themselves that they name a secret.

What an argument or a stored field of such a name holds is never recorded, whatever the policy:
an API client that is handed around should not leave its key in every turn. Keys of a mapping are
data, and stay unless the policy hides them.
"""

from __future__ import annotations

from typing import Final

__all__ = ["is_secret"]

MAX_KNOWN: Final = 4096  # answers kept in memory
MAX_NAME_CHARS: Final = 128
_ENDINGS: Final = (
    "apikey",
    "secretkey",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "accesskey",
    "password",
    "passwd",
    "passphrase",
    "clientsecret",
    "apisecret",
    "appsecret",
    "accesstoken",
    "refreshtoken",
    "authtoken",
    "bearertoken",
    "sessiontoken",
    "idtoken",
    "apitoken",
)
_WHOLE: Final = frozenset({"secret", "secrets", "credential", "credentials", "authorization"})
_known: dict[str, bool] = {}


def is_secret(name: str) -> bool:
    """Whether ``name`` is that of a password, key or token: `db_password`, `apiKey`."""
    known = _known.get(name)
    if known is not None:
        return known
    if len(name) > MAX_NAME_CHARS:
        return False
    plain = name.lower().replace("_", "").replace("-", "")
    found = plain in _WHOLE or plain.endswith(_ENDINGS)
    if len(_known) >= MAX_KNOWN:
        _known.clear()
    _known[name] = found
    return found
