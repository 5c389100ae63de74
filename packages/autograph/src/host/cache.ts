// Transformed sources kept on disk, so that an unchanged project starts without the TypeScript compiler. One file per
// result, named by a hash of all that the result depends on: nothing has to be invalidated, and processes that write
// the same result at once write the same bytes.
import { createHash, randomUUID } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export interface CacheLimits {
  readonly entries: number;
  readonly bytes: number;
}

const defaultLimits: CacheLimits = { entries: 4000, bytes: 128 * 1024 * 1024 };
const day = 24 * 60 * 60 * 1000;

export class OutputCache {
  readonly folder: string;
  readonly #limits: CacheLimits;
  #writes = 0;

  constructor(folder: string, limits: CacheLimits = defaultLimits) {
    this.folder = folder;
    this.#limits = limits;
  }

  /** What was kept under `key`; undefined where there is nothing, or nothing that can be read. */
  read(key: string): unknown {
    const path = this.#path(key);
    try {
      const value: unknown = JSON.parse(readFileSync(path, "utf8"));
      // What is in use is not the oldest; once a day is enough to know.
      const now = new Date();
      if (now.getTime() - statSync(path).mtimeMs > day) utimesSync(path, now, now);
      return value;
    } catch {
      return undefined;
    }
  }

  /** Keeps `value` under `key`. A folder that cannot be written to is no reason to fail. */
  write(key: string, value: unknown): void {
    const path = this.#path(key);
    const draft = `${path}.${randomUUID()}.tmp`;
    try {
      mkdirSync(dirname(path), { recursive: true });
      if (this.#writes++ % 200 === 0) this.#prune();
      // Readers see the whole file or none.
      writeFileSync(draft, JSON.stringify(value));
      renameSync(draft, path);
    } catch {
      remove(draft);
    }
  }

  #path(key: string): string {
    return join(this.folder, `${key}.json`);
  }

  /** Removes the files unused for longest until the rest are well inside the limits, and drafts left by a crash. */
  #prune(): void {
    const files = readdirSync(this.folder).flatMap((name) => {
      const path = join(this.folder, name);
      const stats = statSync(path, { throwIfNoEntry: false });
      if (stats === undefined) return [];
      if (name.endsWith(".tmp") && Date.now() - stats.mtimeMs > day) remove(path);
      return name.endsWith(".json") ? [{ path, size: stats.size, used: stats.mtimeMs }] : [];
    });
    let bytes = files.reduce((sum, file) => sum + file.size, 0);
    let entries = files.length;
    if (entries < this.#limits.entries && bytes < this.#limits.bytes) return;
    for (const file of files.sort((a, b) => a.used - b.used)) {
      if (entries <= this.#limits.entries / 2 && bytes <= this.#limits.bytes / 2) break;
      remove(file.path);
      entries--;
      bytes -= file.size;
    }
  }
}

function remove(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // Nothing there, or nothing that can be removed.
  }
}

/** `node_modules/.cache/sinter-autograph` beside the nearest node_modules above `folder`; undefined without one. */
export function cacheFolder(folder: string): string | undefined {
  const modules = join(folder, "node_modules");
  if (existsSync(modules)) return join(modules, ".cache", "sinter-autograph");
  const parent = dirname(folder);
  return parent === folder ? undefined : cacheFolder(parent);
}

/** The key of a result: a hash of everything it depends on, this package's own code among it. */
export function cacheKey(parts: readonly unknown[]): string {
  return createHash("sha256").update(ownCode()).update(JSON.stringify(parts)).digest("hex").slice(0, 40);
}

let ownHash: string | undefined;

/** A hash of this package's code and of the version of the compiler it uses. */
function ownCode(): string {
  if (ownHash !== undefined) return ownHash;
  const folder = dirname(dirname(fileURLToPath(import.meta.url)));
  const hash = createHash("sha256");
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" }).sort()) {
    if (/\.(js|ts)$/.test(name) && !name.endsWith(".d.ts")) hash.update(name).update(readFileSync(join(folder, name)));
  }
  return (ownHash = hash.update(compilerVersion(folder)).digest("hex"));
}

function compilerVersion(folder: string): string {
  const manifest = join(folder, "node_modules", "ts-morph", "package.json");
  if (existsSync(manifest)) return String((JSON.parse(readFileSync(manifest, "utf8")) as { version?: string }).version);
  return dirname(folder) === folder ? "" : compilerVersion(dirname(folder));
}
