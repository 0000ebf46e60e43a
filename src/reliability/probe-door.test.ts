import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { systemClock } from '#kit/clock.ts';
import { seededRandomness } from '#kit/random.ts';
import { judgeProbe, makeQuestion } from './probe-check.ts';
import { ProbeDoor } from './probe-door.ts';

const question = makeQuestion(seededRandomness(2));

test.each([
  ['the same for every text', () => [1, 0]],
  ['another for the same text', (_text: string, at: number) => (at === 0 ? [1, 0] : [0, 1])],
  ['no number', () => [null, 1]],
  ['without direction', () => [0, 0]],
])('says that a vector is wrong that is %s', async (_name, vectorOf) => {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => (body += part));
    request.on('end', () => {
      const { input } = JSON.parse(body) as { input: string[] };
      response.end(JSON.stringify({ data: input.map((text, at) => ({ embedding: vectorOf(text, at) })) }));
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const door = new ProbeDoor({ clock: systemClock, random: seededRandomness(3) });
  door.opened({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, tls: false });
  const answer = await door.askVectors('m', question);
  expect(judgeProbe(question, answer, { one: true, rightIsUsual: true })).toEqual({
    verdict: 'failed',
    because: 'the answer was wrong',
  });
  await door.close();
  server.close();
});
