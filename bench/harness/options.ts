// The command line of the bench.
import { parseArgs } from "node:util";

export interface Options {
  /** Few and short rounds: a look, not a measurement. */
  readonly quick: boolean;
  /** Results are checked and nothing is timed. */
  readonly checkOnly: boolean;
  /** Cases to run; empty for all. */
  readonly only: readonly string[];
  /** Peers beside Sinter; undefined for all. */
  readonly peers: readonly string[] | undefined;
  readonly accuracy: boolean;
  readonly ulp: boolean;
  /** Where to write all measurements. */
  readonly json: string | undefined;
}

export const usage = `npm run bench -- [flags]
  --only a,b      cases to run (default: all but accuracy and ulp)
  --peers a,b     peers to compare Sinter with (default: all)
  --quick         few rounds
  --check-only    check results against the float64 reference and time nothing
  --accuracy      also train ten epochs on the digits, in float32 and float64 (minutes)
  --ulp           also print the maximum error of exp, log, ... in ulp
  --json file     write every sample to a file`;

export function parseOptions(args: readonly string[]): Options | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string" },
      peers: { type: "string" },
      quick: { type: "boolean", default: false },
      "check-only": { type: "boolean", default: false },
      accuracy: { type: "boolean", default: false },
      ulp: { type: "boolean", default: false },
      json: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  return {
    quick: values.quick,
    checkOnly: values["check-only"],
    only: names(values.only),
    peers: values.peers === undefined ? undefined : names(values.peers),
    accuracy: values.accuracy,
    ulp: values.ulp,
    json: values.json,
  };
}

/** The names in a list with commas. */
export function names(list: string | undefined): string[] {
  return (list ?? "").split(",").filter((name) => name !== "");
}
