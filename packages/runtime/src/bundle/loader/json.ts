/** JSON from files nobody vouches for: `JSON.parse`, and an error where an object names a key twice, which it hides. */

/** Throws a SyntaxError that says what is wrong with the text. */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  const twice = duplicateKey(text);
  if (twice !== undefined) throw new SyntaxError(`${quoted(twice)} stands twice in one object`);
  return value;
}

/** The first key that an object of a valid text has twice. */
function duplicateKey(text: string): string | undefined {
  const open: Set<string>[] = [];
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === "{") open.push(new Set());
    else if (char === "}") open.pop();
    else if (char === '"') {
      const start = at;
      while (text[++at] !== '"') if (text[at] === "\\") at++;
      let next = at + 1;
      while (text.charCodeAt(next) <= 32) next++;
      if (text[next] !== ":") continue;
      const key = JSON.parse(text.slice(start, at + 1)) as string;
      const keys = open.at(-1)!;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}

/** Whether a value is an object with keys: neither a list nor a view of bytes. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

/** A text in quotes, as messages show it. */
export function quoted(value: unknown): string {
  return JSON.stringify(value);
}

/** Whether a value is a whole number from 0 on that a double holds exactly. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && !Object.is(value, -0);
}
