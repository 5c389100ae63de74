/** What the host answered in one run of a program, so that the program can be run again without asking twice. */
import { allocate, type HostFunction, type HostValue } from "@sinter/ir";

export class HostLog {
  private readonly answers: (readonly HostValue[] | number)[] = [];

  /** Asks `host`, and keeps what it answers. */
  recording(host: HostFunction): HostFunction {
    return (call, values) => {
      const answer = host(call, values);
      this.answers.push(
        typeof answer === "number" ? answer : answer.map((value) => ({ ...value, data: value.data.slice() })),
      );
      return answer;
    };
  }

  /** Answers as was answered, from call number `from` on; prints nothing. */
  replaying(from = 0): HostFunction {
    let next = from;
    return ({ results }) => {
      const known = this.answers[next++];
      // Past the end is only a run that goes on where the first stopped: nobody looks at what it makes of zeros.
      return known ?? results.slice(1).map(({ dtype, shape }) => zeros(dtype, shape));
    };
  }
}

function zeros(dtype: HostValue["dtype"], shape: readonly number[]): HostValue {
  return { dtype, shape, data: allocate(dtype, sizeOf(shape)) };
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);
