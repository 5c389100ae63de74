/** `npm run examples:control`: every example of this folder, one after the other. */
import { bubbleSortExample } from "./bubble-sort.ts";
import { jacobiExample } from "./jacobi.ts";
import { linearRegressionExample } from "./linear-regression.ts";
import { mandelbrotExample } from "./mandelbrot.ts";
import { newtonExample } from "./newton.ts";
import { rnnExample } from "./rnn.ts";

const all = [linearRegressionExample, mandelbrotExample, jacobiExample, newtonExample, bubbleSortExample, rnnExample];
for (const each of all) each.show();
