/** Files of the machine, where there are any: a browser has none, and then an error says what to use instead. */
import { SinterError } from "../errors.ts";

type FileSystem = typeof import("node:fs/promises");

/** Bundlers for browsers must not see the module's name. */
const moduleName = "node:fs/promises";

export async function fileSystem(caller: string, instead: string): Promise<FileSystem> {
  try {
    return (await import(/* @vite-ignore */ /* webpackIgnore: true */ moduleName)) as FileSystem;
  } catch (cause) {
    const error = new SinterError(`${caller}: there are no files here: ${instead}`);
    error.cause = cause;
    throw error;
  }
}

/** Writes a file so that whoever looks sees the old content or the new one, whole, also where the process is stopped. */
export async function writeAtomically(fs: FileSystem, file: string, bytes: Uint8Array): Promise<void> {
  const draft = `${file}.${Math.random().toString(36).slice(2)}.tmp`;
  try {
    const handle = await fs.open(draft, "wx");
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fs.rename(draft, file);
  } catch (error) {
    await fs.rm(draft, { force: true });
    throw error;
  }
}
