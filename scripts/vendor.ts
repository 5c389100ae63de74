// The small libraries that the published package carries inside it, so that it has no dependencies: each is bundled
// into one file of lib/vendor, with its licence. Only the source transform, the command and its page use them.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { rolldown } from "rolldown";

/** Where each vendored library lies in the published package. */
export const vendored: Readonly<Record<string, string>> = {
  "@dagrejs/dagre": "lib/vendor/dagre.js",
  "@jridgewell/remapping": "lib/vendor/remapping.js",
  commander: "lib/vendor/commander.js",
  diff: "lib/vendor/diff.js",
  "magic-string": "lib/vendor/magic-string.js",
};

/** What a user of the source transform installs beside the package; the rest of it does not need them. */
export const transformPeers: Readonly<Record<string, string>> = { "ts-morph": ">=28 <29", unplugin: ">=3 <4" };

/** All that a user may install beside the package. Node has WebGPU through a package. */
export const optionalPeers: Readonly<Record<string, string>> = { ...transformPeers, webgpu: ">=0.6 <1" };

/** The package that declares each library, from where it is resolved. */
const users: Readonly<Record<string, string>> = {
  "@dagrejs/dagre": "inspect",
  "@jridgewell/remapping": "autograph",
  commander: "cli",
  diff: "inspect",
  "magic-string": "autograph",
};

/** Writes lib/vendor and THIRD-PARTY-LICENSES under `target`; returns the names of what it bundled. */
export async function vendor(root: string, target: string): Promise<readonly string[]> {
  const licences = new Map<string, string>();
  for (const [name, place] of Object.entries(vendored)) {
    // By name, so that a library that comes in both kinds is taken as a module, with its named exports.
    const cwd = join(root, "packages", users[name]!);
    const bundle = await rolldown({ input: { library: name }, cwd, platform: "node", logLevel: "silent" });
    const { output } = await bundle.generate({ format: "esm", minify: false });
    await bundle.close();
    const [chunk, ...others] = output;
    if (others.length > 0) throw new Error(`${name} became ${output.length} files`);
    mkdirSync(dirname(join(target, place)), { recursive: true });
    writeFileSync(join(target, place), chunk.code);
    for (const id of chunk.moduleIds) collectLicence(id, licences);
  }
  const text = [...licences.keys()].sort().map((name) => `${name}\n\n${licences.get(name)!.trim()}\n`);
  writeFileSync(join(target, "THIRD-PARTY-LICENSES"), text.join(`\n${"-".repeat(80)}\n\n`));
  return Object.keys(vendored);
}

/** The licence of the package that a bundled file comes from. */
function collectLicence(id: string, into: Map<string, string>): void {
  let folder = dirname(id);
  while (!existsSync(join(folder, "package.json")) || nameOf(folder) === undefined) {
    if (dirname(folder) === folder) return;
    folder = dirname(folder);
  }
  const name = nameOf(folder)!;
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  if (file === undefined) throw new Error(`${name} has no licence file`);
  into.set(name, readFileSync(join(folder, file), "utf8"));
}

function nameOf(folder: string): string | undefined {
  return (JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { name?: string }).name;
}
