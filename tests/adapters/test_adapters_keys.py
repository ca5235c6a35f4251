"""Keys in files: made for their owner alone, read back, and refused in a line where they will not do."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from policyengine.adapters.keys import fingerprint, make_keys, read_private, read_public, signed
from policyengine.errors import PublishingError, UsageError


def nobody(what: str) -> bytes | None:
    return None


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    make_keys(tmp_path / "k", tmp_path / "k.pub", None)
    return tmp_path / "k"


def test_a_pair_signs_and_is_checked(pair: Path) -> None:
    private, public = read_private(pair, nobody), read_public(pair.with_name("k.pub"))
    assert private.key == public
    signature = b64decode(private.sign(b"message"))
    assert signed(public, b"message", signature)
    assert not signed(public, b"another", signature)
    assert not signed(public, b"message", signature[:-1])
    assert not signed(b"short", b"message", signature)
    assert repr(private) == f"PrivateKey({fingerprint(public)})"


def test_a_private_key_is_its_owners_alone(pair: Path) -> None:
    assert pair.stat().st_mode & 0o777 == 0o600
    pair.chmod(0o644)
    with pytest.raises(PublishingError, match=r"PE734 .* can be read by others: `chmod 600"):
        read_private(pair, nobody)


def test_keys_are_never_written_over(pair: Path) -> None:
    before = pair.read_bytes()
    with pytest.raises(UsageError, match="is there already"):
        make_keys(pair, pair.with_name("other.pub"), None)
    assert pair.read_bytes() == before
    with pytest.raises(UsageError, match="cannot be written"):
        make_keys(pair.with_name("no") / "k", pair.with_name("no") / "k.pub", None)


def test_a_passphrase_is_asked_for_and_must_be_right(tmp_path: Path) -> None:
    path = tmp_path / "k"
    key = make_keys(path, tmp_path / "k.pub", b"secret")
    assert read_private(path, lambda _: b"secret").key == key
    with pytest.raises(PublishingError, match=r"PE734 .* has a passphrase"):
        read_private(path, nobody)
    with pytest.raises(PublishingError, match="the passphrase is wrong, or the file is damaged"):
        read_private(path, lambda _: b"guess")


def test_what_is_no_private_key_is_told_so(pair: Path, tmp_path: Path) -> None:
    rsa_key = rsa.generate_private_key(65_537, 2_048)
    format_, guard = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    wrong = {
        "is a public key": pair.with_name("k.pub").read_bytes(),
        "is no private key": b"-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----\n",
        "is no Ed25519 key": rsa_key.private_bytes(pem, format_, guard),
    }
    for says, raw in wrong.items():
        path = tmp_path / "wrong"
        path.write_bytes(raw)
        path.chmod(0o600)
        with pytest.raises(PublishingError, match=f"PE734 .*{says}"):
            read_private(path, nobody)
    with pytest.raises(PublishingError, match=r"PE734 .* cannot be read: No such file"):
        read_private(tmp_path / "none", nobody)


def test_what_is_no_public_key_is_told_so(pair: Path, tmp_path: Path) -> None:
    with pytest.raises(PublishingError, match="is a private key, which nobody else should have"):
        read_public(pair)
    rsa_key = rsa.generate_private_key(65_537, 2_048).public_key()
    format_ = serialization.PublicFormat.SubjectPublicKeyInfo
    for raw, says in (
        (b"nothing", "is no public key"),
        (rsa_key.public_bytes(serialization.Encoding.PEM, format_), "is no Ed25519 key"),
    ):
        (tmp_path / "wrong.pub").write_bytes(raw)
        with pytest.raises(PublishingError, match=says):
            read_public(tmp_path / "wrong.pub")
