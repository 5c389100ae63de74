/** The memory planner. */
export { type PlanOptions, planMemory } from "./plan.ts";
export { verifyPlan } from "./verify.ts";
