/** Small programs with control flow, as graphs in text. */

export const regression = (steps: number): string => `graph @fit(%x: f32[100], %y: f32[100]) {
  %z = const {dtype=f32, shape=[], data=[0]} : f32[]
  %0, %1 = scan captures(%x, %y), init(%z, %z), xs() {length=${steps}, reverse=false} : f32[], f32[]
    graph @step(%x: f32[100], %y: f32[100], %a: f32[], %b: f32[]) {
      %0 = mul %x, %a : f32[100]
      %1 = add %0, %b : f32[100]
      %2 = sub %1, %y : f32[100]
      %3 = mul %2, %x : f32[100]
      %4 = reduce %3 {op=add, axes=[0]} : f32[]
      %5 = reduce %2 {op=add, axes=[0]} : f32[]
      %rate = const {dtype=f32, shape=[], data=[0.001]} : f32[]
      %6 = mul %4, %rate : f32[]
      %7 = mul %5, %rate : f32[]
      %8 = sub %a, %6 : f32[]
      %9 = sub %b, %7 : f32[]
      return %8, %9
    }
  return %0, %1
}
`;

export const stencil = (steps: number): string => `graph @jacobi(%u: f32[18,18]) {
  %0 = scan captures(), init(%u), xs() {length=${steps}, reverse=false} : f32[18,18]
    graph @step(%u: f32[18,18]) {
      %n = slice %u {start=[0,1], limit=[16,17], step=[1,1]} : f32[16,16]
      %s = slice %u {start=[2,1], limit=[18,17], step=[1,1]} : f32[16,16]
      %w = slice %u {start=[1,0], limit=[17,16], step=[1,1]} : f32[16,16]
      %e = slice %u {start=[1,2], limit=[17,18], step=[1,1]} : f32[16,16]
      %1 = add %n, %s : f32[16,16]
      %2 = add %1, %w : f32[16,16]
      %3 = add %2, %e : f32[16,16]
      %q = const {dtype=f32, shape=[], data=[0.25]} : f32[]
      %4 = mul %3, %q : f32[16,16]
      %one = const {dtype=i32, shape=[], data=[1]} : i32[]
      %5 = dynamicUpdateSlice %u, %4, %one, %one : f32[18,18]
      return %5
    }
  return %0
}
`;

export const recurrent = `graph @rnn(%x: f32[6,4,8], %w: f32[8,8], %u: f32[8,8], %b: f32[8], %h: f32[4,8]) {
  %0, %1 = scan captures(%w, %u, %b), init(%h), xs(%x) {length=6, reverse=true} : f32[4,8], f32[6,4,8]
    graph @step(%w: f32[8,8], %u: f32[8,8], %b: f32[8], %h: f32[4,8], %x: f32[4,8]) {
      %0 = dot %x, %w {batch=[[],[]], contract=[[1],[0]]} : f32[4,8]
      %1 = dot %h, %u {batch=[[],[]], contract=[[1],[0]]} : f32[4,8]
      %2 = add %0, %1 : f32[4,8]
      %3 = broadcast %b {shape=[4,8], dims=[1]} : f32[4,8]
      %4 = add %2, %3 : f32[4,8]
      %5 = tanh %4 : f32[4,8]
      return %5, %5
    }
  return %0, %1
}
`;

/** A while loop over a table: `body` makes %new of the table %t at %i. */
export const walk = (body: string): string => `graph @walk(%t: state f32[40], %n: i32[]) {
  %i = const {dtype=i32, shape=[], data=[1]} : i32[]
  %0, %1 = while captures(%n), init(%i, %t) : i32[], f32[40]
    graph @test(%n: i32[], %i: i32[], %t: f32[40]) {
      %0 = lt %i, %n : bool[]
      return %0
    }
    graph @body(%n: i32[], %i: i32[], %t: f32[40]) {
      %one = const {dtype=i32, shape=[], data=[1]} : i32[]
      %next = add %i, %one : i32[]
${body}
      return %next, %new
    }
  return state[0] %1, %0
}
`;

export const bubble = `graph @bubble(%x: f32[9]) {
  %i = iota {dtype=i32, shape=[8], axis=0} : i32[8]
  %0 = scan captures(%i), init(%x), xs() {length=9, reverse=false} : f32[9]
    graph @outer(%is: i32[8], %x: f32[9]) {
      %0 = scan captures(), init(%x), xs(%is) {length=8, reverse=false} : f32[9]
        graph @inner(%x: f32[9], %j: i32[]) {
          %one = const {dtype=i32, shape=[], data=[1]} : i32[]
          %k = add %j, %one : i32[]
          %a = dynamicSlice %x, %j {sizes=[1]} : f32[1]
          %b = dynamicSlice %x, %k {sizes=[1]} : f32[1]
          %a0 = reshape %a {shape=[]} : f32[]
          %b0 = reshape %b {shape=[]} : f32[]
          %c = gt %a0, %b0 : bool[]
          %r = cond index(%c), captures(%x, %a, %b, %j, %k) : f32[9]
            graph @no(%x: f32[9], %a: f32[1], %b: f32[1], %j: i32[], %k: i32[]) {
              return %x
            }
            graph @yes(%x: f32[9], %a: f32[1], %b: f32[1], %j: i32[], %k: i32[]) {
              %0 = dynamicUpdateSlice %x, %b, %j : f32[9]
              %1 = dynamicUpdateSlice %0, %a, %k : f32[9]
              return %1
            }
          return %r
        }
      return %0
    }
  return %0
}
`;

export const newton = `graph @root(%a: f32[]) {
  %one = const {dtype=f32, shape=[], data=[1]} : f32[]
  %0 = while captures(%a), init(%one) : f32[]
    graph @test(%a: f32[], %x: f32[]) {
      %0 = mul %x, %x : f32[]
      %1 = sub %0, %a : f32[]
      %2 = abs %1 : f32[]
      %eps = const {dtype=f32, shape=[], data=[0.001]} : f32[]
      %3 = gt %2, %eps : bool[]
      return %3
    }
    graph @body(%a: f32[], %x: f32[]) {
      %0 = div %a, %x : f32[]
      %1 = add %x, %0 : f32[]
      %h = const {dtype=f32, shape=[], data=[0.5]} : f32[]
      %2 = mul %1, %h : f32[]
      return %2
    }
  return %0
}
`;

export const fibonacci = `graph @fibonacci(%a: f32[], %b: f32[]) {
  %0, %1 = scan captures(), init(%a, %b), xs() {length=7, reverse=false} : f32[], f32[]
    graph @step(%x: f32[], %y: f32[]) {
      %0 = add %x, %y : f32[]
      return %y, %0
    }
  return %0, %1
}
`;

export const turning = `graph @turning(%a: f32[3], %b: f32[3], %c: f32[3]) {
  %0, %1, %2 = scan captures(), init(%a, %b, %c), xs() {length=4, reverse=false} : f32[3], f32[3], f32[3]
    graph @step(%x: f32[3], %y: f32[3], %z: f32[3]) {
      return %y, %z, %x
    }
  return %0, %1, %2
}
`;

export const pick = `graph @pick(%p: bool[], %x: f32[8], %w: state f32[8]) {
  %0, %1 = cond index(%p), captures(%x, %w) : f32[8], f32[8]
    graph @no(%x: f32[8], %w: f32[8]) {
      return %x, %w
    }
    graph @yes(%x: f32[8], %w: f32[8]) {
      %0 = add %x, %w : f32[8]
      %1 = mul %x, %w : f32[8]
      return %0, %1
    }
  return %0, state[2] %1
}
`;
