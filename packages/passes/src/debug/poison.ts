/**
 * Poison for debug builds: what the plan says is dead, or not written yet, is filled with ones, which is NaN in every
 * float. So whatever reads it by mistake shows, rather than finding what happened to be left there.
 */
import {
  type LoopKernel,
  type LoopProgram,
  type LoopStep,
  loop,
  type Place,
  type Plan,
  staticDim,
  visitSteps,
} from "@sinter/ir";

/** The program with steps that fill the arena before everything else, and each buffer's place behind its last use. */
export function poisonDead(program: LoopProgram, plan: Plan): { readonly program: LoopProgram; readonly plan: Plan } {
  const arenaBytes = staticDim(plan.arenaBytes);
  if (arenaBytes === 0) return { program, plan };
  const kernels: LoopKernel[] = [...program.kernels];
  const scratch = [...plan.scratch];
  const fill = (offset: number, bytes: number): LoopStep => {
    kernels.push(fillKernel(bytes));
    scratch.push([offset]);
    return { kind: "kernel", kernel: kernels.length - 1, nodes: [] };
  };
  // A loop reads its predicate behind the last step of its test.
  const predicates = new Set<number>();
  visitSteps(program.steps, (step) => {
    if (step.kind === "while") predicates.add(step.predicate);
  });
  const dying = new Map<number, Extract<Place, { kind: "arena" }>[]>();
  for (const [id, place] of plan.places.entries())
    if (place.kind === "arena" && !predicates.has(id))
      dying.set(place.lastStep, [...(dying.get(place.lastStep) ?? []), place]);
  const behind = (step: number): LoopStep[] =>
    (dying.get(step) ?? []).map(({ offset, bytes }) =>
      fill(staticDim(offset), Math.ceil(staticDim(bytes) / plan.alignment) * plan.alignment),
    );
  // Steps are numbered as lifetimes number them: in the order of the text, the end of a loop too.
  let next = 0;
  const walk = (steps: readonly LoopStep[]): LoopStep[] =>
    steps.flatMap((step): LoopStep[] => {
      const now = next++;
      switch (step.kind) {
        case "if": {
          // What dies when the index has been read may give its place to what a branch writes.
          const branches = step.branches.map((branch) => [...behind(now), ...walk(branch)]);
          return [{ ...step, branches }];
        }
        case "for": {
          const body = walk(step.body);
          return [{ ...step, body }, ...behind(next++)];
        }
        case "while": {
          const [test, body] = [walk(step.test), walk(step.body)];
          return [{ ...step, test, body }, ...behind(next++)];
        }
        default:
          return [step, ...behind(now)];
      }
    });
  const steps = walk(program.steps);
  return {
    program: { ...program, kernels, steps: [fill(0, Math.floor(arenaBytes / 64) * 64), ...steps] },
    plan: { ...plan, scratch },
  };
}

const lanes = 4;

/** A kernel that fills so many bytes of scratch, a multiple of a vector. */
function fillKernel(bytes: number): LoopKernel {
  const f = new loop.FuncBuilder("poison");
  const pointer = f.pointer("dead", "u32", "scratch");
  const ones = loop.constant("u32", 0xffffffff, lanes);
  f.for("i", loop.i32(0), loop.i32(bytes / 4), lanes, (index) => {
    f.push({ kind: "store", pointer, index, value: ones });
  });
  return {
    name: "poison",
    funcs: [f.finish()],
    buffers: [],
    scratch: [{ pointer, bytes }],
    writes: [],
    aliasable: [],
    flops: 0,
    schedule: "poison",
  };
}
