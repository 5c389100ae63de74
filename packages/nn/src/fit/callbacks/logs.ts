/** Logs of epochs in files. */
import { SinterError } from "@sinter/tracer";
import { checkOptions } from "@sinter/tracer/errors";
import type { Callback } from "../history.ts";
import { type Files, fileSystem, makeFolderOf } from "../host.ts";

export interface LogOptions {
  /** Whether what is in the file stays, as where training goes on; else it begins anew. */
  readonly append?: boolean;
}

/**
 * A line of comma-separated values for each epoch, under a line of names. The names are those of the first epoch. Where
 * `append` goes on in a file, they must be those of the file.
 */
export function csvLog(path: string, options: LogOptions = {}): Callback {
  const caller = "csvLog";
  let names: readonly string[] = [];
  return fileLog(caller, path, options, (logs, files, isFirst) => {
    if (isFirst) {
      names = Object.keys(logs);
      const there = options.append === true && files.existsSync(path) ? files.readFileSync(path, "utf8") : "";
      if (there !== "") {
        const [head] = there.split("\n");
        if (head !== names.join())
          throw new SinterError(`${caller}: ${path} has the columns ${head}, but this training ${names.join()}`);
        return `${there.endsWith("\n") ? "" : "\n"}${row(logs, names)}`;
      }
      return `${names.join()}\n${row(logs, names)}`;
    }
    return row(logs, names);
  });
}

/** A line of JSON for each epoch. What is no number in JSON (NaN) is null. */
export function jsonlLog(path: string, options: LogOptions = {}): Callback {
  return fileLog("jsonlLog", path, options, (logs) => `${JSON.stringify(logs)}\n`);
}

type Logged = Readonly<Record<string, number>>;

function row(logs: Logged, names: readonly string[]): string {
  return `${names.map((name) => logs[name] ?? "").join()}\n`;
}

function fileLog(
  caller: string,
  path: string,
  options: LogOptions,
  line: (logs: Logged, files: Files, isFirst: boolean) => string,
): Callback {
  checkOptions(caller, options, ["append"]);
  let files: Files | undefined;
  let isFirst = true;
  return {
    async onTrainBegin() {
      files = await fileSystem(caller);
      isFirst = true;
      makeFolderOf(files, path);
      if (options.append !== true) files.writeFileSync(path, "");
    },
    onEpochEnd(logs) {
      files!.appendFileSync(path, line(logs, files!, isFirst));
      isFirst = false;
    },
  };
}
