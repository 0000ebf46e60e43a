import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { childEnvironment } from '#config/env.ts';
import { systemClock } from '#kit/clock.ts';
import type { Sealed } from '#kit/sealed.ts';
import { agentProgram } from './agent.ts';
import { Refusal } from './refusal.ts';

// Agents of demonstrations: processes of their own, which are started, waited for, and killed or asked to go.

const AGENT_WAIT_MS = 60_000;

/** Starts the agent's program. `INFERENCE_API_KEY` is how it gets its key: other users of the machine see no command line with it. */
export function startAgent(
  about: { hub: string; folder: string; name: string; models: readonly string[] },
  key: Sealed<string>,
  program: string = agentProgram(),
): ChildProcess {
  const words = [
    '--hub',
    about.hub,
    '--folder',
    about.folder,
    '--name',
    about.name,
    '--json',
    '--concurrency',
    '64',
  ];
  for (const model of about.models) words.push('--model', model);
  return spawn(process.execPath, [program, ...words, '--log-level', 'silent'], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    env: { ...childEnvironment(), INFERENCE_API_KEY: key.open() },
  });
}

/** Resolves when the agent says that it is registered; refuses when it ends or takes too long. */
export async function registered(agent: ChildProcess, name: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const late = systemClock.after(AGENT_WAIT_MS, () =>
      reject(new Refusal(`The agent ${name} did not register within ${AGENT_WAIT_MS / 1_000} seconds.`)),
    );
    agent.on('exit', () => reject(new Refusal(`The agent ${name} ended before it registered.`)));
    if (!agent.stdout) return;
    createInterface({ input: agent.stdout }).on('line', (line) => {
      if (!line.includes('"event":"registered"')) return;
      late.cancel();
      resolve();
    });
  });
}

/** Asks an agent to go and waits for it. Harmless when it has gone. */
export async function leave(agent: ChildProcess): Promise<void> {
  if (agent.exitCode !== null || agent.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => agent.once('exit', () => resolve()));
  agent.kill('SIGTERM');
  await gone;
}
