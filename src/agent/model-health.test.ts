import { expect, test } from 'vitest';
import { openLog } from '#kit/log.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import type { Backend } from './backends/backend.ts';
import { HealthWatch } from './model-health.ts';

test('a model server that does not answer is a line of the log, from the first look on, and so is its coming back', async () => {
  const clock = new VirtualClock();
  const lines: string[] = [];
  const destination = {
    write: (line: string) => {
      const { level, model, msg } = JSON.parse(line) as { level: number; model: string; msg: string };
      lines.push(`${level} ${model} ${msg}`);
    },
  };
  let answers = false;
  const backendThat = (probe: () => boolean): Backend =>
    ({ probe: () => Promise.resolve(probe()) }) as unknown as Backend;
  const watch = new HealthWatch(clock, openLog({ level: 'info', destination }));
  await watch.add({ id: 'away', backend: backendThat(() => answers), concurrent: 1 }, 'hopeful');
  await watch.add({ id: 'well', backend: backendThat(() => true), concurrent: 1 }, 'hopeful');
  let changes = 0;
  watch.start(() => changes++);
  expect(lines).toEqual(['40 away the server of this model does not answer']);
  await clock.advance(120_000);
  expect([watch.of('away'), watch.of('well')]).toEqual(['unhealthy', 'healthy']);
  answers = true;
  await clock.advance(60_000);
  expect(watch.of('away')).toBe('healthy');
  // Each step once, however often it is looked at.
  expect(lines).toEqual([
    '40 away the server of this model does not answer',
    '40 away this model is offered no more until its server answers',
    '30 away the server of this model answers again',
  ]);
  expect(changes).toBe(2);
  await watch.close();
});
