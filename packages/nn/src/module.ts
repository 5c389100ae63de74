/**
 * Modules: objects that hold variables and other modules in their fields. Names of variables are the ways to them,
 * "encoder.layers.0.kernel"; nothing is registered, so any class whose fields can be seen is a module.
 */
import {
  random,
  ShapeError,
  SinterError,
  type Spec,
  scope,
  type Tensor,
  type TensorLike,
  tensor,
  Variable,
  zeros,
} from "@sinter/tracer";
import { describe, describeValue } from "@sinter/tracer/errors";

/** What a call is told beside its inputs. Static: each value has a trace of its own. */
export interface CallOptions {
  /** Whether this is a step of training: dropout drops and batch normalisation normalises by the batch only then. */
  readonly training?: boolean;
}

/** A variable or module, and the way to it. */
interface Found<T> {
  readonly path: string;
  readonly value: T;
}

/**
 * The base of models and layers. Fields may hold variables, modules, generators, and arrays, plain objects and Maps of
 * them; private fields (`#w`) cannot be seen and are not part of the module.
 */
export abstract class Module {
  private isFrozen = false;

  /** All variables, in the order of the fields; one that is reached twice counts once. Throws where a layer has none yet. */
  get variables(): Variable[] {
    return this.entries().map(({ value }) => value);
  }

  /** The variables that training changes: trainable ones that are not in a frozen module. */
  get trainableVariables(): Variable[] {
    const frozen = new Set<Variable>();
    for (const module of [this, ...this.submodules])
      if (module.isFrozen) for (const variable of module.variables) frozen.add(variable);
    return this.variables.filter((variable) => variable.trainable && !frozen.has(variable));
  }

  /** All modules inside, in the order of the fields. */
  get submodules(): Module[] {
    return walk(this).modules.map(({ value }) => value);
  }

  /** Leaves the module's variables out of `trainableVariables`, or takes them in again. Steps compiled before go on as they are. */
  freeze(frozen = true): this {
    this.isFrozen = frozen;
    return this;
  }

  /** The variables by their ways: what is saved, and what `loadStateDict` takes. */
  stateDict(): Record<string, Variable> {
    return Object.fromEntries(this.entries().map(({ path, value }) => [path, value]));
  }

  /**
   * Gives the variables the values in `dict`, by way. With `strict` (the default) the names must be the same; without it
   * those that both have are taken. Throws an error that lists everything that does not fit, and changes nothing then.
   */
  loadStateDict(
    dict: Readonly<Record<string, TensorLike>>,
    { strict = true }: { readonly strict?: boolean } = {},
  ): void {
    if (typeof dict !== "object" || dict === null)
      throw new SinterError(`loadStateDict: dict must be an object of tensors by name, not ${describeValue(dict)}`);
    const own = new Map(this.entries().map(({ path, value }) => [path, value]));
    const problems: string[] = [];
    const changes: (readonly [Variable, Tensor])[] = [];
    for (const [path, variable] of own) {
      const given = Object.hasOwn(dict, path) ? dict[path]! : undefined;
      if (given === undefined) {
        if (strict) problems.push(`${path}, ${describe(variable)}, is missing`);
        continue;
      }
      const value = given instanceof Variable ? given.value : tensor(given, { dtype: variable.dtype });
      if (describe(value) === describe(variable)) changes.push([variable, value]);
      else problems.push(`${path} is ${describe(value)}, but the model has ${describe(variable)}`);
    }
    if (strict)
      for (const path of Object.keys(dict)) if (!own.has(path)) problems.push(`${path} is in no part of the model`);
    if (problems.length > 0)
      throw new ShapeError(`loadStateDict: the values are not those of this model:\n  ${problems.join("\n  ")}`);
    for (const [variable, value] of changes) variable.assign(value);
  }

  /** The sum of what the layers' regularisers ask for; 0 where there are none. Part of the loss: `fit` adds it. */
  penalty(): Tensor {
    const terms = [this, ...this.submodules].flatMap((module) => module.penalties());
    return terms.reduce((sum, term) => sum.add(term), tensor(0, { dtype: "f32" }));
  }

  /** Scalars that this module itself adds to the loss. */
  protected penalties(): Tensor[] {
    return [];
  }

  /**
   * Makes the variables of all layers, by calling the module on zeros like these: `model.build(spec([null, 784]))`. Sizes that
   * are not given count as 1.
   */
  build(...inputs: readonly Spec[]): this {
    const { call } = this as { call?: (...args: readonly Tensor[]) => unknown };
    if (typeof call !== "function") throw new SinterError(`build: ${this.constructor.name} has no method call`);
    scope(() => {
      const sizes = inputs.map(({ shape }) => shape.map((size) => (typeof size === "number" ? size : 1)));
      call.apply(
        this,
        sizes.map((shape, i) => zeros(shape, inputs[i]!.dtype)),
      );
    });
    return this;
  }

  /** Why the module has not all of its variables yet. */
  protected unbuilt(): string | undefined {
    return undefined;
  }

  private entries(): Found<Variable>[] {
    const { variables, modules } = walk(this);
    for (const { path, value } of [{ path: "", value: this }, ...modules]) {
      const why = value.unbuilt();
      if (why !== undefined)
        throw new SinterError(
          `${path === "" ? "this" : path}, a ${value.constructor.name}, has no variables yet: ${why}. Call the model once, or build it: model.build(spec([null, 784]))`,
        );
    }
    return variables;
  }
}

interface Reached {
  readonly variables: Found<Variable>[];
  /** Without the root. */
  readonly modules: Found<Module>[];
}

function walk(root: Module): Reached {
  const variables: Found<Variable>[] = [];
  const modules: Found<Module>[] = [];
  const seen = new Set<unknown>([root]);
  const visit = (value: unknown, path: string): void => {
    if (typeof value !== "object" || value === null || seen.has(value)) return;
    if (value instanceof Variable) {
      seen.add(value);
      variables.push({ path, value });
    } else if (value instanceof Module) {
      seen.add(value);
      modules.push({ path, value });
      visitFields(value, path);
    } else if (value instanceof random.Generator || value instanceof Map || Array.isArray(value) || isPlain(value)) {
      seen.add(value);
      visitFields(value, path);
    }
  };
  const visitFields = (value: object, path: string): void => {
    const fields = value instanceof Map ? [...value] : Object.entries(value);
    for (const [key, field] of fields) visit(field, path === "" ? String(key) : `${path}.${key}`);
  };
  visitFields(root, "");
  return { variables, modules };
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
