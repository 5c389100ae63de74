// The first call of the training step in a fresh process: what a user waits for who starts a program.

import { PeerProcess } from "../harness/peer-process.ts";
import type { FirstCallTimes } from "../harness/protocol.ts";
import { atMost, type Section, significant } from "../harness/section.ts";
import { median } from "../harness/statistics.ts";
import { sinterName } from "../harness/timed-case.ts";
import type { Case } from "./case.ts";

const job = { kind: "training-step", batch: 128 } as const;
const parts = ["load", "prepare", "call", "sinceProcessStart"] as const;

type Attempt = FirstCallTimes | { readonly reason: string };

export const firstCall: Case = {
  name: "first-call",
  run: async (context) => {
    if (context.options.checkOnly) return section([], []);
    const names = [sinterName, "binaryen", ...context.peers, "typed-array"];
    const times = new Map<string, FirstCallTimes[]>(names.map((name) => [name, []]));
    const notes: string[] = [];
    // Round by round, so that a slow phase of the machine hits all.
    for (let round = 0; round < (context.options.quick ? 2 : 7); round++) {
      for (const name of names) {
        context.progress(`round ${round + 1}, ${name}`);
        const attempt = await attemptFirstCall(name);
        if ("reason" in attempt) {
          if (round === 0) notes.push(`${name}: no time, ${attempt.reason}`);
        } else times.get(name)?.push(attempt);
      }
    }
    return section([...times], notes);
  },
};

async function attemptFirstCall(name: string): Promise<Attempt> {
  const process = new PeerProcess(name);
  try {
    const reply = await process.ask({ type: "first-call", job });
    if (reply.type === "first-call") return reply.times;
    return { reason: reply.type === "refused" || reply.type === "failed" ? reply.reason : reply.type };
  } finally {
    await process.stop();
  }
}

function section(times: readonly (readonly [string, readonly FirstCallTimes[]])[], notes: readonly string[]): Section {
  const middle = (name: string, part: (typeof parts)[number]): number | undefined => {
    const own = times.find(([other]) => other === name)?.[1] ?? [];
    return own.length === 0 ? undefined : median(own.map((each) => each[part]));
  };
  const timed = times.filter(([, own]) => own.length > 0);
  return {
    name: "first-call",
    title: "First call of the training step in a fresh process, median ms",
    tables: [
      {
        columns: ["who", "", "import", "inputs", "first call", "since process start"],
        rows: timed.map(([name]) => [name, "", ...parts.map((part) => significant(middle(name, part) ?? Number.NaN))]),
      },
    ],
    notes: [
      ...notes,
      "binaryen: its import, and the first module it optimises; Sinter loads none of it and writes modules itself",
    ],
    targets: [
      atMost("150 ms once the compiler is loaded", middle(sinterName, "call"), 150, " ms"),
      atMost("900 ms in a fresh process", middle(sinterName, "sinceProcessStart"), 900, " ms"),
    ],
    failures: [],
    data: Object.fromEntries(times),
  };
}
