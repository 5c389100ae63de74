/**
 * What the page does when somebody uses it. `behave` is written into the page as its own text, so it may use nothing of
 * this module; everything it shows goes in as text, never as markup.
 */

/** What the page knows beside what it shows. */
export interface PageData {
  /** A text, or where it stands in another: key, first and last character. */
  readonly texts: Readonly<Record<string, string | readonly [string, number, number]>>;
  readonly nodes: Readonly<Record<string, NodeData>>;
  readonly kernels: readonly KernelData[];
  /** Lines of sources, by file as shown and number. */
  readonly lines: Readonly<Record<string, Readonly<Record<number, string>>>>;
}
export interface NodeData {
  readonly op: string;
  readonly text: string;
  readonly type: string;
  readonly operands: readonly string[];
  readonly kernels: readonly number[];
  /** File as shown, line, what was written there. */
  readonly locs: readonly (readonly [string, number, string])[];
}
export interface KernelData {
  readonly title: string;
  readonly facts: string;
  readonly nodes: readonly string[];
  readonly locs: readonly (readonly [string, number, string])[];
}

export function behave(): void {
  const data = JSON.parse(document.getElementById("data")!.textContent!) as PageData;
  const sections = [...document.querySelectorAll<HTMLElement>("main > section")];
  const detail = document.getElementById("detail")!;
  const users = new Map<string, string[]>();
  for (const [path, node] of Object.entries(data.nodes))
    for (const operand of node.operands) {
      const maker = operand.replace(/#\d+$/, "");
      users.set(maker, [...(users.get(maker) ?? []), path]);
    }

  // Texts come when they are looked at, so that a large program opens as fast as a small one.
  const textOf = (key: string): string => {
    const text = data.texts[key] ?? "";
    return typeof text === "string" ? text : textOf(text[0]).slice(text[1], text[2]);
  };
  const fill = (): void => {
    for (const pre of document.querySelectorAll<HTMLElement>("pre[data-text]")) {
      // By what is open, not by what is laid out: asking for that lays everything out.
      if (pre.closest("[hidden], details:not([open])") !== null) continue;
      pre.textContent = textOf(pre.dataset["text"]!);
      pre.removeAttribute("data-text");
    }
  };

  const make = (tag: string, text: string, className = ""): HTMLElement => {
    const element = document.createElement(tag);
    element.textContent = text;
    if (className !== "") element.className = className;
    return element;
  };
  const link = (href: string, text: string, className: string): HTMLElement => {
    const a = make("a", text, className);
    a.setAttribute("href", href);
    return a;
  };
  const nodeLink = (path: string): HTMLElement => link(`#node-${path}`, data.nodes[path]?.op ?? path, "node-link");
  const chip = (kernel: number): HTMLElement => link(`#kernel-${kernel}`, String(kernel), `chip k${kernel % 12}`);
  const row = (label: string, ...parts: (HTMLElement | string)[]): void => {
    if (parts.length === 0) return;
    const line = make("div", "", "row");
    const value = make("span", "", "value");
    value.append(...parts);
    line.append(make("span", label, "label"), value);
    detail.append(line);
  };
  const sourceLines = (locs: NodeData["locs"]): void => {
    for (const [file, line, name] of locs.slice(0, 12)) {
      const figure = make("figure", "", "code");
      figure.append(make("figcaption", `${file}:${line}${name === "" ? "" : `  ${name}`}`));
      const pre = make("pre", "");
      const near = [line - 1, line, line + 1].flatMap((at) => {
        const text = data.lines[file]?.[at];
        return text === undefined ? [] : [{ at, text }];
      });
      const written = near.filter(({ text }) => text.trim() !== "");
      const indent = Math.min(...written.map(({ text }) => text.length - text.trimStart().length));
      for (const { at, text } of near) {
        const whole = make("span", "", at === line ? "ln hit" : "ln");
        whole.append(make("i", String(at)), make("b", text.slice(indent)));
        pre.append(whole);
      }
      if (pre.childElementCount > 0) figure.append(pre);
      detail.append(figure);
    }
    if (locs.length === 0) detail.append(make("p", "The compiler made this; no line of yours says it.", "none"));
  };
  /** Shows or hides what is known of a box. The drawing beside it keeps its size. */
  const unfold = (shown: boolean): void => {
    const svg = visible();
    const before = svg?.clientWidth ?? 0;
    detail.hidden = !shown;
    if (svg === undefined || before === 0 || svg.clientWidth === before) return;
    const [x, y, w, h] = boxOf(svg) as [number, number, number, number];
    setBox(svg, [x, y, (w * svg.clientWidth) / before, h]);
  };
  const showNode = (path: string): void => {
    const node = data.nodes[path];
    if (node === undefined) return;
    unfold(true);
    detail.replaceChildren(make("h3", node.op), make("pre", node.text.trim(), "text line"));
    row("type", make("code", node.type));
    row("kernel", ...(node.kernels.length > 0 ? node.kernels.map(chip) : ["none: it needs no work of its own"]));
    row("from", ...node.operands.map((operand) => valueText(operand)));
    row("used by", ...(users.get(path) ?? []).slice(0, 20).map(nodeLink));
    sourceLines(node.locs);
  };
  const valueText = (value: string): HTMLElement =>
    value.startsWith("param ") ? make("code", value.slice(6)) : nodeLink(value.replace(/#\d+$/, ""));
  const showKernel = (index: number): void => {
    const kernel = data.kernels[index];
    if (kernel === undefined) return;
    const title = make("h3", "");
    title.append(chip(index), ` ${kernel.title}`);
    detail.replaceChildren(title, make("p", kernel.facts, "muted"));
    detail.append(link(`#kernel-${index}`, "its loops and its code", "go"));
    row("holds", ...kernel.nodes.slice(0, 60).map(nodeLink));
    sourceLines(kernel.locs);
  };

  const choose = (box: Element | null): void => {
    for (const old of document.querySelectorAll(".chosen, .near")) old.classList.remove("chosen", "near");
    if (box === null) return;
    box.classList.add("chosen");
    const id = box.getAttribute("data-id");
    for (const arrow of box.closest("svg")!.querySelectorAll<SVGElement>(".arrow"))
      if (arrow.dataset["from"] === id || arrow.dataset["to"] === id) arrow.classList.add("near");
  };

  // Moving and enlarging a drawing changes its view box.
  const whole = new Map<SVGSVGElement, readonly number[]>();
  const drawings = [...document.querySelectorAll<SVGSVGElement>("svg.drawing")];
  const boxOf = (svg: SVGSVGElement): number[] => svg.getAttribute("viewBox")!.split(" ").map(Number);
  const setBox = (svg: SVGSVGElement, box: readonly number[]): void =>
    svg.setAttribute("viewBox", box.map((n) => Math.round(n * 100) / 100).join(" "));
  const started = new Set<SVGSVGElement>();
  /** At first a drawing is as large as it can be read: all of its width, and its beginning where it is long. */
  const begin = (svg: SVGSVGElement): void => {
    if (started.has(svg) || svg.clientWidth === 0) return;
    started.add(svg);
    const [, , w, h] = whole.get(svg)! as [number, number, number, number];
    const fits = Math.min(svg.clientWidth / w, svg.clientHeight / h);
    const scale = fits > 0.6 ? Math.min(fits, 1.1) : Math.min(Math.max(svg.clientWidth / w, 0.6), 1);
    const [vw, vh] = [svg.clientWidth / scale, svg.clientHeight / scale];
    const top = svg.querySelector<SVGGElement>(":scope > .box.top")?.getBBox();
    const [, x = "0"] =
      /translate\(([\d.-]+)/.exec(svg.querySelector(":scope > .box.top")?.getAttribute("transform") ?? "") ?? [];
    const middle = w <= vw ? w / 2 : Number(x) + (top?.width ?? 0) / 2;
    setBox(svg, [middle - vw / 2, h <= vh ? (h - vh) / 2 : 0, vw, vh]);
  };
  const zoom = (svg: SVGSVGElement, factor: number, at?: { readonly x: number; readonly y: number }): void => {
    const [x, y, w, h] = boxOf(svg) as [number, number, number, number];
    const center = at ?? { x: x + w / 2, y: y + h / 2 };
    const limit = whole.get(svg)!;
    const wide = Math.min(Math.max(w * factor, 60), 4 * Math.max(limit[2]!, limit[3]!));
    const f = wide / w;
    setBox(svg, [center.x - (center.x - x) * f, center.y - (center.y - y) * f, w * f, h * f]);
  };
  const pointIn = (svg: SVGSVGElement, event: MouseEvent): { x: number; y: number } => {
    const matrix = svg.getScreenCTM()!.inverse();
    return new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix);
  };
  for (const svg of drawings) {
    whole.set(svg, boxOf(svg));
    let drag: { x: number; y: number; moved: boolean } | undefined;
    svg.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        zoom(svg, Math.exp(event.deltaY * 0.002), pointIn(svg, event));
      },
      { passive: false },
    );
    svg.addEventListener("pointerdown", (event) => {
      drag = { ...{ x: event.clientX, y: event.clientY }, moved: false };
    });
    svg.addEventListener("pointermove", (event) => {
      if (drag === undefined || event.buttons === 0) return;
      const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
      if (!drag.moved && Math.hypot(dx, dy) < 4) return;
      if (!drag.moved) svg.setPointerCapture(event.pointerId);
      const [x, y, w, h] = boxOf(svg) as [number, number, number, number];
      const scale = Math.max(w / svg.clientWidth, h / svg.clientHeight);
      setBox(svg, [x - dx * scale, y - dy * scale, w, h]);
      drag = { x: event.clientX, y: event.clientY, moved: true };
    });
    svg.addEventListener("click", (event) => {
      if (drag?.moved === true) return;
      pick((event.target as Element).closest("[data-node],[data-kernel]"));
    });
    svg.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      pick((event.target as Element).closest("[data-node],[data-kernel]"));
    });
  }
  const pick = (box: Element | null): void => {
    choose(box);
    unfold(box !== null);
    const frame = box?.closest("svg")?.getBoundingClientRect();
    if (box !== null && frame !== undefined && box.getBoundingClientRect().right > frame.right) center(box);
    const [node, kernel] = [box?.getAttribute("data-node"), box?.getAttribute("data-kernel")];
    if (node != null) {
      history.replaceState(null, "", `#node-${node}`);
      showNode(node);
    } else if (kernel != null) showKernel(Number(kernel));
  };
  const visible = (): SVGSVGElement | undefined => drawings.find((svg) => svg.clientWidth > 0);
  for (const button of document.querySelectorAll<HTMLElement>("[data-zoom]"))
    button.addEventListener("click", () => {
      const svg = visible();
      if (svg === undefined) return;
      const kind = button.dataset["zoom"];
      if (kind === "fit") setBox(svg, whole.get(svg)!);
      else zoom(svg, kind === "in" ? 1 / 1.3 : 1.3);
    });

  const openTab = (tab: HTMLElement): void => {
    for (const other of tab.parentElement!.querySelectorAll<HTMLElement>("[role=tab]")) {
      const here = other === tab;
      other.setAttribute("aria-selected", String(here));
      other.tabIndex = here ? 0 : -1;
      document.getElementById(other.getAttribute("aria-controls")!)!.hidden = !here;
    }
    drawings.forEach(begin);
    fill();
  };
  for (const tab of document.querySelectorAll<HTMLElement>("[role=tab]")) {
    tab.tabIndex = tab.getAttribute("aria-selected") === "true" ? 0 : -1;
    tab.addEventListener("click", () => openTab(tab));
    tab.addEventListener("keydown", (event) => {
      const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
      if (step === 0) return;
      const all = [...tab.parentElement!.querySelectorAll<HTMLElement>("[role=tab]")];
      const next = all[(all.indexOf(tab) + step + all.length) % all.length]!;
      openTab(next);
      next.focus();
      event.stopPropagation();
    });
  }

  /** Shows what the address names: a section, or something in one. */
  const route = (): void => {
    const id = decodeURIComponent(location.hash.slice(1));
    const node = id.startsWith("node-") ? id.slice("node-".length) : undefined;
    const target = node === undefined ? document.getElementById(id) : document.getElementById("graph");
    const section = target?.closest<HTMLElement>("main > section") ?? sections[0]!;
    for (const one of sections) one.hidden = one !== section;
    for (const a of document.querySelectorAll<HTMLElement>("nav a"))
      a.toggleAttribute("aria-current", a.getAttribute("href") === `#${section.id}`);
    if (target instanceof HTMLDetailsElement) target.open = true;
    if (node !== undefined && data.nodes[node] !== undefined) {
      const box =
        document.querySelector(`[data-node="${node}"]`) ??
        document.querySelector(`[data-kernel="${data.nodes[node].kernels[0]}"]`);
      const tab = document.getElementById(box?.closest(".canvas")?.getAttribute("aria-labelledby") ?? "");
      if (tab !== null) openTab(tab);
      choose(box);
      showNode(node);
      center(box);
    }
    drawings.forEach(begin);
    fill();
    if (node === undefined && target !== null && target !== section) target.scrollIntoView({ block: "start" });
    else window.scrollTo(0, 0);
  };
  const center = (box: Element | null): void => {
    const svg = box?.closest("svg");
    if (box === null || svg === null || svg === undefined) return;
    begin(svg);
    const [, , w, h] = boxOf(svg) as [number, number, number, number];
    const [rect, matrix] = [box.getBoundingClientRect(), svg.getScreenCTM()!.inverse()];
    const at = new DOMPoint(rect.x + rect.width / 2, rect.y + rect.height / 2).matrixTransform(matrix);
    setBox(svg, [at.x - w / 2, at.y - h / 2, w, h]);
  };

  document.addEventListener("toggle", fill, true);
  window.addEventListener("hashchange", route);
  document.addEventListener("click", (event) => {
    // A link to where the page is already: the address does not change, but what it names was perhaps closed.
    const href = (event.target as Element).closest("a")?.getAttribute("href");
    if (href != null && href === location.hash) route();
  });
  const root = document.documentElement;
  const setTheme = (): void => {
    const dark =
      getComputedStyle(root).colorScheme === "dark" ||
      (root.dataset["theme"] === undefined && matchMedia("(prefers-color-scheme: dark)").matches);
    root.dataset["theme"] = dark ? "light" : "dark";
  };
  document.getElementById("theme")!.addEventListener("click", setTheme);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const section = sections[Number(event.key) - 1];
    if (section !== undefined) location.hash = section.id;
    else if (event.key === "t") setTheme();
    else if (event.key === "Escape") pick(null);
  });
  root.classList.add("ready");
  route();
}
