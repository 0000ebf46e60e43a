import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pause, systemClock } from '#kit/clock.ts';
import { Program } from '#support/program.ts';
import type { Footing } from './wires.ts';

/** A gateway as a process, on a folder that outlives it. */
export class ChaosGateway {
  readonly url: string;
  readonly hubUrl: string;
  readonly #env: Record<string, string>;
  readonly #within: readonly string[];
  readonly instance: string;
  readonly folder: string;
  #lives = 0;
  #program: Program | undefined;
  /** When it was told to end, or died, and when it was up again, by `performance.now`. */
  readonly #gaps: { from: number; until: number }[] = [];
  /** Resolves when it is up; replaced whenever it goes down. */
  up: Promise<void> = Promise.resolve();
  isUp = false;
  /** The program of its next life, where it is another than the built one: a file. */
  program: string | undefined;
  readonly readyMs: number[] = [];
  /** How often it died without warning, young lives included. */
  kills = 0;
  /** What its lives said that nobody should have to read. */
  readonly errors: string[] = [];
  #cameUp: () => void = () => {};
  /** The next life ends so many milliseconds after it began. */
  #diesAgainMs: number | undefined;
  #over = false;
  #living: Promise<void> = Promise.resolve();

  /** `order`: its place in the alphabet, and so who dials whom. `folder`: where it keeps what it must not lose. */
  constructor(
    order: number,
    ports: readonly [number, number, number],
    footing: Footing,
    env: Record<string, string>,
    folder = mkdtempSync(path.join(tmpdir(), 'cygnet-chaos-')),
  ) {
    this.instance = `inst_chaos${order}`;
    writeFileSync(path.join(folder, 'instance'), `${this.instance}\n`);
    const [gateway, hub, port] = ports;
    this.url = `http://${footing.host}:${gateway}`;
    this.hubUrl = `ws://${footing.host}:${hub}`;
    this.folder = folder;
    this.#within = footing.within;
    this.#env = {
      ...env,
      DATABASE_URL: footing.databaseUrl,
      CYGNET_REDIS_URL: footing.redisUrl,
      CYGNET_HOST: footing.host,
      CYGNET_LINK_HOST: footing.host,
      CYGNET_LINK_URL: footing.linkUrl,
      CYGNET_DATA_DIR: folder,
      CYGNET_GATEWAY_PORT: String(gateway),
      CYGNET_HUB_PORT: String(hub),
      CYGNET_LINK_PORT: String(port),
      CYGNET_LOG_LEVEL: 'warn',
    };
  }

  /** Starts it, and again whenever it ends, as a supervisor would. */
  async start(): Promise<void> {
    this.#wentDown();
    this.#living = this.#live();
    await this.up;
  }

  /** Dies without warning; `diesAgainMs`: the next life dies too, so long after its start. */
  kill(diesAgainMs?: number): void {
    this.#diesAgainMs = diesAgainMs;
    this.#wentDown();
    this.#program?.child.kill('SIGKILL');
    this.kills += 1;
  }

  /** Is stopped in order, and started again. Resolves when it is up. */
  async restart(): Promise<void> {
    await this.up;
    this.#wentDown();
    this.#program?.child.kill('SIGTERM');
    await this.up;
  }

  freeze(): void {
    this.#program?.child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#program?.child.kill('SIGCONT');
  }

  /** Ends it in order; how it ended. */
  async stop(): Promise<{ code: number | null; signal: NodeJS.Signals | null } | undefined> {
    await this.up;
    this.#over = true;
    return await this.#program?.stop('SIGTERM');
  }

  /** Resolves when its present life has said `text`. */
  async says(text: string): Promise<void> {
    await this.#program?.says(text);
  }

  get pid(): number | undefined {
    return this.#program?.child.pid;
  }

  /** What can be told of it, for who waits in vain. */
  describe(): string {
    const program = this.#program;
    const pid = program?.child.pid;
    const since = this.#gaps.at(-1);
    return [
      `${this.url} ${this.isUp ? 'up' : `down since ${Math.round((performance.now() - (since?.from ?? 0)) / 1_000)} s`},`,
      `life ${this.#lives}, process ${pid} ${program?.running ? stateOf(pid) : 'ended'};`,
      'it said last:\n',
      `${program?.out ?? ''}${program?.err ?? ''}`.slice(-SAID_LAST),
    ].join(' ');
  }

  /** Whether it was down at any time between. */
  wasDown(from: number, until: number): boolean {
    return this.#gaps.some((gap) => gap.from <= until && gap.until >= from);
  }

  async close(): Promise<void> {
    this.#over = true;
    await this.#program?.stop('SIGKILL');
    await this.#living;
    rmSync(this.folder, { recursive: true, force: true });
  }

  #wentDown(): void {
    if (!this.isUp && this.#gaps.length > 0) return;
    this.isUp = false;
    this.#gaps.push({ from: performance.now(), until: Number.POSITIVE_INFINITY });
    this.up = new Promise((resolve) => (this.#cameUp = resolve));
  }

  async #live(): Promise<void> {
    while (!this.#over) {
      const began = performance.now();
      // oxlint-disable-next-line no-await-in-loop -- one life after the other
      const program = await Program.start(['serve'], this.#env, {
        within: this.#within,
        ...(this.program !== undefined && { file: this.program }),
      });
      this.#program = program;
      this.#lives += 1;
      const diesMs = this.#diesAgainMs;
      this.#diesAgainMs = undefined;
      if (diesMs !== undefined) void this.#dieIn(diesMs, program);
      // oxlint-disable-next-line no-await-in-loop -- one life after the other
      else if (await this.#answers(program)) {
        this.readyMs.push(performance.now() - began);
        this.isUp = true;
        (this.#gaps.at(-1) as { until: number }).until = performance.now();
        this.#cameUp();
      }
      // oxlint-disable-next-line no-await-in-loop -- one life after the other
      await program.ended;
      if (!this.#over) this.#wentDown();
      this.#keepErrors(program);
      // oxlint-disable-next-line no-await-in-loop -- as a supervisor waits
      await pause(systemClock, 100);
    }
  }

  async #dieIn(diesMs: number, program: Program): Promise<void> {
    await pause(systemClock, diesMs);
    if (program.running) this.kills += 1;
    program.child.kill('SIGKILL');
  }

  /** False when it ended before it was ready. */
  async #answers(program: Program): Promise<boolean> {
    while (program.running) {
      // oxlint-disable-next-line no-await-in-loop -- asked until it answers
      const health = await fetch(`${this.url}/health`, { signal: AbortSignal.timeout(2_000) }).catch(
        () => undefined,
      );
      if (health?.ok) return true;
      // oxlint-disable-next-line no-await-in-loop -- asked until it answers
      await pause(systemClock, 20);
    }
    return false;
  }

  #keepErrors(program: Program): void {
    for (const line of `${program.out}\n${program.err}`.split('\n'))
      if (/"level":(50|60)|Error:|uncaught|unhandled/i.test(line) && this.errors.length < ERRORS_KEPT)
        this.errors.push(line);
  }
}

/** What Linux says that a process does; T: it is stopped. */
function stateOf(pid: number | undefined): string {
  try {
    return (readFileSync(`/proc/${pid}/status`, 'utf8').match(/State:\s+(.*)/)?.[1] ?? '').trim();
  } catch {
    return 'gone';
  }
}

const ERRORS_KEPT = 40;
const SAID_LAST = 1_500;
