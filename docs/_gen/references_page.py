"""The list of references, from `references.bib`."""

from __future__ import annotations

from bib import Entry, entries

HEAD = """# References

Every method, metric and data set names its source by a key; these are the keys. The list is made from
`docs/references.bib`; a test fails when the library cites a key that is not in it.
"""


def references_page() -> str:
    """The page's text."""
    ordered = sorted(entries(), key=lambda entry: entry.key)
    return "\n".join([HEAD, *map(_paragraph, ordered)])


def _paragraph(entry: Entry) -> str:
    text = f"{entry.authors}. **{entry.fields['title']}**. {entry.where}, {entry.fields['year']}."
    return f"### `{entry.key}` {{ #{entry.key} }}\n\n{text}\n"
