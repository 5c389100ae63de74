/** A placed drawing as SVG. Colours come from the style of the page, by kernel. */
import { type Html, html } from "../page/html.ts";
import { isSmall, longestText, type Placed, type PlacedBox, type Point } from "./layout.ts";

/** One drawing in a frame that the page lets people move and enlarge. `id` is that of its view. */
export function drawingSvg(placed: Placed, id: string, label: string): Html {
  return html`<svg class="drawing" data-view="${id}" viewBox="0 0 ${Math.ceil(placed.width)} ${Math.ceil(placed.height)}" role="img" aria-label="${label}">
<defs><marker id="arrow-${id}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto-start-reverse"><path d="M0 0.8 7.4 4 0 7.2z" class="tip"/></marker></defs>
${content(placed, `url(#arrow-${id})`)}</svg>`;
}

function content(placed: Placed, marker: string): Html {
  const arrows = placed.arrows.map(
    ({ from, to, points }) =>
      html`<path class="arrow" data-from="${from}" data-to="${to}" d="${curve(points)}" marker-end="${marker}"/>`,
  );
  const top = placed.boxes.reduce<PlacedBox | undefined>((a, b) => (a === undefined || b.y < a.y ? b : a), undefined);
  return html`<g>${arrows}</g>${placed.boxes.map((box) => boxSvg(box, marker, box === top))}`;
}

/** `top`: the drawing begins with it. */
function boxSvg({ box, x, y, width, height, blocks }: PlacedBox, marker: string, top: boolean): Html {
  const pill = isSmall(box);
  const inner = blocks.map(
    ({ x: left, y: under, drawing }) =>
      html`<g transform="translate(${fixed(left)} ${fixed(under)})"><rect class="block" width="${fixed(Math.max(drawing.width, width - 24))}" height="${fixed(drawing.height)}" rx="6"/><text class="sub" x="8" y="-3">${drawing.label}</text>${content(drawing, marker)}</g>`,
  );
  const line = box.subtitle === "" ? 17 : 16;
  const colour = box.kernel === undefined ? "" : ` k${box.kernel % 12}`;
  const target =
    box.node !== undefined
      ? html` data-node="${box.node}" tabindex="0" role="button"${box.kind === "constant" ? "" : html` id="node-${box.node}"`}`
      : box.kind === "kernel"
        ? html` data-kernel="${box.kernel}" tabindex="0" role="button"`
        : "";
  return html`<g class="box ${box.kind}${colour}${top ? " top" : ""}" data-id="${box.id}" transform="translate(${fixed(x)} ${fixed(y)})"${target}><title>${box.title}  ${box.subtitle}</title><rect width="${fixed(width)}" height="${fixed(height)}" rx="${pill ? height / 2 : 6}"/>
<text class="title" x="13" y="${line}">${cut(box.title)}</text>${box.subtitle === "" ? "" : html`<text class="sub" x="13" y="${line + 14}">${cut(box.subtitle)}</text>`}${inner}</g>`;
}

function cut(text: string): string {
  return text.length > longestText ? `${text.slice(0, longestText - 1)}…` : text;
}

/** A smooth line through the points, upright in each of them. */
function curve(points: readonly Point[]): string {
  const [first, ...rest] = points;
  if (first === undefined) return "";
  let out = `M${fixed(first.x)} ${fixed(first.y)}`;
  rest.forEach((point, i) => {
    const next = rest[i + 1];
    if (next === undefined) out += `L${fixed(point.x)} ${fixed(point.y)}`;
    else
      out += `Q${fixed(point.x)} ${fixed(point.y)} ${fixed((point.x + next.x) / 2)} ${fixed((point.y + next.y) / 2)}`;
  });
  return out;
}

function fixed(n: number): string {
  return String(Math.round(n * 10) / 10);
}
