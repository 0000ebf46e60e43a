import { expect, test } from 'vitest';
import { spanIdOf, traceOf, traceparentOf } from './trace.ts';

const [TRACE, SPAN] = ['1'.repeat(32), '2'.repeat(16)];

test('the trace of the caller goes on, and its attempts are known before anything is made for them', () => {
  const trace = traceOf(`00-${TRACE}-${SPAN}-01`, 'req_1');
  expect(trace).toEqual({ traceId: TRACE, parentId: SPAN });
  expect(traceparentOf({ traceId: TRACE }, 'att_1')).toBe(`00-${TRACE}-${spanIdOf('att_1')}-01`);
  expect(traceOf(`cc-${TRACE}-${SPAN}-03-more`, 'req_1')).toEqual({ traceId: TRACE, parentId: SPAN });
  expect(traceOf(`00-${TRACE}-${SPAN}-00`, 'req_1')).toBeUndefined();
});

test.each([
  undefined,
  '',
  'x',
  `00-${'0'.repeat(32)}-${SPAN}-01`,
  `00-${TRACE}-${'0'.repeat(16)}-01`,
  `ff-${TRACE}-${SPAN}-01`,
  `00-${TRACE.toUpperCase().replaceAll('1', 'A')}-${SPAN}-01`,
  [`00-${TRACE}-${SPAN}-01`, `00-${TRACE}-${SPAN}-01`],
])('%s is no trace: one begins here, the same for the same request', (header) => {
  const own = traceOf(header, 'req_1');
  expect(own).toEqual({ traceId: expect.stringMatching(/^[0-9a-f]{32}$/) });
  expect(traceOf(header, 'req_1')).toEqual(own);
  expect(traceOf(header, 'req_2')).not.toEqual(own);
});
