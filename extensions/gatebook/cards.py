"""What does a change request, or its dry run, look like in a notebook?

A sentence first, then the state in words, then the rows by key with `<del>` and `<ins>`; colour comes third. Every
value is escaped, and NULL, empty and masked values never look like text.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from urllib.parse import urlsplit

from gatebook.changes import Change, Diff, DiffRow, State
from gatebook.model import counted
from gatebook.values import Assigned, Masked
from gatebook.wording import sentence

MOST_ROWS = 20
MOST_COLUMNS = 12
LONGEST_TEXT = 120

_TONES = {
    State.DRAFT: "dry",
    State.AWAITING_REVIEW: "wait",
    State.APPROVED: "good",
    State.EXECUTING: "wait",
    State.EXECUTED: "good",
    State.REJECTED: "bad",
    State.DRIFTED: "bad",
    State.FAILED: "bad",
}

# JupyterLab's colours follow its theme; where there is no Lab, `light-dark` follows the browser. The last rule is for a
# notebook that is opened again: the buttons' kernel has ended, and Lab would say that a widget is missing.
STYLE = """<style>
.gb-card,.gb-acts{color-scheme:light dark}
.gb-card{box-sizing:border-box;max-width:60rem;margin:.25rem 0;padding:.75rem 1rem;overflow-x:auto;
 font:var(--jp-ui-font-size1,.875rem)/1.5 var(--jp-ui-font-family,system-ui,sans-serif);
 color:var(--jp-ui-font-color1,light-dark(#1f2328,#e6edf3));
 background:var(--jp-layout-color1,light-dark(#fff,#0d1117));
 border:1px solid var(--jp-border-color1,light-dark(#8c959f,#6e7681));border-left-width:.3rem;border-radius:.25rem}
.jp-mod-theme-dark .gb-card,[data-jp-theme-light=false] :is(.gb-card,.gb-acts){color-scheme:dark}
[data-jp-theme-light=true] :is(.gb-card,.gb-acts){color-scheme:light}
.gb-card.gb-dry{border-style:dashed}
.gb-card.gb-wait{border-left-color:light-dark(#9a6700,#d29922)}
.gb-card.gb-good{border-left-color:light-dark(#0969da,#58a6ff)}
.gb-card.gb-bad{border-left-color:light-dark(#bc4c00,#db6d28)}
.gb-card p{margin:.25rem 0}.gb-card .gb-head{font-weight:600;font-size:1.1em}
.gb-card .gb-state{display:inline-block;margin-left:.5rem;padding:0 .5rem;border:1px solid currentColor;
 border-radius:1rem;font-weight:400;font-size:.85em;white-space:nowrap}
.gb-card table{border-collapse:collapse;margin:.5rem 0;font-size:.95em}
.gb-card caption{text-align:left;padding:.25rem 0}
.gb-card.gb-card :is(th,td){padding:.2rem .6rem;text-align:left;vertical-align:top;
 overflow-wrap:normal;word-break:normal;border:1px solid var(--jp-border-color2,light-dark(#d0d7de,#30363d))}
.gb-card del{background:light-dark(#ffe2cc,#4d2d12);color:inherit}
.gb-card ins{background:light-dark(#d6eaff,#0c2d6b);color:inherit;font-weight:600;text-decoration:underline}
.gb-card .gb-mark{font-style:italic;border:1px dashed currentColor;padding:0 .25rem;border-radius:.2rem}
.gb-card .gb-small{font-size:.9em}
.gb-card a{color:var(--jp-content-link-color,light-dark(#0969da,#58a6ff))}
.gb-acts.widget-box,.gb-acts .widget-box{overflow:visible;margin:0;max-width:100%}
.gb-acts.gb-acts{box-sizing:border-box;max-width:calc(60rem + 20px);gap:.5rem;padding:0 0 .5rem 1.3rem;
 font:var(--jp-ui-font-size1,.875rem)/1.5 var(--jp-ui-font-family,system-ui,sans-serif);
 color:var(--jp-ui-font-color1,light-dark(#1f2328,#e6edf3))}
.gb-acts .gb-below{max-width:none;margin-left:-1.3rem}
.jp-OutputArea-output>.gb-acts{padding-right:20px}
.gb-acts p{margin:0}
.gb-acts .gb-line{flex-flow:row wrap;gap:.5rem;padding:.25rem 0}
.gb-acts .gb-ask{gap:.25rem;padding-top:.25rem}
.widget-html:has(.gb-card),.widget-html-content:has(>.gb-card){flex:1 1 auto;min-width:0;max-width:100%}
.gb-acts .widget-html{height:auto;margin:0;font:inherit}
.gb-acts .widget-html-content{font:inherit;line-height:1.5;color:inherit}
.gb-acts .jupyter-button{width:auto;height:auto;min-height:2.1rem;margin:0;padding:.2rem 1rem;overflow:visible;
 white-space:normal;font:inherit;font-weight:600;line-height:1.4;border-radius:.25rem;box-shadow:none;
 color:var(--jp-ui-font-color1,light-dark(#1f2328,#e6edf3));
 background:var(--jp-layout-color2,light-dark(#eef1f4,#21262d));
 border:1px solid var(--jp-border-color0,light-dark(#8c959f,#6e7681))}
.gb-acts .jupyter-button:hover:enabled{background:var(--jp-layout-color3,light-dark(#dfe3e8,#30363d))}
.gb-acts .jupyter-button.gb-yes,.gb-acts .jupyter-button.gb-yes:hover{color:#fff;
 background:#0969da;border-color:#0969da}
.gb-acts .jupyter-button:disabled{opacity:.6}
.gb-acts :focus-visible{outline:3px solid light-dark(#b35900,#ffc857)!important;outline-offset:2px}
.gb-acts .widget-text{width:100%;max-width:30rem;height:auto;margin:0}
.gb-acts .widget-label{width:auto;font:inherit;font-weight:600}
.gb-acts .gb-wrong{color:light-dark(#a1300a,#ffb28c);font-weight:600}
.jp-OutputArea-child:has(.gb-card)+.jp-OutputArea-child>.jp-OutputArea-output.jupyter-widgets{display:none}
</style>"""


def card_of(change: Change) -> str:
    """The card as HTML."""
    tone = _TONES.get(change.state, "plain")
    state = f'<span class="gb-state">{escape(change.state.words.capitalize())}</span>'
    parts = [
        STYLE,
        f'<section class="gb-card gb-{tone}" aria-label="{escape(_label(change))}">',
        f'<p class="gb-head">{escape(change.sentence)}{state}</p>',
        _paragraph(sentence(change.next_step)),
        *(_paragraph(sentence(refusal)) for refusal in change.refusals),
        _paragraph(sentence(f"it takes back what request {change.undoes} did")) if change.undoes else "",
        *(_paragraph(f"Warning: {warning}") for warning in change.warnings),
        *_diff_tables(change),
        *(_paragraph(sentence(str(review))) for review in change.reviews),
        _paragraph(sentence(f"your reason: {change.reason}")) if change.reason else "",
        _place(change),
        "</section>",
    ]
    return "\n".join(part for part in parts if part)


def rows_of(change: Change) -> str:
    """The rows before and after alone, as HTML; a sentence where there are none to be seen."""
    tables = _diff_tables(change) or [_paragraph("No rows of this request are here to be seen.")]
    opening = f'<section class="gb-card" aria-label="{escape(f"Rows of {_label(change)}")}">'
    return "\n".join((STYLE, opening, *tables, "</section>"))


def _diff_tables(change: Change) -> list[str]:
    written = [diff for diff in change.diffs or () if diff.rows or diff.hidden]
    beside = [diff for diff in change.beside or () if diff.rows]
    return [
        *(_diff_table(change, diff, _caption(change, diff)) for diff in written),
        *(_diff_table(change, diff, f"Written by triggers in {diff.table}") for diff in beside),
    ]


def web_address(url: str) -> str | None:
    """The address if it is one of the web: it comes over the wire, and could be a script (javascript:, data:)."""
    return url if urlsplit(url).scheme in {"http", "https"} else None


def _label(change: Change) -> str:
    return change.place if change.state is State.DRAFT else f"change request {change.id}"


def _place(change: Change) -> str:
    if change.state is State.DRAFT:
        return _paragraph(sentence(change.place), small=True)
    return f'<p class="gb-small">Request <code>{escape(change.id)}</code> on {escape(change.source)}{_link(change)}</p>'


def _caption(change: Change, diff: Diff) -> str:
    where = f" in {diff.table or 'another table'}" if len(change.diffs or ()) > 1 else ""
    return f"Rows before and after{where}"


def _diff_table(change: Change, diff: Diff, caption: str) -> str:
    columns = _columns_worth_showing(diff)
    shown = diff.rows[:MOST_ROWS]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("", *columns))
    body = "".join(_row(diff, row, columns) for row in shown)
    notes = []
    if len(diff.rows) > len(shown):
        where = "in `diff.rows`" if change.state is State.DRAFT else "on the request's page"
        notes.append(f"{counted(len(diff.rows) - len(shown), 'more row')} {where}.")
    if not diff.is_complete:
        notes.append(f"This is a sample of {counted(diff.total, 'row')}; the digest covers all of them.")
    left_out = len(diff.columns) - len(columns)
    if left_out > 0:
        notes.append(f"{counted(left_out, 'other column')} not shown.")
    if diff.hidden:
        notes.append(f"Changed, but hidden from you: {', '.join(diff.hidden)}.")
    return (
        f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        + "".join(_paragraph(note, small=True) for note in notes)
    )


def _columns_worth_showing(diff: Diff) -> tuple[str, ...]:
    """The key first, then what differs; everything where rows are added or removed; never more than fit."""
    if all(row.kind == "changed" for row in diff.rows):
        differing = {
            name
            for row in diff.rows
            for name, before, after in zip(diff.columns, row.before or (), row.after or (), strict=False)
            if before != after
        }
    else:
        differing = set(diff.columns)
    rest = (name for name in diff.columns if name in differing and name not in diff.key)
    return (*diff.key, *rest)[:MOST_COLUMNS]


def _row(diff: Diff, row: DiffRow, columns: Iterable[str]) -> str:
    before = dict(zip(diff.columns, row.before or (), strict=False))
    after = dict(zip(diff.columns, row.after or (), strict=False))
    key = dict(zip(diff.key, row.key, strict=False))
    cells = "".join(f"<td>{_cell(name, diff, row, before, after, key)}</td>" for name in columns)
    return f'<tr><th scope="row">{escape(row.kind.capitalize())}</th>{cells}</tr>'


def _cell(
    name: str, diff: Diff, row: DiffRow, before: dict[str, object], after: dict[str, object], key: dict[str, object]
) -> str:
    is_masked = name in diff.masked
    match row.kind:
        case "added":
            return f"<ins>{_value(after.get(name, key.get(name)), is_masked=is_masked)}</ins>"
        case "removed":
            return f"<del>{_value(before.get(name, key.get(name)), is_masked=is_masked)}</del>"
        case _:
            old, new = before.get(name, key.get(name)), after.get(name, key.get(name))
            if old == new and type(old) is type(new):
                return _value(old, is_masked=is_masked)
            return f"<del>{_value(old, is_masked=is_masked)}</del> <ins>{_value(new, is_masked=is_masked)}</ins>"


def _value(value: object, *, is_masked: bool) -> str:
    match value:
        case None:
            return '<span class="gb-mark">NULL</span>'
        case "":
            return '<span class="gb-mark">empty</span>'
        case Masked():
            return f'{escape(_short(value.text))} <span class="gb-mark">masked</span>'
        case Assigned():
            return f'<span class="gb-mark">{escape(value.text)}</span>'
        case bytes():
            text = f"{counted(len(value), 'byte')} {value[:8].hex(' ')}{'…' if len(value) > 8 else ''}"
        case str() if not value.strip():
            return f'<span class="gb-mark">{counted(len(value), "blank")}</span>'
        case _:
            text = str(value)
    mark = ' <span class="gb-mark">masked</span>' if is_masked else ""
    return escape(_short(text)) + mark


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… ({len(text):,} characters)"


def _link(change: Change) -> str:
    if web_address(change.url) is None:
        return ""
    return f' · <a href="{escape(change.url)}" target="_blank" rel="noopener noreferrer">Open its page</a>'


def _paragraph(text: str, *, small: bool = False) -> str:
    opening = '<p class="gb-small">' if small else "<p>"
    return f"{opening}{escape(text)}</p>" if text else ""
