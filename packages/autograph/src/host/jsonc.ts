// Reads JSON with comments and trailing commas, as tsconfig.json may have, without the TypeScript compiler: a cached
// start must not load it.

/** The value of `text`, or undefined where it is not JSON even so. */
export function parseJsonc(text: string): unknown {
  // Strings are matched first, so that what looks like a comment or a comma inside one stays.
  const plain = text
    .replace(/^\uFEFF/, "")
    .replace(/("(?:[^"\\]|\\.)*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (_, string: string | undefined) => string ?? " ")
    .replace(/("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])/g, (_, string: string | undefined) => string ?? "");
  try {
    return JSON.parse(plain);
  } catch {
    return undefined;
  }
}
