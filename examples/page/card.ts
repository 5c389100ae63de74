/** What the page says of one backend: its name, what it runs on, and the figures of its training. */

export interface Facts {
  /** What it runs on. */
  readonly place?: string;
  /** A remark that stands out, and is a whole sentence. */
  readonly remark?: string;
  /** False hides the figures. */
  readonly isAvailable?: boolean;
  /** What one call of the training step runs. */
  readonly call?: string;
  readonly compile?: string;
  readonly step?: string;
  readonly loss?: string;
  readonly accuracy?: string;
}

export interface Card {
  /** Adds to what is shown, and replaces what has the same name. */
  show(facts: Facts): void;
  clear(): void;
}

const figures = [
  ["call", "kernels in one call"],
  ["compile", "compiling and first step"],
  ["step", "per step, wall time"],
  ["loss", "loss of the last batch"],
  ["accuracy", "held-out digits read rightly"],
] as const;

export function addCard(parent: HTMLElement, id: string, title: string, place: string): Card {
  const card = element("article", { id: `card-${id}`, className: `card ${id}` });
  const where = element("p", { className: "place" }, place);
  const remark = element("p", { className: "remark", hidden: true });
  const list = element("dl");
  const values = new Map<(typeof figures)[number][0], HTMLElement>();
  for (const [name, label] of figures) {
    const value = element("dd", { className: name }, "–");
    values.set(name, value);
    const row = element("div");
    row.append(element("dt", {}, label), value);
    list.append(row);
  }
  card.append(element("h2", {}, title), where, remark, list);
  parent.append(card);
  const show = (facts: Facts): void => {
    if (facts.place !== undefined) where.textContent = facts.place;
    if (facts.remark !== undefined) {
      remark.textContent = facts.remark;
      remark.hidden = facts.remark === "";
    }
    if (facts.isAvailable !== undefined) card.classList.toggle("unavailable", !facts.isAvailable);
    for (const [name, value] of values) {
      const text = facts[name];
      if (text !== undefined) value.textContent = text;
    }
  };
  return {
    show,
    clear: () => show({ isAvailable: true, remark: "", call: "–", compile: "–", step: "–", loss: "–", accuracy: "–" }),
  };
}

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  text?: string,
): HTMLElementTagNameMap[K] {
  const made = Object.assign(document.createElement(tag), properties);
  if (text !== undefined) made.textContent = text;
  return made;
}
