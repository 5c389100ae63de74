// All cases, in the order in which they run and print.

import { accuracy } from "./accuracy.ts";
import { bundle } from "./bundle.ts";
import type { Case } from "./case.ts";
import { convTraining } from "./conv-training.ts";
import { elementwise } from "./elementwise.ts";
import { firstCall } from "./first-call.ts";
import { jacobi } from "./jacobi.ts";
import { linearRegression } from "./linear-regression.ts";
import { mandelbrot } from "./mandelbrot.ts";
import { matmul } from "./matmul.ts";
import { matmulSizes } from "./matmul-sizes.ts";
import { rnn } from "./rnn.ts";
import { softmax } from "./softmax.ts";
import { sum } from "./sum.ts";
import { trainingStep } from "./training-step.ts";
import { transform } from "./transform.ts";
import { ulp } from "./ulp.ts";

export const cases: readonly Case[] = [
  matmul,
  matmulSizes,
  trainingStep,
  convTraining,
  elementwise,
  softmax,
  sum,
  linearRegression,
  mandelbrot,
  jacobi,
  rnn,
  transform,
  firstCall,
  bundle,
  ulp,
  accuracy,
];
