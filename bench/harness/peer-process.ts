// The bench's end of a peer process: starts it, sends one request at a time, and stops it.
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Reply, Request } from "./protocol.ts";

const mainFile = fileURLToPath(new URL("./peer-main.ts", import.meta.url));

export class PeerProcess {
  readonly name: string;
  #child: ChildProcess;
  #stderr = "";
  #exited: Promise<void>;

  /** `folder` in bench/ holds the peer's module, which has its name. */
  constructor(name: string, folder = "peers") {
    this.name = name;
    // Libraries write to stdout as they please; only the message channel is read. The end of stderr explains a crash.
    this.#child = fork(mainFile, [`${folder}/${name}`], { stdio: ["ignore", "ignore", "pipe", "ipc"] });
    this.#child.stderr?.on("data", (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-2000);
    });
    this.#exited = new Promise((resolve) => {
      this.#child.once("exit", () => resolve());
    });
  }

  /** Sends a request and waits for its reply. A process that dies answers `failed`. */
  ask(request: Request): Promise<Reply> {
    return new Promise((resolve) => {
      const child = this.#child;
      const onMessage = (reply: Reply): void => finish(reply);
      const onExit = (code: number | null, signal: string | null): void =>
        finish({ type: "failed", reason: `the process ended (${signal ?? code}): ${this.#lastError()}` });
      const finish = (reply: Reply): void => {
        child.off("message", onMessage);
        child.off("exit", onExit);
        resolve(reply);
      };
      if (child.exitCode !== null || child.signalCode !== null) return onExit(child.exitCode, child.signalCode);
      child.on("message", onMessage);
      child.on("exit", onExit);
      child.send(request);
    });
  }

  async stop(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 2000);
    await this.#exited;
    clearTimeout(timer);
  }

  #lastError(): string {
    const lines = this.#stderr.split("\n").filter((line) => line.trim() !== "");
    return lines.find((line) => /Error/.test(line)) ?? lines.at(-1) ?? "no message";
  }
}
