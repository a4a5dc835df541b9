// What the network says in words: sentences, and phrases that point to where they were read.

/** The numbers of a phrase, in words. */
function factsOf(phrase) {
  const facts = [], share = (value) => `${Math.abs(100 * value).toFixed(0)} %`;
  if (phrase.probability !== null) facts.push(phrase.role ? `${share(phrase.probability)} sure` : share(phrase.probability));
  if (phrase.contribution !== null) facts.push(`${phrase.contribution < 0 ? "−" : "+"}${share(phrase.contribution)} of the evidence`);
  if (phrase.energy !== null) facts.push(`${share(phrase.energy)} of its map on the object${phrase.object_area === null ? "" : ` (${share(phrase.object_area)} of the picture${phrase.object_others === null ? "" : `, ${share(phrase.object_others)} of other pictures' maps`})`}`);
  return facts;
}

class Words {
  constructor(panel, { common }) {
    Object.assign(this, { data: panel, common, phrases: [] });
    this.root = make("div", "words-of");
    this.root.append(this.sentences(), this.list());
  }

  get empty() { return !this.data.sentences.length && !this.data.phrases.length; }

  list() {
    const list = make("ul", "phrases");
    for (const phrase of this.data.phrases) {
      const button = make("button", "phrase", phrase.text), item = make("li"), facts = factsOf(phrase);
      if (phrase.role) button.prepend(make("span", "role", this.common.roles[phrase.role] || phrase.role));
      if (facts.length) button.append(make("span", "facts", facts.join(" · ")));
      button.type = "button";
      button.title = phrase.note;
      item.append(button);
      list.append(item);
      this.phrases.push({ phrase, button });
    }
    list.hidden = !this.data.phrases.length;
    return list;
  }

  /** The sentences; a phrase within one points to its map and box, like the phrase itself. */
  sentences() {
    const text = make("div", "sentences");
    this.data.sentences.forEach((sentence, number) => {
      const letters = [...sentence], part = (start, end) => letters.slice(start, end).join("");  // Python counts letters, not units
      const line = make("p"), own = this.data.phrases.filter((phrase) => phrase.said && phrase.said[0] === number);
      let at = 0;
      for (const phrase of own.sort((a, b) => a.said[1] - b.said[1])) {
        const [, start, end] = phrase.said;
        if (start < at || end > letters.length) continue;
        const span = make("span", `said ${phrase.role}`, part(start, end));
        const facts = [this.common.roles[phrase.role] || phrase.role, ...factsOf(phrase), phrase.note];
        span.title = facts.filter(Boolean).join(" · ");
        span.tabIndex = 0;
        span.setAttribute("role", "button");
        line.append(part(at, start), span);
        this.phrases.push({ phrase, button: span });
        at = end;
      }
      line.append(part(at));
      text.append(line);
    });
    text.hidden = !this.data.sentences.length;
    return text;
  }

  /** Pointing at a phrase shows its map and box; a click keeps them. `show` takes a phrase and whether it is kept. */
  listen({ show, shown }) {
    for (const { phrase, button } of this.phrases) {
      const free = () => !shown().pinned, kept = () => shown().pinned && shown().phrase === phrase;
      const leave = () => { if (free()) show(null, false); };
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("pointerenter", () => { if (free()) show(phrase, false); });
      button.addEventListener("pointerleave", leave);
      button.addEventListener("focus", () => { if (free()) show(phrase, false); });
      button.addEventListener("blur", leave);
      if (button.tagName !== "BUTTON") button.addEventListener("keydown", (event) => {
        if (!/^(Enter| )$/.test(event.key)) return;
        event.preventDefault();
        event.stopPropagation();
        button.click();
      });
      button.addEventListener("click", () => (kept() ? show(null, false) : show(phrase, true)));
    }
  }

  mark({ phrase, pinned }) {
    for (const one of this.phrases) one.button.setAttribute("aria-pressed", String(pinned && one.phrase === phrase));
  }
}
