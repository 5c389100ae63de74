// Loads what needs ts-morph, the largest part of a start, only when a file has to be transformed; and says what to
// install where it is missing.
import { createRequire } from "node:module";

/** The part of this package that needs ts-morph. */
export type Engine = typeof import("./engine.ts");

/** The engine, for hosts that can wait. */
export async function loadEngine(): Promise<Engine> {
  try {
    return await import("./engine.ts");
  } catch (error) {
    throw explained(error, "ts-morph");
  }
}

/** The engine, for hosts that cannot. Needs a Node that can require ES modules: 20.19, 22.12 or newer. */
export function requireEngine(): Engine {
  const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return requirePeer(`./engine.${ending}`, "ts-morph", import.meta.url) as Engine;
}

/** Loads `specifier`, which is or needs the optional peer `peer`. */
export function requirePeer(specifier: string, peer: string, from: string): unknown {
  try {
    return createRequire(from)(specifier);
  } catch (error) {
    throw explained(error, peer);
  }
}

function explained(error: unknown, peer: string): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const missing = code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND";
  if (!missing || !(error as Error).message.includes(peer)) return error;
  return new Error(
    `Sinter's source transform needs ${peer}, which is not installed: npm install -D ts-morph unplugin`,
    {
      cause: error,
    },
  );
}
