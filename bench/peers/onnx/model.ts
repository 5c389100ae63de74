// ONNX models built in memory: the few messages of the format that the bench needs, written with protobufjs.
import protobuf from "protobufjs";

// Field numbers and names are those of onnx.proto (IR version 8); fields that are never written are left out.
const schema = `
syntax = "proto2";
package onnx;
message Attribute {
  optional string name = 1;
  optional float f = 2;
  optional int64 i = 3;
  optional Graph g = 6;
  repeated int64 ints = 8;
  optional int32 type = 20;
}
message Node {
  repeated string input = 1;
  repeated string output = 2;
  optional string name = 3;
  optional string op_type = 4;
  repeated Attribute attribute = 5;
}
message Tensor {
  repeated int64 dims = 1;
  optional int32 data_type = 2;
  optional string name = 8;
  optional bytes raw_data = 9;
}
message Dimension { optional int64 dim_value = 1; }
message Shape { repeated Dimension dim = 1; }
message TensorType { optional int32 elem_type = 1; optional Shape shape = 2; }
message Type { optional TensorType tensor_type = 1; }
message ValueInfo { optional string name = 1; optional Type type = 2; }
message Graph {
  repeated Node node = 1;
  optional string name = 2;
  repeated Tensor initializer = 5;
  repeated ValueInfo input = 11;
  repeated ValueInfo output = 12;
}
message OperatorSet { optional string domain = 1; optional int64 version = 2; }
message Model {
  optional int64 ir_version = 1;
  optional Graph graph = 7;
  repeated OperatorSet opset_import = 8;
}
`;

const modelType = protobuf.parse(schema, { keepCase: true }).root.lookupType("onnx.Model");

const floatType = 1;
const integerType = 7;
const booleanType = 9;
const attributeTypes = { float: 1, integer: 2, graph: 5, integers: 7 } as const;

export type Attribute =
  | { readonly name: string; readonly float: number }
  | { readonly name: string; readonly integer: number }
  | { readonly name: string; readonly integers: readonly number[] }
  | { readonly name: string; readonly graph: Graph };

export interface Node {
  readonly op: string;
  readonly inputs: readonly string[];
  /** Or several outputs in order; the empty name leaves one out. */
  readonly output: string | readonly string[];
  readonly attributes?: readonly Attribute[];
}

export interface Constant {
  readonly name: string;
  readonly shape: readonly number[];
  /** Bytes are booleans. */
  readonly values: Float32Array | BigInt64Array | Uint8Array;
}

export interface Value {
  readonly name: string;
  readonly shape: readonly number[];
  /** Float unless given. */
  readonly type?: "integer" | "boolean";
}

export interface Graph {
  readonly nodes: readonly Node[];
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  /**
   * An initializer that is also an input is that input's default: it lives in the runtime's memory and, as a caller
   * might override it, is never folded away. One that is not an input is a constant.
   */
  readonly initializers: readonly Constant[];
}

/** The bytes of a model with opset 17. */
export function encodeModel(graph: Graph): Uint8Array {
  const message = modelType.create({
    ir_version: 8,
    opset_import: [{ domain: "", version: 17 }],
    graph: encodeGraph(graph),
  });
  return modelType.encode(message).finish();
}

function encodeGraph(graph: Graph): object {
  return {
    name: "bench",
    node: graph.nodes.map(({ op, inputs, output, attributes = [] }) => ({
      op_type: op,
      input: inputs,
      output: typeof output === "string" ? [output] : output,
      attribute: attributes.map(encodeAttribute),
    })),
    initializer: graph.initializers.map(({ name, shape, values }) => ({
      name,
      dims: shape,
      data_type: values instanceof Float32Array ? floatType : values instanceof Uint8Array ? booleanType : integerType,
      raw_data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    })),
    input: graph.inputs.map(encodeValue),
    output: graph.outputs.map(encodeValue),
  };
}

function encodeAttribute(attribute: Attribute): object {
  const { name } = attribute;
  if ("float" in attribute) return { name, type: attributeTypes.float, f: attribute.float };
  if ("graph" in attribute) return { name, type: attributeTypes.graph, g: encodeGraph(attribute.graph) };
  if ("integer" in attribute) return { name, type: attributeTypes.integer, i: attribute.integer };
  return { name, type: attributeTypes.integers, ints: attribute.integers };
}

function encodeValue({ name, shape, type }: Value): object {
  const dim = shape.map((size) => ({ dim_value: size }));
  const elementType = type === "integer" ? integerType : type === "boolean" ? booleanType : floatType;
  return { name, type: { tensor_type: { elem_type: elementType, shape: { dim } } } };
}
