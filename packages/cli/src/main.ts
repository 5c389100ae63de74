#!/usr/bin/env node
// The `sinter` command: reads the command line and exits with what the verb returns.
import { run } from "./index.ts";

process.exitCode = await run(process.argv.slice(2));
