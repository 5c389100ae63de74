/** Symbolic sizes of one program: their values in a call, and the shapes that come of them. */
import { type Dim, dimValue, type Sym, symsIn } from "@sinter/ir";
import { isStatic } from "./dims.ts";
import { ShapeError } from "./errors.ts";
import { sizeOf } from "./lazy.ts";
import { Tensor } from "./tensor.ts";
import { eachTensor, type Leaf, type Tree } from "./trees.ts";

/** An axis of an argument whose size is symbolic. */
interface Place {
  readonly leaf: number;
  readonly axis: number;
  readonly sym: number;
}

interface Program {
  readonly graph: {
    readonly name: string;
    readonly syms: readonly Sym[];
    readonly nodes: readonly { readonly results: readonly { readonly type: { readonly kind: string } }[] }[];
  };
  readonly outTypes: readonly { readonly shape: readonly Dim[] }[];
}

/** As many elements as there can be in a tensor. */
const mostElements = 2 ** 31 - 1;

export class Sizes {
  /** In the order of the program's symbols. */
  values: readonly number[] = [];
  /** Of the results. */
  shapes: readonly (readonly number[])[] = [];
  private readonly name: string;
  private readonly syms: readonly Sym[];
  private readonly places: readonly Place[];
  private readonly outs: readonly (readonly Dim[])[];
  /** Numbers of elements that some value of the program has, each once. */
  private readonly elements: readonly Dim[];

  private constructor(tree: Tree, { graph, outTypes }: Program) {
    this.name = graph.name;
    const names: Sym[] = [...graph.syms];
    const places: Place[] = [];
    eachTensor(tree, ({ index, shape }) => {
      shape.forEach((dim, axis) => {
        for (const sym of symsIn(dim).values()) {
          let at = names.findIndex(({ name }) => name === sym.name);
          if (at < 0) at = names.push(sym) - 1;
          places.push({ leaf: index, axis, sym: at });
        }
      });
    });
    this.syms = names;
    this.places = places;
    this.outs = outTypes.map(({ shape }) => shape);
    const elements = new Map<string, Dim>();
    for (const { results } of graph.nodes)
      for (const { type } of results) {
        const { shape } = type as { readonly shape?: readonly Dim[] };
        if (shape === undefined || isStatic(shape)) continue;
        const size = sizeOf(shape);
        if (typeof size !== "number") elements.set(size.key, size);
      }
    this.elements = [...elements.values()];
  }

  /** Undefined where no argument has a symbolic size. */
  static of(tree: Tree, program: Program): Sizes | undefined {
    const sizes = new Sizes(tree, program);
    return sizes.places.length === 0 ? undefined : sizes;
  }

  /** Takes the values from arguments; false where a symbol would have two, or one outside its bounds. */
  bind(leaves: readonly Leaf[]): boolean {
    const values = new Array<number>(this.syms.length).fill(-1);
    for (const { leaf, axis, sym } of this.places) {
      const given = leaves[leaf]!;
      const size = given instanceof Tensor ? given.shape[axis]! : ArrayBuffer.isView(given) ? given.length : -1;
      const { lo, hi } = this.syms[sym]!;
      if (size < lo || size > hi || (values[sym] !== -1 && values[sym] !== size)) return false;
      values[sym] = size;
    }
    if (values.some((value, i) => value !== this.values[i])) this.settle(values);
    return true;
  }

  private settle(values: readonly number[]): void {
    const sizes = new Map(this.syms.map(({ name }, i) => [name, values[i]!]));
    for (const size of this.elements)
      if (dimValue(size, sizes) > mostElements)
        throw new ShapeError(
          `${this.name}: a tensor of the program has ${dimValue(size, sizes)} elements, more than the ${mostElements} that there can be`,
        );
    this.shapes = this.outs.map((shape) => shape.map((dim) => dimValue(dim, sizes)));
    this.values = values;
  }
}
