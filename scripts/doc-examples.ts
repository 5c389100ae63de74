// The runnable examples of the Markdown documents: a ```ts block whose next block is ```text is a program and the
// output it must print. Used by the test of the documents and by the check of the packed tarball.

export interface DocExample {
  /** 1-based line of the opening fence, for messages. */
  readonly line: number;
  readonly code: string;
  readonly output: string;
}

interface Fence {
  readonly line: number;
  readonly language: string;
  readonly body: string;
}

/** Every `ts` block that is directly followed by a `text` block under the same heading. */
export function docExamples(markdown: string): DocExample[] {
  const examples: DocExample[] = [];
  let program: Fence | undefined;
  for (const block of fencesAndHeadings(markdown)) {
    if (block === "heading") {
      program = undefined;
    } else {
      if (program !== undefined && block.language === "text") {
        examples.push({ line: program.line, code: program.body, output: block.body });
      }
      program = block.language === "ts" ? block : undefined;
    }
  }
  return examples;
}

/** The options of Node that an example asks for in a first line such as `// node --import sinter/register app.ts`. */
export function nodeOptions(code: string): string[] {
  const [, options] = /^\/\/ node (--.*) \S+\n/.exec(code) ?? [];
  return options?.split(" ") ?? [];
}

/**
 * Output as it is compared: line endings and trailing white space do not count, nor does where a kernel was written, which
 * depends on where the example lies.
 */
export function normalizeOutput(output: string): string {
  return output
    .split(/\r?\n/)
    .map((line) => line.replace(/ {2}\/\/ \S+\.[jt]s:\d+ .*$/, "").trimEnd())
    .join("\n")
    .trim();
}

function* fencesAndHeadings(markdown: string): Generator<Fence | "heading"> {
  const lines = markdown.split(/\r?\n/);
  for (let at = 0; at < lines.length; at++) {
    const text = lines[at]!;
    const fence = /^(`{3,}|~{3,})\s*(\S*)/.exec(text);
    if (fence === null) {
      if (/^#{1,6}\s/.test(text)) yield "heading";
      continue;
    }
    const start = at;
    const body: string[] = [];
    for (at++; at < lines.length && lines[at]!.trimEnd() !== fence[1]; at++) body.push(lines[at]!);
    yield { line: start + 1, language: fence[2]!, body: body.join("\n") };
  }
}
