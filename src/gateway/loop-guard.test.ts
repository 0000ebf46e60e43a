import { describe, expect, test } from 'vitest';
import type { Fault } from '#kit/fault.ts';
import { LoopGuard } from './loop-guard.ts';

const guard = new LoopGuard(['cygnet-ours', 'cygnet-former']);

/** The code of the refusal, or what is sent on. */
function judged(header: string | undefined): string | undefined {
  try {
    return guard.pass(header);
  } catch (error) {
    return (error as Fault).code;
  }
}

describe('CDN-Loop', () => {
  test.each([
    [undefined, undefined],
    ['', undefined],
    [' , ,', undefined],
    ['cygnet-other', 'cygnet-other'],
    ['a.example:443; v="1, 2", b', 'a.example:443; v="1, 2", b'],
    ['x; was="cygnet-ours", y', 'x; was="cygnet-ours", y'],
    ['cygnet-ours', 'request-loops'],
    ['a, CYGNET-Ours;v=1 ,b', 'request-loops'],
    ['a, "odd", cygnet-former', 'request-loops'],
    ['a,b,c,d,e,f,g', 'a,b,c,d,e,f,g'],
    ['a,b,c,d,e,f,g,h', 'request-loops'],
    ['a'.repeat(1_001), 'request-loops'],
    ['a\u00e9', 'request-invalid'],
    ['a\u0000', 'request-invalid'],
  ])('%j: %j', (header, expected) => {
    expect(judged(header)).toBe(expected);
  });
});
