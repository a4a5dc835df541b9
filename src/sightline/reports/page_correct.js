// What the decision would be with other attributes: exact, as the class depends on them alone. s' = s + V (a' - a).

class Correct {
  constructor(data) {
    this.data = data;
    this.answers = new Map();  // question and value -> share in place of the one that was read
    this.root = make("div", "correct-of");
    const help = make("p", "aside", "This network decides by its attributes alone. Set one to what you see, and the decision follows.");
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
    const before = Correct.shares(this.data.scores), after = Correct.shares(this.scores());
    const best = (shares) => shares.indexOf(Math.max(...shares)), now = best(after), then = best(before), { labels } = this.data;
    if (!this.answers.size) this.sentence.textContent = `${labels[then]}, ${percent(before[then])}: as the network read the picture.`;
    else if (now === then) this.sentence.textContent = `The decision stays ${labels[now]}: ${percent(after[now])} instead of ${percent(before[now])}.`;
    else this.sentence.textContent = `The decision becomes ${labels[now]}, ${percent(after[now])}, from ${labels[then]}, ${percent(before[then])}.`;
    this.reset.disabled = !this.answers.size;
    const order = [...after.keys()].sort((a, b) => after[b] - after[a]).slice(0, 5);
    if (!order.includes(then)) order[order.length - 1] = then;
    this.bars.replaceChildren(...order.map((at) => {
      const row = make("li", at === now ? "top" : ""), bar = make("i", "bar"), mark = make("i", "was");
      bar.style.width = `${100 * after[at]}%`;
      mark.style.left = `${100 * before[at]}%`;
      const track = make("span", "track");
      track.append(bar, mark);
      row.title = `${percent(before[at])} as the network read the picture`;
      row.append(make("span", "name", labels[at]), track, make("span", "value", percent(after[at])));
      return row;
    }));
  }

  static shares(scores) {
    const most = Math.max(...scores), parts = scores.map((score) => Math.exp(score - most));
    const sum = parts.reduce((a, b) => a + b, 0);
    return parts.map((part) => part / sum);
  }
}
