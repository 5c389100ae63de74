// The hooks as Node's older versions want them: asynchronous, in a thread of their own (module.register).
import type { LoadHook, ResolveHook } from "node:module";
import { loadEngine } from "./load.ts";
import { Loader } from "./loader.ts";

const loader = new Loader();

export const resolve: ResolveHook = (specifier, context, next) =>
  next(loader.alternative(specifier, context.parentURL) ?? specifier, context);

export const load: LoadHook = async (url, context, next) => {
  const pending = loader.load(url);
  if (pending === undefined) return next(url, context);
  return "done" in pending ? pending.done : pending.run(await loadEngine());
};
