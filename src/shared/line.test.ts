import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import { Line } from '#shared/line.ts';
import { CutLine } from '#support/cut-line.ts';
import { hasRedis, TestRedis } from '#support/redis.ts';

const closers: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

/** Between a process and Redis; loses the words with which a new line is greeted, as long as it is `deaf`. */
class DeafLine {
  deaf = false;
  lost = 0;
  readonly #open = new Set<Socket>();
  readonly #server = createServer((near) => {
    const far = connect(this.port, '127.0.0.1');
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#open.add(one);
      one.on('error', () => {});
      one.on('close', () => other.destroy());
      one.on('data', (part) => {
        if (one === near && this.deaf && /info\r\n\$6\r\nserver/i.test(String(part))) this.lost += 1;
        else other.write(part);
      });
    }
  });

  readonly port: number;

  constructor(port: number) {
    this.port = port;
  }

  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `redis://127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  cut(): void {
    for (const socket of this.#open) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

describe.skipIf(!hasRedis())('the line to Redis', () => {
  test('bug: a store that did not hear our greeting in time is greeted again, and is not away for ever', async () => {
    const redis = await TestRedis.open();
    closers.push(() => redis.close());
    const between = new DeafLine(redis.port);
    const url = await between.open();
    closers.push(() => between.close());
    const line = await Line.open({ url, instance: 'inst_deaf', clock: systemClock, log: silentLog });
    closers.push(() => line.close());
    expect(line.away).toBe(false);

    between.deaf = true;
    between.cut();
    await expect.poll(() => between.lost, { timeout: 10_000 }).toBeGreaterThan(0);
    expect(line.away).toBe(true);
    between.deaf = false;
    await expect.poll(() => line.away, { timeout: 10_000 }).toBe(false);
    // It says again what it is, too: the others see it.
    await line.beat();
    expect([...line.members.keys()]).toEqual(['inst_deaf']);
  });

  test('bug: a store that fell silent without closing anything is away, and asked no more, until a new line to it answers', async () => {
    const redis = await TestRedis.open();
    closers.push(() => redis.close());
    const { line: between, url } = await CutLine.to(redis.url);
    closers.push(() => between.close());
    const line = await Line.open({ url, instance: 'inst_lost', clock: systemClock, log: silentLog });
    closers.push(() => line.close());
    const heard: string[] = [];
    await line.hear('news', (text) => heard.push(text));
    const teller = await Line.open({
      url: redis.url,
      instance: 'inst_told',
      clock: systemClock,
      log: silentLog,
    });
    closers.push(() => teller.close());

    between.hush();
    await expect.poll(() => line.away, { timeout: 20_000 }).toBe(true);
    await expect(line.run('beat', [], [])).rejects.toThrow('no line to Redis');
    // Whatever is said to a socket that was connected then is lost, and nobody is told: the ear finds out by itself.
    between.forget();
    between.mend();
    await expect.poll(() => line.away, { timeout: 20_000 }).toBe(false);
    await expect
      .poll(
        () => {
          teller.tell('news', 'it is heard again');
          return heard;
        },
        { timeout: 20_000 },
      )
      .toContain('it is heard again');
  });
});
