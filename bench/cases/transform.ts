// The source transform: what a file of 150 lines with 16 staged constructs costs, first and when it is transformed again.
import { join } from "node:path";
import { Autograph } from "@sinter/autograph";
import { atMost, type Section, significant } from "../harness/section.ts";
import { median } from "../harness/statistics.ts";
import type { Case } from "./case.ts";

/** Four constructs and a stretch of plain code; a file holds it four times. */
const quarter = (i: number): string => `
export function relu${i}(x: Tensor, slope: number): Tensor {
  const scaled = x.mul(slope);
  if (x.sum().gt(0)) {
    return x;
  }
  return scaled.neg().exp().sub(1);
}

export function halve${i}(x: Tensor, limit: number): { readonly x: Tensor; readonly rounds: number | Tensor } {
  let rounds = 0;
  let error = x.abs().max();
  while (error.gt(1e-3)) {
    x = x.mul(0.5);
    error = x.abs().max();
    rounds++;
    if (rounds > limit) break;
  }
  return { x, rounds };
}

export function average${i}(rows: Tensor): Tensor {
  let sum = rows.at(0).mul(0);
  for (const row of rows) {
    const weight = row.max().gt(1) ? row.max() : row.min();
    sum = sum.add(row.mul(weight));
  }
  return sum;
}

export function names${i}(list: readonly string[]): string {
  const out: string[] = [];
  for (const [i, name] of list.entries()) out.push(\`\${i}: \${name}\`);
  return out.join("\\n");
}

/** Plain again. */
export const shape${i} = (x: Tensor): string => x.shape.join("x");`;

const source = `import type { Tensor } from "sinter";\n${[1, 2, 3, 4].map(quarter).join("\n")}\n`;
const untouched =
  'import type { Tensor } from "sinter";\nexport const  twice = (x : number) => { if (x>1) return x*2 };\n';

export const transform: Case = {
  name: "transform",
  run: (context) => {
    const file = join(import.meta.dirname, "transformed-source.ts");
    const start = performance.now();
    const autograph = new Autograph();
    const first = autograph.transform(source, file);
    const startUp = performance.now() - start;
    const failures = first.diagnostics.map(({ code, message }) => `${code}: ${message}`);
    const constructs = first.code.match(/\$ag\.(if_|while_|forOf_|cond_)\(/g)?.length ?? 0;
    if (constructs < 16) failures.push(`${constructs} constructs were transformed instead of 16 or more`);
    if (autograph.transform(untouched, file).code !== untouched) failures.push("untouched code changed");
    const times: number[] = [];
    for (let round = 0; !context.options.checkOnly && round < 41; round++) {
      context.progress(`round ${round + 1}`);
      // A changed text each time, as an editor would save it.
      const changed = source.replace("1e-3", `1e-${(round % 7) + 2}`);
      const from = performance.now();
      autograph.transform(changed, file);
      times.push(performance.now() - from);
    }
    autograph.dispose();
    return Promise.resolve(section(startUp, times, failures));
  },
};

function section(startUp: number, times: readonly number[], failures: readonly string[]): Section {
  const time = times.length === 0 ? undefined : median(times);
  return {
    name: "transform",
    title: `Source transform of ${source.split("\n").length} lines with 16 constructs`,
    tables: [
      {
        columns: ["", "", "ms"],
        rows: [
          ["start-up and the first file", "", significant(startUp)],
          ...(time === undefined ? [] : [["again, after a change", "", significant(time)]]),
        ],
      },
    ],
    notes: [],
    targets: [atMost("at most 20 ms after start-up", time, 20, " ms")],
    failures,
    data: { startUp, times },
  };
}
