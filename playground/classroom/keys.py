"""Codes to join with, tokens that say who asks, and passwords; of the last two only hashes are kept."""

import hashlib
import hmac
import secrets

from playground.refusal import Refusal

LETTERS = "CDFHJKMNPRTWXY3479"  # none looks like another one or like a digit; no vowels, so that no word comes out
CODE_LENGTH = 4
LONGEST_PASSWORD = 200
SCRYPT = {"n": 2**14, "r": 8, "p": 1}  # 16 MB and about a twentieth of a second a try
SALT = 16  # bytes


def new_code() -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(CODE_LENGTH))


def read_code(typed: object) -> str:
    """A code as somebody typed it -> as it is kept. Raises Refusal for what can be none."""
    code = typed.upper().replace(" ", "").replace("-", "") if isinstance(typed, str) else ""
    if len(code) != CODE_LENGTH or set(code) - set(LETTERS):
        raise Refusal(f"A code has {CODE_LENGTH} letters and digits, such as {LETTERS[:CODE_LENGTH]}.")
    return code


def new_token() -> str:
    """What a browser keeps so that it is known again: 22 letters that nobody can guess."""
    return secrets.token_urlsafe(16)


def mark_of(token: object) -> str:
    """What is kept of a token: whoever reads the file cannot act for anybody. Empty for what is no token."""
    return (
        hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
        if isinstance(token, str) and 0 < len(token) <= 64
        else ""
    )


def hashed(password: str) -> bytes:
    """Salt and scrypt's hash of it."""
    salt = secrets.token_bytes(SALT)
    return salt + hashlib.scrypt(password.encode("utf-8", "replace"), salt=salt, **SCRYPT)


def is_password(password: object, kept: bytes) -> bool:
    """Whether this is what `hashed` was given."""
    if not isinstance(password, str) or len(password) > LONGEST_PASSWORD:
        return False
    found = hashlib.scrypt(password.encode("utf-8", "replace"), salt=kept[:SALT], **SCRYPT)
    return hmac.compare_digest(found, kept[SALT:])
