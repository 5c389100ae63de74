// `node --import sinter/register app.ts`: installs the hooks, and lets stack traces point at what the user wrote.
import module from "node:module";
import { requireEngine } from "./load.ts";
import { Loader } from "./loader.ts";

process.setSourceMapsEnabled(true);

// Node 22.15, 23.5 and newer run the hooks in the thread that loads; module.register is on its way out there.
if (typeof module.registerHooks === "function") {
  const loader = new Loader();
  module.registerHooks({
    resolve: (specifier, context, next) => next(loader.alternative(specifier, context.parentURL) ?? specifier, context),
    load(url, context, next) {
      const pending = loader.load(url);
      if (pending === undefined) return next(url, context);
      return "done" in pending ? pending.done : pending.run(requireEngine());
    },
  });
} else {
  module.register(`./hooks.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, import.meta.url);
}
