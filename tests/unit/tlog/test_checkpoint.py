"""Checkpoints: the form of C2SP, round trips, and what is none."""

from base64 import b64decode

import pytest

from gatebook_hub.tlog.checkpoint import (
    Checkpoint,
    open_checkpoint,
    parse_checkpoint_unverified,
    sign_checkpoint,
)
from gatebook_hub.tlog.errors import (
    BadSignatureError,
    ForeignCheckpointError,
    MalformedCheckpointError,
    UnverifiedNoteError,
)
from gatebook_hub.tlog.merkle import EMPTY_ROOT
from gatebook_hub.tlog.note import SigningKey, sign_note

# The example of the specification.
ORIGIN = "example.com/behind-the-sofa"
ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
TEXT = f"{ORIGIN}\n20852163\n{ROOT}\n"
SIGNED = (
    f"{TEXT}\n— {ORIGIN} Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)

KEY = SigningKey(name=ORIGIN, seed=b"k" * 32)
CHECKPOINT = Checkpoint(origin=ORIGIN, size=20852163, root=b64decode(ROOT))


def test_the_specified_example_is_read_and_written() -> None:
    assert parse_checkpoint_unverified(SIGNED) == CHECKPOINT
    assert parse_checkpoint_unverified(TEXT.encode()) == CHECKPOINT
    assert CHECKPOINT.text() == TEXT


def test_a_signed_checkpoint_opens_with_its_key_only() -> None:
    signed = sign_checkpoint(CHECKPOINT, [KEY])
    assert open_checkpoint(signed, [KEY.verify_key]) == CHECKPOINT
    assert open_checkpoint(signed.encode(), [KEY.verify_key], origin=ORIGIN) == CHECKPOINT
    with pytest.raises(UnverifiedNoteError):
        open_checkpoint(signed, [SigningKey(name=ORIGIN, seed=b"x" * 32).verify_key])
    with pytest.raises(BadSignatureError):
        open_checkpoint(signed.replace("20852163", "20852162"), [KEY.verify_key])


def test_a_witness_alone_does_not_speak_for_the_log() -> None:
    witness = SigningKey(name="witness.example", seed=b"w" * 32)
    keys = [KEY.verify_key, witness.verify_key]
    with pytest.raises(ForeignCheckpointError, match=r"not of `witness\.example`"):
        open_checkpoint(sign_checkpoint(CHECKPOINT, [witness]), keys)
    assert open_checkpoint(sign_checkpoint(CHECKPOINT, [witness, KEY]), keys) == CHECKPOINT


def test_a_checkpoint_of_another_log_is_refused() -> None:
    signed = sign_checkpoint(CHECKPOINT, [KEY])
    with pytest.raises(ForeignCheckpointError, match=r"`example\.com/behind-the-sofa`, not of `example\.com/other`"):
        open_checkpoint(signed, [KEY.verify_key], origin="example.com/other")


def test_extension_lines_are_kept() -> None:
    checkpoint = Checkpoint(origin=ORIGIN, size=1, root=b"r" * 32, extensions=("one", "zwei ü"))
    assert open_checkpoint(sign_checkpoint(checkpoint, [KEY]), [KEY.verify_key]) == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        f"{ORIGIN}\n1\n",
        f"\n1\n{ROOT}\n",
        TEXT[:-1],
        *(
            f"{ORIGIN}\n{size}\n{ROOT}\n"
            for size in ("01", "-1", "+1", " 1", "1 ", "1_0", "٣", "0x1", "9" * 19, "9" * 5000)
        ),
        f"{ORIGIN}\n0\n{ROOT}\n",
        f"{ORIGIN}\n1\n{ROOT[:-1]}\n",
        f"{ORIGIN}\n1\n{ROOT[4:]}\n",
        f"{ORIGIN}\n1\n{ROOT}=\n",
        f"{ORIGIN}\n1\n{ROOT} \n",
        f"{ORIGIN}\n1\n{ROOT.replace('I=', 'J=')}\n",
        f"{ORIGIN}\n1\n{b64decode(ROOT).hex()}\n",
        f"{ORIGIN}\n1\n{ROOT}\nline\x01\n",
        f"{TEXT}\r\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(MalformedCheckpointError):
        parse_checkpoint_unverified(text)


def test_a_signed_text_that_is_no_checkpoint_is_refused() -> None:
    # The last one is a note in a note: what was signed is not the checkpoint in it.
    for text in ("hello\n", f"{TEXT}\n", f"{TEXT}\nmore\n", f"{ORIGIN}\n\n{ROOT}\n", SIGNED):
        with pytest.raises(MalformedCheckpointError):
            open_checkpoint(sign_note(text, [KEY]), [KEY.verify_key])


def test_a_log_without_entries_has_one_root() -> None:
    empty = Checkpoint(origin=ORIGIN, size=0, root=EMPTY_ROOT)
    assert empty.text().split("\n")[1] == "0"
    for size in (-1, 2**63):
        with pytest.raises(MalformedCheckpointError):
            Checkpoint(origin=ORIGIN, size=size, root=b"r" * 32)
    with pytest.raises(MalformedCheckpointError):
        Checkpoint(origin="two\nlines", size=1, root=b"r" * 32)
