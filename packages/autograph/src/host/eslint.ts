// The ESLint plugin: the diagnostics of the transform as lint messages, whatever parser the file is read with, since the
// rule asks the transform's own analysis of the file's text.
import type { ESLint, Linter, Rule } from "eslint";
import { Host, type HostOptions } from "./host.ts";
import { requireEngine } from "./load.ts";

interface RuleOptions {
  /**
   * Whether the source transform sees the code, so that only what it refuses or leaves alone is reported. True unless
   * said; false reports every tensor as a condition.
   */
  readonly transformed?: boolean;
  readonly tsconfig?: string;
  readonly mode?: "types" | "syntax";
}

const hosts = new Map<string, Host>();

const noTensorCondition: Rule.RuleModule = {
  meta: {
    type: "problem",
    docs: {
      description: "disallow tensors where JavaScript takes any object as true, and what the source transform refuses",
    },
    schema: [
      {
        type: "object",
        properties: {
          transformed: { type: "boolean" },
          tsconfig: { type: "string" },
          mode: { enum: ["types", "syntax"] },
        },
        additionalProperties: false,
      },
    ],
    messages: { diagnostic: "{{code}}: {{message}}" },
  },
  create(context) {
    return {
      Program() {
        const { transformed = true, ...options } = (context.options[0] ?? {}) as RuleOptions;
        const host = hostFor(context.cwd, options);
        const { text } = context.sourceCode;
        if (!host.accepts(context.filename)) return;
        for (const found of host.diagnose(text, context.filename, transformed, requireEngine)) {
          context.report({
            messageId: "diagnostic",
            data: { code: found.code, message: found.message },
            loc: {
              start: { line: found.line, column: found.column - 1 },
              end: { line: found.endLine, column: found.endColumn - 1 },
            },
          });
        }
      },
    };
  },
};

/** One project per process and options: the type checker is slow to start, and quick from then on. */
function hostFor(root: string, options: HostOptions): Host {
  const key = JSON.stringify([root, options]);
  let host = hosts.get(key);
  if (host === undefined) hosts.set(key, (host = new Host({ ...options, root })));
  return host;
}

const rules = { "no-tensor-condition": noTensorCondition };
const base: ESLint.Plugin = { meta: { name: "sinter" }, rules };

const recommended: Linter.Config = {
  name: "sinter/recommended",
  plugins: { sinter: base },
  rules: { "sinter/no-tensor-condition": "error" },
};

/** The plugin with its flat configuration `recommended`. */
export const plugin = { ...base, rules, configs: { recommended } };
