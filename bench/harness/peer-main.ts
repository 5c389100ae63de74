// The main program of every peer process: imports the peer module named on the command line and answers requests.
import { writeFileSync } from "node:fs";
import type { Job, Peer, Prepared } from "./job.ts";
import type { Reply, Request } from "./protocol.ts";
import { runOnce, takeTurn, warmUp } from "./sampling.ts";

const peerModule = process.argv[2];
if (peerModule === undefined || process.send === undefined) {
  throw new Error("peer-main.ts is started by the bench, with the path of a peer's module in bench/");
}

const loadStart = performance.now();
const loading: Promise<{ peer: Peer }> = import(`../${peerModule}.ts`);
// A library that cannot be loaded is reported when it is asked for, not by a crash before.
loading.catch(() => {});
let current: Prepared | undefined;

async function answer(request: Request): Promise<Reply> {
  switch (request.type) {
    case "check":
      return await check(request.job, request.resultFile);
    case "warm":
      return await warm(checkedJob(), request.limitSeconds);
    case "sample":
      return { type: "times", times: await takeTurn(checkedJob(), request.seconds) };
    case "first-call":
      return await firstCall(request.job);
    case "release":
      release();
      return { type: "released" };
    default:
      throw request satisfies never;
  }
}

async function check(job: Job, resultFile: string): Promise<Reply> {
  release();
  const { peer } = await loading;
  const prepared = await peer.prepare(job);
  if ("refused" in prepared) return { type: "refused", reason: prepared.refused };
  const result = await prepared.result();
  writeFileSync(resultFile, new Uint8Array(result.buffer, result.byteOffset, result.byteLength));
  current = prepared;
  return { type: "checked", facts: prepared.facts ?? {} };
}

async function warm(job: Prepared, limitSeconds: number): Promise<Reply> {
  await job.tune?.();
  const { runs, milliseconds } = await warmUp(job, limitSeconds);
  return { type: "warmed", runs, milliseconds, facts: job.facts ?? {} };
}

async function firstCall(job: Job): Promise<Reply> {
  const { peer } = await loading;
  const loaded = performance.now();
  const prepared = await peer.prepare(job);
  if ("refused" in prepared) return { type: "refused", reason: prepared.refused };
  const preparedAt = performance.now();
  const call = await runOnce(prepared);
  // `performance.now()` counts from the start of the process.
  const sinceProcessStart = performance.now();
  current = prepared;
  return {
    type: "first-call",
    times: { load: loaded - loadStart, prepare: preparedAt - loaded, call, sinceProcessStart },
  };
}

function checkedJob(): Prepared {
  if (current === undefined) throw new Error("no job has been checked");
  return current;
}

function release(): void {
  current?.dispose();
  current = undefined;
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

process.on("message", (request: Request) => {
  answer(request).then(
    (reply) => process.send?.(reply),
    (error: unknown) => process.send?.({ type: "failed", reason: describe(error) } satisfies Reply),
  );
});
// A bench that died must not leave its peers behind.
process.on("disconnect", () => process.exit(0));
