"""Keys in files (Ed25519, PEM), and signatures: the only module that knows `cryptography`.

Who may approve with which key is the ledger's to say: ledger.publications.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policyengine.errors import PublishingError, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_CODE = "PE734"
_MOST = 10_000  # bytes of a key file
_OTHERS = 0o077  # permissions of everybody but the owner
Passphrase = Callable[[str], bytes | None]  # asked with what it is for; None where there is nobody to ask


def fingerprint(key: bytes) -> str:
    """By what people compare public keys: the first half of SHA-256, in groups of four hex digits."""
    digits = sha256(key).hexdigest()[:32]
    return ":".join(digits[at : at + 4] for at in range(0, 32, 4))


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key that signs; it never shows itself."""

    key: bytes  # the public one
    _private: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"PrivateKey({fingerprint(self.key)})"

    def sign(self, message: bytes) -> bytes:
        """The Ed25519 signature (RFC 8032), as base64."""
        return b64encode(self._private.sign(message))


def signed(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a signature is that of a public key (32 bytes) on a message."""
    _needed()
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def make_keys(private: Path, public: Path, passphrase: bytes | None) -> bytes:
    """Write a new pair as PEM files, the private one readable by its owner alone; the public key.

    UsageError where a file is there already: a key that was written over is lost.
    """
    _needed()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    for path in (private, public):
        if path.exists():
            raise UsageError(f"{path} is there already: keys are never written over")
    made = Ed25519PrivateKey.generate()
    guard: Any = serialization.NoEncryption()
    if passphrase:
        guard = serialization.BestAvailableEncryption(passphrase)
    pem = serialization.Encoding.PEM
    _write(private, made.private_bytes(pem, serialization.PrivateFormat.PKCS8, guard), 0o600)
    shown = made.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    _write(public, shown, 0o644)
    return made.public_key().public_bytes_raw()


def read_private(path: Path, passphrase: Passphrase) -> PrivateKey:
    """A private key's file; PublishingError PE734 where it is none, or the passphrase is wrong."""
    _needed()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    raw = _read(path)
    if os.name == "posix" and path.stat().st_mode & _OTHERS:
        text = f"{path} can be read by others: `chmod 600 {path}`, and think whether somebody did"
        raise PublishingError(text, code=_CODE)
    if b"PUBLIC KEY" in raw:
        raise PublishingError(f"{path} is a public key: name the private one", code=_CODE)
    given = passphrase(f"Passphrase of {path}") if b"ENCRYPTED" in raw else None
    if b"ENCRYPTED" in raw and not given:
        text = f"{path} has a passphrase: set POLICYENGINE_KEY_PASSPHRASE, or ask at a terminal"
        raise PublishingError(text, code=_CODE)
    try:
        found = load_pem_private_key(raw, given)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        why = "the passphrase is wrong, or the file is damaged" if given else "is no private key (PEM)"
        raise PublishingError(f"{path}: {why}", code=_CODE) from error
    if not isinstance(found, Ed25519PrivateKey):
        raise PublishingError(f"{path} is no Ed25519 key: make one with `keys new`", code=_CODE)
    return PrivateKey(found.public_key().public_bytes_raw(), found)


def read_public(path: Path) -> bytes:
    """A public key's file, 32 bytes; PublishingError PE734 where it is none."""
    _needed()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    raw = _read(path)
    if b"PRIVATE KEY" in raw:
        text = f"{path} is a private key, which nobody else should have: name the public one"
        raise PublishingError(text, code=_CODE)
    try:
        found = load_pem_public_key(raw)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise PublishingError(f"{path} is no public key (PEM)", code=_CODE) from error
    if not isinstance(found, Ed25519PublicKey):
        raise PublishingError(f"{path} is no Ed25519 key: make one with `keys new`", code=_CODE)
    return found.public_bytes_raw()


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_MOST)
    except OSError as error:
        raise PublishingError(f"{path} cannot be read: {error.strerror}", code=_CODE) from error


def _write(path: Path, raw: bytes, mode: int) -> None:
    """invariant: a private key is never readable by others, not for a moment."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(raw)


def _needed() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        text = "approvals need the library `cryptography`: pip install 'crisis-policy-engine[signing]'"
        raise UsageError(text) from error
