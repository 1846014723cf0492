"""Every way to tamper with a log is found, and the place is named."""

from collections.abc import Iterator

import pytest

from gatebook_hub.tlog.checkpoint import Checkpoint
from gatebook_hub.tlog.merkle import hash_leaf, root_of
from gatebook_hub.tlog.report import FindingId, Report
from gatebook_hub.tlog.verify import verify_log

ENTRIES = [b"entry %d" % index for index in range(60)]
HASHES = [hash_leaf(entry) for entry in ENTRIES]


def head(size: int, *, entries: list[bytes] = ENTRIES, origin: str = "gatebook.test/book") -> Checkpoint:
    return Checkpoint(origin=origin, size=size, root=root_of(entries[:size]))


HEADS = [head(10), head(57), head(25)]


def changed(index: int) -> list[bytes]:
    return [*ENTRIES[:index], b"forged", *ENTRIES[index + 1 :]]


def only(report: Report, finding_id: FindingId) -> str:
    """The one finding's sentence."""
    assert [finding.id for finding in report.findings] == [finding_id], report.sentences
    return report.findings[0].sentence


def test_a_log_that_fits_is_ok() -> None:
    for stored in (None, HASHES[:57]):
        report = verify_log(ENTRIES[:57], HEADS, stored)
        assert report.ok
        assert report.findings == ()
        assert (report.size, report.covered, report.root) == (57, 57, head(57).root)
        assert report.summary == "the log has 57 entries, and a checkpoint vouches for 57 of them"


def test_entries_after_the_newest_checkpoint_are_a_note() -> None:
    report = verify_log(ENTRIES, HEADS, HASHES)
    assert report.ok
    assert report.covered == 57
    assert only(report, FindingId.UNCOVERED).startswith("entries 57 to 59 came after the newest checkpoint")


@pytest.mark.parametrize("index", [0, 9, 10, 17, 24, 56])
def test_a_changed_entry_is_named_by_its_leaf_hash(index: int) -> None:
    report = verify_log(changed(index), HEADS, HASHES)
    assert not report.ok
    assert only(report, FindingId.ENTRY_CHANGED) == f"entry {index} does not match its leaf hash"
    assert (report.findings[0].first, report.findings[0].last) == (index, index)
    assert report.sentences == (f"tlog.V001: entry {index} does not match its leaf hash",)


@pytest.mark.parametrize("index,first,end", [(0, 0, 10), (9, 0, 10), (10, 10, 25), (17, 10, 25), (56, 25, 57)])
def test_a_changed_entry_is_between_two_checkpoints(index: int, first: int, end: int) -> None:
    report = verify_log(changed(index), HEADS)
    assert not report.ok
    assert f"something was changed in entries {first} to {end - 1}" in only(report, FindingId.RANGE_CHANGED)
    assert (report.findings[0].first, report.findings[0].last) == (first, end - 1)
    assert report.covered == first


def test_a_changed_entry_with_a_changed_hash_is_between_two_checkpoints() -> None:
    entries = changed(17)
    report = verify_log(entries, HEADS, map(hash_leaf, entries))
    assert only(report, FindingId.RANGE_CHANGED) == (
        "the checkpoint of size 25 does not fit, the one of size 10 does: something was changed in entries 10 to 24, "
        "and the stored leaf hashes with it"
    )


def test_a_stored_hash_that_leads_nowhere_proves_nothing() -> None:
    hashes = [*HASHES[:12], bytes(32), *HASHES[13:]]
    sentence = only(verify_log(changed(17), HEADS, hashes), FindingId.RANGE_CHANGED)
    assert sentence.endswith("the stored leaf hashes, which do not fit either, first differ at entry 12")


def test_a_cut_tail_is_named() -> None:
    for stored in (HASHES[:57], HASHES):
        report = verify_log(ENTRIES[:40], [head(57)], stored)
        assert only(report, FindingId.ENTRIES_MISSING) == (
            "the log has 40 entries, the checkpoint of size 57 says otherwise: entries 40 to 56 are missing"
        )
        assert (report.findings[0].first, report.findings[0].last) == (40, 56)
    certain = verify_log(ENTRIES[:40], [head(40), head(57)])
    assert only(certain, FindingId.ENTRIES_MISSING).endswith("entries 40 to 56 are missing")
    one = verify_log(ENTRIES[:56], [head(56), head(57)])
    assert only(one, FindingId.ENTRIES_MISSING).endswith("entry 56 is missing")


def test_a_cut_tail_without_a_checkpoint_near_it_says_what_is_not_known() -> None:
    for stored in (None, HASHES[:40]):
        sentence = only(verify_log(ENTRIES[:40], [head(10), head(57)], stored), FindingId.ENTRIES_MISSING)
        assert (
            "entries 40 to 56 are missing (or as many before them: no checkpoint between 10 and 57 tells)" in sentence
        )


def test_a_whole_log_that_is_gone_is_named() -> None:
    report = verify_log([], HEADS, [])
    assert not report.ok
    assert "entries 0 to 56 are missing" in only(report, FindingId.ENTRIES_MISSING)


def test_a_removed_entry_is_named() -> None:
    report = verify_log(ENTRIES[:17] + ENTRIES[18:57], HEADS, HASHES[:57])
    assert [finding.id for finding in report.findings] == [FindingId.ENTRY_CHANGED, FindingId.ENTRIES_MISSING]
    assert report.findings[0].sentence == (
        "entry 17 does not match its leaf hash: entry 17 was removed, for entry 18 stands in that place"
    )
    assert report.findings[1].sentence.endswith("the checkpoint of size 57 says otherwise: 1 entry went missing")


def test_several_removed_entries_are_named() -> None:
    report = verify_log(ENTRIES[:17] + ENTRIES[20:57], HEADS, HASHES[:57])
    assert "entries 17 to 19 were removed, for entry 20 stands in that place" in report.findings[0].sentence


def test_a_removed_entry_without_hashes_is_between_two_checkpoints() -> None:
    report = verify_log(ENTRIES[:17] + ENTRIES[18:57], HEADS)
    assert [finding.id for finding in report.findings] == [FindingId.RANGE_CHANGED, FindingId.ENTRIES_MISSING]
    assert (report.findings[0].first, report.findings[0].last) == (10, 24)


def test_an_entry_that_was_put_in_is_named() -> None:
    report = verify_log([*ENTRIES[:17], b"forged", *ENTRIES[17:57]], HEADS, HASHES[:57])
    assert not report.ok
    assert "entry 17 does not match its leaf hash: 1 entry that the log never had was put in" in report.sentences[0]


def test_a_copy_of_an_older_entry_is_not_a_removal() -> None:
    report = verify_log([*ENTRIES[:17], ENTRIES[3], *ENTRIES[18:]], HEADS, HASHES)
    assert only(report, FindingId.ENTRY_CHANGED) == "entry 17 does not match its leaf hash"


def test_entries_that_changed_places_are_named() -> None:
    entries = list(ENTRIES)
    entries[17], entries[23] = entries[23], entries[17]
    report = verify_log(entries, HEADS, HASHES)
    assert only(report, FindingId.ENTRY_CHANGED).endswith(": entries 17 and 23 changed places")


def test_a_changed_entry_in_a_cut_log_is_named_too() -> None:
    report = verify_log(changed(17)[:40], [head(57)], HASHES[:57])
    assert [finding.id for finding in report.findings] == [FindingId.ENTRY_CHANGED, FindingId.ENTRIES_MISSING]
    assert report.findings[0].sentence == "entry 17 does not match its leaf hash"


def test_a_changed_stored_hash_is_not_blamed_on_the_entry() -> None:
    for bad in (b"x" * 32, b"short", b""):
        report = verify_log(ENTRIES[:57], HEADS, [*HASHES[:17], bad, *HASHES[18:57]])
        assert not report.ok
        assert only(report, FindingId.HASHES_DAMAGED).startswith("the stored leaf hash of entry 17 is wrong")


def test_a_damaged_hash_does_not_hide_a_later_change() -> None:
    hashes = [*HASHES[:5], bytes(32), *HASHES[6:]]
    report = verify_log(changed(30), HEADS, hashes)
    assert [finding.id for finding in report.findings] == [FindingId.ENTRY_CHANGED, FindingId.HASHES_DAMAGED]
    assert report.findings[0].first == 30


@pytest.mark.parametrize("kept", [0, 9, 25, 56])
def test_missing_stored_hashes_are_named(kept: int) -> None:
    report = verify_log(ENTRIES[:57], HEADS, HASHES[:kept])
    assert not report.ok
    only(report, FindingId.HASHES_DAMAGED)
    assert (report.findings[0].first, report.findings[0].last) == (kept, 56)


def test_an_entry_that_is_cut_after_the_newest_checkpoint_is_named() -> None:
    report = verify_log(ENTRIES[:59], HEADS, HASHES)
    assert not report.ok
    assert report.findings[0].sentence == "there are 59 entries but 60 stored leaf hashes; what is missing: entry 59"


def test_an_entry_changed_after_the_newest_checkpoint_is_named_with_a_doubt() -> None:
    report = verify_log(changed(58), HEADS, HASHES)
    assert not report.ok
    assert report.findings[0].sentence == (
        "entry 58 does not match its leaf hash; no checkpoint tells which of the two was changed"
    )


def test_a_checkpoint_of_another_history_is_named() -> None:
    fork = head(25, entries=changed(17))
    report = verify_log(ENTRIES[:57], [head(10), fork, head(57)])
    assert not report.ok
    assert "the checkpoint of size 25 is of another history" in only(report, FindingId.FORKED)
    contradiction = verify_log(ENTRIES[:57], [*HEADS, fork])
    assert only(contradiction, FindingId.FORKED) == "two checkpoints of size 25 contradict each other"


def test_without_a_checkpoint_nothing_is_ok() -> None:
    for heads in ([], [head(0)]):
        report = verify_log(ENTRIES, heads, HASHES)
        assert not report.ok
        assert report.findings[0].id is FindingId.NO_CHECKPOINT
    assert not verify_log([], []).ok
    assert verify_log([], [head(0)]).ok


def test_checkpoints_of_two_logs_are_refused() -> None:
    report = verify_log(ENTRIES[:57], [head(10), head(57, origin="other")])
    assert only(report, FindingId.FOREIGN) == "the checkpoints are of different logs: `gatebook.test/book`, `other`"


def test_a_long_log_is_read_once_and_not_kept() -> None:
    size, alive = 30_000, 0

    class Entry(bytes):
        __slots__ = ()

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    most = 0

    def stream() -> Iterator[bytes]:
        nonlocal alive, most
        for index in range(size):
            alive += 1
            most = max(most, alive)
            yield Entry(b"%d" % (index if index != 20_011 else 0))

    entries = [b"%d" % index for index in range(size)]
    heads = [head(count, entries=entries) for count in (9_000, 20_011, 29_999, 30_000)]
    report = verify_log(stream(), heads, map(hash_leaf, entries))
    assert only(report, FindingId.ENTRY_CHANGED) == "entry 20011 does not match its leaf hash"
    assert report.covered == 20_011
    assert most < 10_000


def test_a_place_far_behind_is_found_across_chunks() -> None:
    entries = [b"%d" % index for index in range(12_000)]
    hashes = [hash_leaf(entry) for entry in entries]
    report = verify_log(entries[:100] + entries[9_000:], [head(12_000, entries=entries)], hashes)
    assert "entries 100 to 8999 were removed, for entry 9000 stands in that place" in report.findings[0].sentence
