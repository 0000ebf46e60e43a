import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Clock, Timer } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import type { Sealed } from '#kit/sealed.ts';

const FIRST_RESTART_MS = 500;
const LONGEST_RESTART_MS = 30_000;
/** An agent that lived this long is not in a loop of dying. */
const SOUND_LIFE_MS = 60_000;

/**
 * The agent beside the market, as a process of its own: what crashes the model runtime does not crash the market. An
 * agent that dies is started again, after a pause that doubles while it keeps dying. It gets its key by the environment,
 * which other users of the machine cannot read, and never by the command line.
 */
export class AgentProcess {
  readonly #parts: AgentProcessParts;
  #child: ChildProcess | undefined;
  #restart: Timer | undefined;
  #pauseMs = FIRST_RESTART_MS;
  #stopping = false;
  #heard: (() => void)[] = [];
  #isRegistered = false;

  constructor(parts: AgentProcessParts) {
    this.#parts = parts;
    this.#spawn();
  }

  /** True when the agent is registered at the hub; false when it is not within `withinMs`. */
  registered(withinMs: number): Promise<boolean> {
    if (this.#isRegistered) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = this.#parts.clock.after(withinMs, () => resolve(false));
      this.#heard.push(() => {
        timer.cancel();
        resolve(true);
      });
    });
  }

  /** Asks the agent to finish what it computes and leave; resolves when it has left. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#restart?.cancel();
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const left = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGTERM');
    await left;
  }

  #spawn(): void {
    const { program, words, key, clock, log } = this.#parts;
    const bornMs = clock.nowMs();
    const child = spawn(process.execPath, [program, ...words], {
      // With a channel, the agent notices when we are killed. A group of its own keeps Ctrl-C in the terminal from reaching
      // it directly: we ask it to leave, in order.
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: process.platform !== 'win32',
      env: { ...this.#parts.environment, INFERENCE_API_KEY: key.open() },
    });
    this.#child = child;
    if (child.stdout) createInterface({ input: child.stdout }).on('line', (line) => this.#said(line));
    if (child.stderr) {
      createInterface({ input: child.stderr }).on('line', (line) => log.info({ line }, 'The agent wrote to its log.'));
    }
    child.on('error', (error) => log.error({ err: error }, 'The agent could not be started.'));
    child.on('exit', (code, signal) => {
      this.#isRegistered = false;
      if (this.#stopping) return;
      if (clock.nowMs() - bornMs > SOUND_LIFE_MS) this.#pauseMs = FIRST_RESTART_MS;
      log.warn({ code, signal, againInMs: this.#pauseMs }, 'The agent died and is started again.');
      this.#restart = clock.after(this.#pauseMs, () => this.#spawn());
      this.#pauseMs = Math.min(LONGEST_RESTART_MS, this.#pauseMs * 2);
    });
  }

  #said(line: string): void {
    if (!line.includes('"event":"registered"')) return;
    this.#isRegistered = true;
    for (const hear of this.#heard.splice(0)) hear();
  }
}

export interface AgentProcessParts {
  readonly program: string;
  readonly words: readonly string[];
  readonly key: Sealed<string>;
  readonly environment: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly log: Logger;
}
