"""What every page must be in a real browser: told by axe, and by its own measures."""

THEMES = ("light", "dark")
WIDTHS = (1400, 360)
BROKEN_WORDS = """() => {
    const broken = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const parent = node.parentElement;
        if (!parent.checkVisibility({ checkVisibilityCSS: true })) continue;
        if (parent.closest("code, pre, svg, script, style")) continue;
        for (const match of node.textContent.matchAll(/(?<!\\S)[A-Za-z]{2,14}(?![^\\s.,:;)])/g)) {
            const range = document.createRange();
            range.setStart(node, match.index);
            range.setEnd(node, match.index + match[0].length);
            const boxes = [...range.getClientRects()].filter((box) => box.width > 1);
            if (new Set(boxes.map((box) => Math.round(box.top))).size > 1) broken.push(match[0]);
        }
    }
    return broken;
}"""
"""Words of up to fourteen letters, between spaces, that are broken over two lines."""


def opened(browser, path, *, theme="light", width=1400):
    """A page, and a list of what it complains about and asks for."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda request: request.url.startswith(("data:", "file:")) or complaints.append(f"asked for {request.url}"),
    )
    page.goto(path.as_uri())
    laid_out(page)
    return page, complaints


def laid_out(page):
    """Wait for two frames: until the first, parts that are laid out only in sight have no inner text."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def violations(page, axe):
    """What axe finds that is serious or critical: rule and the first element."""
    page.evaluate(axe)
    result = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        (one["id"], one["nodes"][0]["html"][:200], one["nodes"][0].get("failureSummary", "")[:300])
        for one in result["violations"]
        if one["impact"] in ("serious", "critical") or one["id"].startswith(("landmark", "region", "heading"))
    ]


def overflow(page):
    """How many pixels the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def broken_words(page):
    """Words that are broken over two lines."""
    return page.evaluate(BROKEN_WORDS)
