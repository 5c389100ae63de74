/** Looks for branches in a function's source on conditions that may be tensors, whose truth JavaScript cannot trap. */

/**
 * The first suspicious condition, as written; undefined where there is none. `isStatic` tells of names and paths, such as
 * `options.training`, that are known to be no tensors.
 */
export function suspiciousBranch(
  source: string,
  isStatic: (path: string) => boolean = () => false,
): string | undefined {
  const code = blank(source);
  const found = /\b(if|while|switch)\s*\(|[^?]\?(?![.?:,)\]}])|&&(?!=)|\|\|(?!=)/g;
  for (let match = found.exec(code); match !== null; match = found.exec(code)) {
    const keyword = match[1];
    const condition =
      keyword === undefined
        ? before(code, match.index - (match[0].endsWith("?") ? 0 : 1))
        : inside(code, match.index + match[0].length);
    if (condition === undefined || isHarmless(condition)) continue;
    const paths = condition.match(/(?<![\w$.])[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)*/g) ?? [];
    if (paths.length > 0 && paths.every(isStatic)) continue;
    const shown = condition.trim().replace(/\s+/g, " ").slice(0, 60);
    return keyword === undefined ? shown : `${keyword} (${shown})`;
  }
  return undefined;
}

/** Conditions that are booleans whatever their operands, or that a tensor would turn into an error. */
function isHarmless(condition: string): boolean {
  const text = condition.trim();
  if (text === "" || /[<>]|[=!]==?|\binstanceof\b|\bin\b|\btypeof\b/.test(text)) return true;
  if (/^!*\s*(true|false|null|undefined|[\d.]+)$/.test(text)) return true;
  return /\.(length|rank|size|traces|trainable|disposed|training)$|\b(Array|Number|Object|Boolean)\.is\w+\s*\(/.test(
    text,
  );
}

/** Comments, strings, templates and regular expressions made blank, keeping positions. */
function blank(source: string): string {
  return source.replace(
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[\s\S])*`/g,
    (text) => " ".repeat(text.length),
  );
}

/** The text up to the parenthesis that closes the one before `from`. */
function inside(code: string, from: number): string {
  let depth = 1;
  for (let i = from; i < code.length; i++) {
    if (code[i] === "(") depth++;
    else if (code[i] === ")" && --depth === 0) return code.slice(from, i);
  }
  return code.slice(from);
}

/** The operand before an operator: back to what begins an expression. */
function before(code: string, to: number): string | undefined {
  let depth = 0;
  let i = to;
  for (; i >= 0; i--) {
    const c = code[i]!;
    if (c === ")" || c === "]" || c === "}") depth++;
    else if (c === "(" || c === "[" || c === "{") {
      if (depth === 0) break;
      depth--;
    } else if (depth === 0 && (c === ";" || c === "," || c === "\n" || c === ":" || c === "?")) break;
    else if (
      depth === 0 &&
      c === "=" &&
      code[i - 1] !== "=" &&
      code[i + 1] !== "=" &&
      !"!<>".includes(code[i - 1] ?? "")
    )
      break;
    else if (depth === 0 && c === ">" && code[i - 1] === "=") break;
  }
  return code.slice(i + 1, to + 1).replace(/^\s*return\b/, "");
}
