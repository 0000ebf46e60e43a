import { spawn } from 'node:child_process';
import path from 'node:path';
import type { Command } from 'commander';
import { packageRoot } from '#kit/package-root.ts';

/**
 * `cygnet agent …` hands its words to the agent's own program (`cygnet-agent`), which holds nothing of the market. The
 * agent takes signals itself; this process only waits for it and ends as it ended.
 */
export function agent(command: Command): void {
  command
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .argument('[words...]')
    .action(async (_words: readonly string[], _options: unknown, self: Command) => {
      // The option that all commands share was taken by `cygnet` itself.
      const { json } = self.optsWithGlobals<{ json?: boolean }>();
      const words = json ? [...self.args, '--json'] : self.args;
      const child = spawn(process.execPath, [agentProgram(), ...words], { stdio: 'inherit' });
      // Ctrl-C reaches everybody at the terminal by itself; passed on, it would be the second wish to stop, which is obeyed
      // at once.
      const atTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
        process.on(signal, () => (signal === 'SIGINT' && atTerminal) || child.kill(signal));
      process.exitCode = await new Promise<number>((resolve, reject) => {
        child.on('error', reject);
        child.on('exit', (code) => resolve(code ?? 1));
      });
    });
}

/** The agent's program beside this one. */
export function agentProgram(): string {
  return path.join(packageRoot(), 'dist', 'agent.mjs');
}
