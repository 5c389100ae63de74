/** The ESLint plugin: reports tensors used as plain conditions. Needs ts-morph. */
import { plugin } from "@sinter/autograph/eslint";

export default plugin;
