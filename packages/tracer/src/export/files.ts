/** Files of the machine, where there are any: a browser has none, and then an error says what to use instead. */
import { writeFolder } from "@sinter/runtime";
import { SinterError } from "../errors.ts";

type FileSystem = typeof import("node:fs/promises");

/** Bundlers for browsers must not see the modules' names. */
const modules = { fs: "node:fs/promises", path: "node:path" };

export async function fileSystem(caller: string, instead: string): Promise<FileSystem> {
  try {
    return (await import(/* @vite-ignore */ /* webpackIgnore: true */ modules.fs)) as FileSystem;
  } catch (cause) {
    throw because(`${caller}: there are no files here: ${instead}`, cause);
  }
}

/** Runs what reads or writes `place`, as the user wrote it, and says so where that fails. */
export async function withPlace<T>(caller: string, what: "read" | "written", place: string, body: () => Promise<T>) {
  try {
    return await body();
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    // The system's errors end with a call and paths, which may be those of drafts.
    throw because(`${caller}: ${place} cannot be ${what}: ${text.replace(/^(E[A-Z\d]+: [^,]+),.*/s, "$1")}`, cause);
  }
}

function because(message: string, cause: unknown): SinterError {
  const error = new SinterError(message);
  error.cause = cause;
  return error;
}

/** Writes the files of a bundle, all or none; what is wrong names the caller and the folder. */
export function writeBundleFolder(caller: string, files: ReadonlyMap<string, Uint8Array>, dir: string): Promise<void> {
  return withPlace(caller, "written", dir, () => writeFolder(files, dir));
}

/**
 * Writes a file so that whoever looks sees the old content or the new one, whole, also where the process is stopped. Makes the
 * folders that are missing.
 */
export async function writeAtomically(fs: FileSystem, file: string, bytes: Uint8Array): Promise<void> {
  const { dirname } = (await import(
    /* @vite-ignore */ /* webpackIgnore: true */ modules.path
  )) as typeof import("node:path");
  await fs.mkdir(dirname(file), { recursive: true });
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
