"""Signed notes against the example of golang.org/x/mod/sumdb/note, and everything that is not one."""

import pytest

from gatebook_hub.tlog.errors import (
    AmbiguousKeyError,
    BadSignatureError,
    MalformedKeyError,
    MalformedNoteError,
    UnverifiedNoteError,
)
from gatebook_hub.tlog.note import (
    MAX_SIGNATURES,
    Signature,
    SigningKey,
    VerifyKey,
    open_note,
    parse_note_unverified,
    sign_note,
)

SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETER = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
ENOCH = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
NOTE = f"{TEXT}\n{PETER}"

KEY = VerifyKey.parse(PUBLIC)


def test_example_opens() -> None:
    note = open_note(NOTE, [KEY])
    assert note.text == TEXT
    assert [(signature.name, signature.key_id.hex()) for signature in note.signatures] == [("PeterNeumann", "c74f20a3")]
    assert note.others == ()
    assert open_note(NOTE.encode(), [KEY]) == note


def test_example_is_made_again_from_its_secret_key() -> None:
    key = SigningKey.parse(SECRET)
    assert key.encode() == SECRET
    assert key.verify_key == KEY
    assert KEY.encode() == PUBLIC
    assert sign_note(TEXT, [key]) == NOTE


def test_a_secret_key_is_not_shown() -> None:
    key = SigningKey.parse(SECRET)
    assert "AYEK" not in repr(key)
    assert repr(key.seed) not in repr(key)
    with pytest.raises(MalformedKeyError) as caught:
        SigningKey.parse(SECRET[:-1])
    assert "AYEK" not in str(caught.value)


def test_signatures_of_unknown_keys_are_told_apart() -> None:
    note = open_note(f"{TEXT}\n{ENOCH}{PETER}{ENOCH}{PETER}", [KEY])
    assert [signature.name for signature in note.signatures] == ["PeterNeumann"]
    assert [signature.name for signature in note.others] == ["EnochRoot"]
    with pytest.raises(UnverifiedNoteError, match="`EnochRoot`"):
        open_note(f"{TEXT}\n{ENOCH}", [KEY])
    with pytest.raises(UnverifiedNoteError):
        open_note(NOTE, [])


def test_a_signature_is_of_a_known_key_only_if_name_and_id_fit() -> None:
    renamed = VerifyKey(name="Peter", public=KEY.public)
    other = SigningKey(name="PeterNeumann", seed=b"s" * 32).verify_key
    with pytest.raises(UnverifiedNoteError):
        open_note(NOTE, [renamed, other])


def test_a_changed_text_is_refused() -> None:
    with pytest.raises(BadSignatureError, match=r"PeterNeumann\+c74f20a3"):
        open_note(NOTE.replace("problem is", "answer is"), [KEY])


def test_one_bad_signature_of_a_known_key_spoils_the_note() -> None:
    other = SigningKey(name="other", seed=b"s" * 32)
    good = sign_note(TEXT, [other], existing=[Signature(name=KEY.name, key_id=KEY.id, value=b"x" * 64)])
    with pytest.raises(BadSignatureError):
        open_note(good, [KEY, other.verify_key])
    assert open_note(good, [other.verify_key]).others[0].name == KEY.name


def test_signing_again_keeps_the_others_and_replaces_its_own() -> None:
    key = SigningKey.parse(SECRET)
    _, existing = parse_note_unverified(f"{TEXT}\n{PETER}{ENOCH}")
    assert sign_note(TEXT, [key], existing=existing) == f"{TEXT}\n{ENOCH}{PETER}"


def test_two_keys_of_one_name_and_id_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # A collision of 32 bits costs an attacker minutes; here the id is made to collide.
    monkeypatch.setattr(VerifyKey, "id", b"\xc7\x4f\x20\xa3")
    with pytest.raises(AmbiguousKeyError, match="remove one"):
        open_note(NOTE, [KEY, VerifyKey(name=KEY.name, public=b"p" * 32)])


def test_a_text_may_hold_empty_lines() -> None:
    key = SigningKey.parse(SECRET)
    for text in ("\n", "a\n\n", "a\n\n\nb\n", f"{TEXT}\n{PETER}", "nel\x85 and ls\u2028\n"):
        assert open_note(sign_note(text, [key]), [KEY]).text == text


@pytest.mark.parametrize("text", ["", "no newline", "tab\t\n", "return\r\n", "nul\0\n", "\ud800\n"])
def test_a_text_that_is_no_note_is_not_signed(text: str) -> None:
    with pytest.raises(MalformedNoteError):
        sign_note(text, [SigningKey.parse(SECRET)])


def test_nobody_signs_nothing() -> None:
    with pytest.raises(MalformedNoteError, match="nobody"):
        sign_note(TEXT, [])


@pytest.mark.parametrize(
    "message",
    [
        "",
        TEXT,
        f"{TEXT}\n",
        f"{TEXT}{PETER}",
        NOTE[:-1],
        f"{NOTE}\n",
        NOTE.replace("— ", "- "),
        NOTE.replace("— ", "—  "),
        NOTE.replace("— ", "—\u00a0"),
        NOTE.replace("\n— ", "\n — "),
        NOTE.replace("PeterNeumann ", "Peter+Neumann "),
        NOTE.replace("PeterNeumann ", "Peter\u2003Neumann "),
        NOTE.replace("PeterNeumann ", " "),
        NOTE.replace("x08go", "x08g*"),
        NOTE.replace("AM=\n", "AM\n"),
        NOTE.replace("AM=\n", "AN=\n"),  # the bits behind the last byte are not zero
        NOTE.replace("AM=\n", "AM= \n"),
        NOTE.replace("\n", "\r\n"),
        f"{TEXT}\n— PeterNeumann x08gow==\n",
        f"{TEXT}\n— PeterNeumann\n",
        f"{TEXT}\n{PETER * (MAX_SIGNATURES + 1)}",
        NOTE.replace("answer", "answ\0er"),
        NOTE.replace("answer", "answ\ud800er"),
        NOTE.encode().replace(b"answer", b"answ\xffer"),
    ],
)
def test_what_is_no_note_is_refused(message: str | bytes) -> None:
    with pytest.raises(MalformedNoteError):
        open_note(message, [KEY])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        PUBLIC.replace("c74f20a3", "c74f20a4"),
        PUBLIC.replace("c74f20a3", "C74F20A3"),
        PUBLIC.replace("PeterNeumann", "Peter"),
        PUBLIC.replace("PeterNeumann", "Peter Neumann"),
        PUBLIC.replace("+ARpc", "+BBpc"),
        PUBLIC[:-4],
        f"{PUBLIC}\n",
        SECRET,
    ],
)
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(MalformedKeyError):
        VerifyKey.parse(text)


@pytest.mark.parametrize(
    "text",
    ["", PUBLIC, SECRET.lower(), SECRET.replace("c74f20a3", "00000000"), SECRET[:-4], SECRET.replace("+AY", "+BY")],
)
def test_what_is_no_secret_key_is_refused(text: str) -> None:
    with pytest.raises(MalformedKeyError):
        SigningKey.parse(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\nb", "a\x01b", "\ud800"])
def test_a_key_needs_a_name_that_fits_in_a_line(name: str) -> None:
    with pytest.raises(MalformedKeyError, match="name"):
        SigningKey(name=name, seed=b"s" * 32)
