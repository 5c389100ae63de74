// The function that docs/ARCHITECTURE.md follows through the compiler: what it shows of each stage is made from here.
import { compile, type Tensor } from "sinter";

export const layer = compile(function layer(x: Tensor, w: Tensor, b: Tensor) {
  x.sum();
  return x.matmul(w).add(b).relu().mean();
});
