import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { inject } from 'vitest';
import { askDesk } from './desk.ts';

/**
 * The real program, built as it ships, in a process of its own. What it says is kept; `ended` resolves with how it ended.
 * Its environment holds nothing of ours but PATH and what is given; the market neither probes itself nor asks its agents
 * questions of its own unless the test wants it. `within`: the words before its command, where it runs in a network of its own.
 */
export class Program {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  out = '';
  err = '';
  #over = false;
  #waiting: (() => void)[] = [];

  private constructor(command: readonly string[], options: SpawnOptions) {
    const [program, ...words] = command as [string, ...string[]];
    this.child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    this.child.stdout?.setEncoding('utf8').on('data', (part: string) => {
      this.out += part;
      this.#wake();
    });
    this.child.stderr?.setEncoding('utf8').on('data', (part: string) => {
      this.err += part;
      this.#wake();
    });
    this.ended = once(this.child, 'close').then(([code, signal]) => {
      this.#over = true;
      this.#wake();
      return { code, signal };
    });
  }

  static async start(
    words: readonly string[],
    env: Record<string, string>,
    options: SpawnOptions & { file?: string; within?: readonly string[] } = {},
  ): Promise<Program> {
    const { file, within = [], ...spawning } = options;
    return new Program([...within, process.execPath, file ?? (await builtProgram()), ...words], {
      ...spawning,
      env: { PATH: process.env['PATH'], CYGNET_PROBES: 'no', CYGNET_BENCHMARKS: 'off', ...env },
    });
  }

  /** Resolves when it has said `text`; rejects, with all it said, when it ends before. */
  async says(text: string | RegExp): Promise<void> {
    const has = (): boolean => {
      const said = this.out + this.err;
      return typeof text === 'string' ? said.includes(text) : text.test(said);
    };
    while (!has()) {
      if (this.#over) throw new Error(`The program ended without saying ${text}: ${this.out}${this.err}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Sends a signal and waits for the end. Harmless after it. */
  async stop(
    signal: NodeJS.Signals = 'SIGTERM',
  ): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    if (!this.#over) this.child.kill(signal);
    return await this.ended;
  }

  get running(): boolean {
    return !this.#over;
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** Runs a command to its end. */
export async function run(
  words: readonly string[],
  env: Record<string, string>,
  options: SpawnOptions & { file?: string } = {},
): Promise<{ code: number | null; out: string; err: string }> {
  const program = await Program.start(words, env, options);
  const { code } = await program.ended;
  return { code, out: program.out, err: program.err };
}

/** The path of the program as it is built, with its pages beside it; built anew if a source is younger. */
export async function builtProgram(): Promise<string> {
  return (await askDesk<{ program: string }>(inject('programDeskPort'))).program;
}
