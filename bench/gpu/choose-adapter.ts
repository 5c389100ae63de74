// Which GPU the bench's processes use. This process loads no driver itself: those that it starts find the choice in their
// environment.
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { useSwiftShader, whyNoSwiftShader } from "../../test/support/swiftshader.ts";
import type { Facts } from "../harness/job.ts";
import { PeerProcess } from "../harness/peer-process.ts";
import { flagsVariable } from "./flags.ts";

/** Peers of the bench for GPUs, in bench/. */
export const peerFolder = "gpu/peers";

export interface AdapterChoice {
  /** A part of its name. */
  readonly adapter?: string | undefined;
  /** `vulkan`, `d3d12`, `metal`, ... */
  readonly backend?: string | undefined;
  /** SwiftShader, whatever GPU there is. */
  readonly software: boolean;
}

/**
 * The adapter of all processes that are started from now on, or why there is none. Without a GPU, SwiftShader, unless one
 * was asked for.
 */
export async function chooseAdapter({ adapter, backend, software }: AdapterChoice): Promise<Facts | string> {
  const flags: string[] = [];
  if (adapter !== undefined) flags.push(`adapter=${adapter}`);
  if (backend !== undefined) flags.push(`backend=${backend}`);
  process.env[flagsVariable] = flags.join();
  if (software) return await softwareAdapter();
  const own = await askForAdapter();
  if (typeof own !== "string") return own;
  if (flags.length > 0) return `No GPU was found for ${flags.join(" and ")}: ${own}`;
  console.log(`No GPU was found: ${own}`);
  return await softwareAdapter();
}

async function softwareAdapter(): Promise<Facts | string> {
  const reason = whyNoSwiftShader();
  if (reason !== undefined) return `Nothing can be checked on SwiftShader: ${reason}`;
  console.log("Results are checked on SwiftShader.");
  const { env } = process;
  // They would name another driver.
  delete env["VK_ICD_FILENAMES"];
  delete env["SINTER_GPU"];
  env[flagsVariable] = "";
  useSwiftShader();
  return await askForAdapter();
}

async function askForAdapter(): Promise<Facts | string> {
  const peer = new PeerProcess("floors", peerFolder);
  const resultFile = join(tmpdir(), `sinter-bench-adapter-${process.pid}`);
  try {
    const reply = await peer.ask({ type: "check", job: { kind: "adapter" }, resultFile });
    if (reply.type === "checked") return reply.facts;
    return "reason" in reply ? reply.reason : reply.type;
  } finally {
    await peer.stop();
    rmSync(resultFile, { force: true });
  }
}

/** The adapter's name and what it can do. */
export function headOf(adapter: Facts): string {
  const has = ["timestamps", "subgroups", "f16"].map((name) => `${name} ${adapter[name] === 1 ? "yes" : "no"}`);
  return `${adapter["name"]}\n${has.join(", ")}; Node ${process.version}, Dawn through the package webgpu`;
}
