// What the decision would be with other attributes: exact, as it depends on them alone. s' = s + V (a' - a).
// A class is decided for by a soft-max; each of several labels is found where sigmoid(s') reaches its threshold.

class Correct {
  constructor(data) {
    this.data = data;
    this.answers = new Map();  // question and value -> share in place of the one that was read
    this.root = make("div", "correct-of");
    const follows = data.thresholds ? "finds labels by its attributes alone. Set one to what you see, and the labels follow." : "decides by its attributes alone. Set one to what you see, and the decision follows.";
    const help = make("p", "aside", `This network ${follows}`);
    this.sentence = make("p", "corrected");
    this.sentence.setAttribute("aria-live", "polite");
    this.bars = make("ul", "class-bars");
    this.fields = make("div", "answers");
    this.fields.append(...data.questions.flatMap((question, number) => this.choices(question, number)));
    this.reset = make("button", "", "as the network read them");
    this.reset.type = "button";
    this.reset.addEventListener("click", () => this.clear());
    this.root.append(help, this.sentence, this.bars, this.fields, this.reset);
    this.draw();
  }

  /** A list of values for a choice; a list of yes and no for each value that stands alone. */
  choices(question, number) {
    if (question.exclusive) {
      const top = question.shares.indexOf(Math.max(...question.shares));
      const read = `${question.values[top]} (read, ${percent(question.shares[top])})`;
      const set = (at) => question.values.forEach((_, own) => this.answer(number, own, at < 0 ? null : Number(own === at)));
      return [this.field(question.name, read, question.values, set)];
    }
    return question.values.map((value, own) => {
      const read = `${percent(question.shares[own])} (read)`, name = ["yes", question.name].includes(value) ? question.name : `${question.name}: ${value}`;
      return this.field(name, read, ["yes", "no"], (at) => this.answer(number, own, at < 0 ? null : 1 - at));
    });
  }

  field(name, read, values, set) {
    const label = make("label", "correction"), list = make("select");
    [read, ...values].forEach((text, at) => list.append(new Option(text, String(at - 1))));
    list.addEventListener("change", () => {
      set(Number(list.value));
      label.classList.toggle("set", list.value !== "-1");
      this.draw();
    });
    label.append(make("span", "", name), list);
    return label;
  }

  answer(number, own, share) {
    if (share === null) this.answers.delete(`${number} ${own}`);
    else this.answers.set(`${number} ${own}`, share);
  }

  clear() {
    this.answers.clear();
    for (const label of this.fields.children) {
      label.classList.remove("set");
      label.lastChild.value = "-1";
    }
    this.draw();
  }

  scores() {
    const scores = [...this.data.scores];
    for (const [key, share] of this.answers) {
      const [number, own] = key.split(" ").map(Number), question = this.data.questions[number];
      question.weights[own].forEach((weight, at) => { scores[at] += weight * (share - question.shares[own]); });
    }
    return scores;
  }

  draw() {
    const { labels, thresholds } = this.data, shares = thresholds ? Correct.each : Correct.shares;
    const before = shares(this.data.scores), after = shares(this.scores());
    const best = (values) => values.indexOf(Math.max(...values)), then = best(before), now = best(after);
    const top = (at) => (thresholds ? after[at] >= thresholds[at] : at === now);
    this.sentence.textContent = thresholds ? this.found(before, after) : this.decided(before, after, then, now);
    this.reset.disabled = !this.answers.size;
    const order = [...after.keys()].sort((a, b) => after[b] - after[a]).slice(0, 5);
    if (!order.includes(then)) order[order.length - 1] = then;
    this.bars.replaceChildren(...order.map((at) => {
      const row = make("li", top(at) ? "top" : ""), bar = make("i", "bar"), mark = make("i", "was");
      bar.style.width = `${100 * after[at]}%`;
      mark.style.left = `${100 * before[at]}%`;
      const track = make("span", "track");
      track.append(bar, mark);
      row.title = `${percent(before[at])} as the network read the picture${thresholds ? `; found from ${percent(thresholds[at])}` : ""}`;
      row.append(make("span", "name", labels[at]), track, make("span", "value", percent(after[at])));
      return row;
    }));
  }

  /** The class, and what it was. */
  decided(before, after, then, now) {
    const { labels } = this.data;
    if (!this.answers.size) return `${labels[then]}, ${percent(before[then])}: as the network read the picture.`;
    if (now === then) return `The decision stays ${labels[now]}: ${percent(after[now])} instead of ${percent(before[now])}.`;
    return `The decision becomes ${labels[now]}, ${percent(after[now])}, from ${labels[then]}, ${percent(before[then])}.`;
  }

  /** The labels that are found, or those that cross their thresholds. */
  found(before, after) {
    const { labels, thresholds } = this.data, all = [...labels.keys()];
    if (!this.answers.size) {
      const own = all.filter((at) => before[at] >= thresholds[at]).map((at) => `${labels[at]}, ${percent(before[at])}`);
      return `${own.join("; ") || "No label is found"}: as the network read the picture.`;
    }
    const crossed = all.filter((at) => (after[at] >= thresholds[at]) !== (before[at] >= thresholds[at]));
    const said = crossed.map((at) => `${labels[at]} is ${after[at] >= thresholds[at] ? "found" : "found no more"} (${percent(after[at])} instead of ${percent(before[at])}, found from ${percent(thresholds[at])})`);
    if (said.length) return `${said.join("; ")}.`;
    const most = all.reduce((a, b) => (Math.abs(after[b] - before[b]) > Math.abs(after[a] - before[a]) ? b : a));
    return `No label crosses its threshold; ${labels[most]} moves most, ${percent(after[most])} instead of ${percent(before[most])}.`;
  }

  static each(scores) {
    return scores.map((score) => 1 / (1 + Math.exp(-score)));
  }

  static shares(scores) {
    const most = Math.max(...scores), parts = scores.map((score) => Math.exp(score - most));
    const sum = parts.reduce((a, b) => a + b, 0);
    return parts.map((part) => part / sum);
  }
}
