/** Ctrl-C while training: the first ends it after the step that runs, the second ends the process. */
import { hostProcess } from "./host.ts";

export interface Interrupt {
  /** Whether somebody asked to stop. */
  readonly asked: boolean;
  /** From now on Ctrl-C does what it did before. */
  release(): void;
}

/** Listens to Ctrl-C where `catching`, and to `signal`. */
export function listen(catching: boolean, signal: AbortSignal | undefined): Interrupt {
  const process = catching ? hostProcess() : undefined;
  let asked = false;
  const onSignal = (): void => {
    if (!asked) {
      asked = true;
      return;
    }
    process?.off("SIGINT", onSignal);
    process?.kill(process.pid, "SIGINT");
  };
  process?.on("SIGINT", onSignal);
  return {
    get asked() {
      return asked || signal?.aborted === true;
    },
    release: () => {
      process?.off("SIGINT", onSignal);
    },
  };
}
