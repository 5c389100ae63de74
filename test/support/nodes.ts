// The Node versions that a test can spawn: the one that runs the tests, those on the PATH, and those that the check of
// the packed tarball installed. A version that is missing is said, not hidden.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export interface NodeVersion {
  readonly major: number;
  /** Such as v20.20.2. */
  readonly version: string;
  readonly path: string;
}

/** Where scripts/pack-check.ts installs the versions it tries, one folder per major. */
export const installedNodes: string = join(
  dirname(dirname(dirname(fileURLToPath(import.meta.url)))),
  "node_modules/.cache/sinter-nodes",
);

/** One Node of each of the given majors, where this machine has one; says which it found and which it did not. */
export function findNodes(majors: readonly number[]): readonly NodeVersion[] {
  const found = new Map<number, NodeVersion>();
  for (const path of candidates()) {
    const version = spawnSync(path, ["--version"], { encoding: "utf8" }).stdout?.trim() ?? "";
    const major = Number(/^v(\d+)\./.exec(version)?.[1]);
    if (majors.includes(major) && !found.has(major)) found.set(major, { major, version, path });
  }
  const missing = majors.filter((major) => !found.has(major));
  const ran = [...found.values()].map((node) => node.version).join(", ");
  console.log(`Node versions tried: ${ran}${missing.length > 0 ? `; not on this machine: ${missing.join(", ")}` : ""}`);
  return majors.flatMap((major) => found.get(major) ?? []);
}

function candidates(): string[] {
  const name = process.platform === "win32" ? "node.exe" : "node";
  const onPath = (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, name));
  const majors = existsSync(installedNodes) ? readdirSync(installedNodes) : [];
  const installed = majors.flatMap((major) => {
    const modules = join(installedNodes, major, "node_modules");
    return existsSync(modules) ? readdirSync(modules).map((folder) => join(modules, folder, "bin", name)) : [];
  });
  return [process.execPath, ...new Set(onPath), ...installed].filter((path) => existsSync(path));
}
