import { expect, test } from 'vitest';
import { openLog, writeInfo } from './log.ts';

test('a line written in the short way reads as one written in the general way', () => {
  const lines: string[] = [];
  const log = openLog({ level: 'info', destination: { write: (line) => void lines.push(line) } });
  const fields = { request: 'req_1', model: 'a "quoted"\nname', code: null, attempts: 1, ttftMs: 0.5 };
  const child = log.child({ room: 'gateway' });
  child.info(fields, 'A request was served.');
  writeInfo(child, fields, 'A request was served.');
  const [general, short] = lines.map((line) => ({ ...JSON.parse(line), time: 0 }));
  expect(short).toEqual(general);
  expect(lines.every((line) => line.indexOf('\n') === line.length - 1)).toBe(true);
});

test('a log that is not to write at info gets no line in the short way either', () => {
  const lines: string[] = [];
  const log = openLog({ level: 'warn', destination: { write: (line) => void lines.push(line) } });
  writeInfo(log, { request: 'req_1' }, 'A request was served.');
  expect(lines).toEqual([]);
});
