// Installs the dependencies when they are missing or do not match package-lock.json, and does nothing otherwise.
// Every npm script runs it first, so `npm start` and `npm test` work on a fresh clone. It must stay free of
// dependencies and run on Node 18, because it is the one script that may run before the pinned Node is installed.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, "node_modules");
const stampFile = join(modules, ".sinter-install");

/** What the installed tree depends on: the exact lock file and the platform whose binaries were chosen. */
function wantedStamp() {
  const hash = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
  return `${hash} ${process.platform} ${process.arch}\n`;
}

function installedStamp() {
  return existsSync(stampFile) ? readFileSync(stampFile, "utf8") : "";
}

function runNpm(args) {
  // `npm_execpath` is the npm that started this script; it is run by the Node that runs npm, never by the pinned
  // Node under node_modules, which `npm ci` is about to delete.
  const npm = process.env.npm_execpath;
  const node = process.env.npm_node_execpath ?? process.execPath;
  const options = { cwd: root, stdio: "inherit" };
  if (npm && /\.c?js$/.test(npm)) return spawnSync(node, [npm, ...args], options);
  return spawnSync("npm", args, { ...options, shell: process.platform === "win32" });
}

if (process.argv.includes("--stamp")) {
  writeFileSync(stampFile, wantedStamp());
} else if (installedStamp() !== wantedStamp()) {
  console.log(existsSync(modules) ? "Dependencies changed: running npm ci" : "First run: running npm ci");
  const started = Date.now();
  const result = runNpm(["ci", "--include=dev", "--include=optional", "--no-audit", "--no-fund", "--loglevel=error"]);
  if (result.error) throw result.error;
  if (result.status !== 0) {
    console.error("npm ci failed; its messages are above.");
    process.exit(result.status ?? 1);
  }
  writeFileSync(stampFile, wantedStamp());
  console.log(`Installed in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}
