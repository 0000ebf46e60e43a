import { Command } from 'commander';
import { systemClock } from '#kit/clock.ts';
import { openLog } from '#kit/log.ts';
import { packageVersion } from '#kit/package-root.ts';
import { systemRandomness } from '#kit/random.ts';
import { readAgentEnv } from './env.ts';
import { runProgram } from './hardware.ts';
import { type RunningAgent, runAgent } from './run.ts';
import { type AgentOptions, readSettings, SettingsError } from './settings.ts';

const EXIT_SETTINGS = 2;
const EXIT_FAILED = 1;

const EXAMPLES = `
The key is best given as INFERENCE_API_KEY: other users of a machine can read its command lines. A market lists its model
ids under /v1/models; <id> is one of them.

  vLLM, on the same machine:  cygnet agent --hub wss://hub.example --model zai-org/GLM-4.7-Flash=http://127.0.0.1:8000
  Ollama, its own name:       cygnet agent --hub wss://hub.example --model Qwen/Qwen3-8B=http://127.0.0.1:11434#qwen3:8b
  a model file, no server:    cygnet agent --hub ws://127.0.0.1:8081 --model cygnet/cygnet-nano=models/cygnet-nano-q8_0.gguf`;

/**
 * The command `cygnet agent`, which is also the whole of `cygnet-agent`. SIGTERM and SIGINT drain; a second one leaves at
 * once. Exit codes: 0 after leaving, 1 when something failed, 2 when a setting cannot be used.
 *
 * Once registered it prints one line on stdout, the log goes to stderr. With `--json` the line is
 * `{"event":"registered","models":[…],"extension":true,"node_id":"…","pid":…}`.
 */
export function agentCommand(): Command {
  return new Command('agent')
    .description('Serve models to a market: dial its hub, and answer what it sends.')
    .option(
      '--hub <url>',
      'the hub, ws://127.0.0.1:8081 or wss://…; may be repeated for the hubs of one market',
      repeated,
    )
    .option('--tls-ca <file>', 'believe these authorities about the hub, not the public ones (PEM)')
    .option('--tls-cert <file>', "this agent's certificate, for hubs that ask for one (PEM)")
    .option('--tls-key <file>', 'the key of that certificate (PEM)')
    .option('--key <key>', 'the provider key, sk-prov-… (better: the variable INFERENCE_API_KEY)')
    .option('--folder <path>', "where the node's key is kept; a Swan agent's folder is understood")
    .option(
      '--model <id=source>',
      'a model to serve: <id>=<http url>[#name there], <id>=<file.gguf>, <id>=rehearsal:<plan>; may be repeated',
      repeated,
    )
    .option('--name <name>', 'a name for this node')
    .option('--sequences <n>', 'requests a model file computes together (4)')
    .option('--threads <n>', 'threads for a model file (1)')
    .option('--gpu <auto|off>', 'whether a model file may use the GPU (auto)')
    .option('--concurrency <n>', 'requests at once over all models (256)')
    .option('--drain-seconds <n>', 'how long work under way may take after a wish to stop (60)')
    .option('--service <url>', "the market's REST address, to ask for this provider's standing at the start")
    .option('--allow-plain', 'allow ws:// to another machine: the key travels unencrypted')
    .option('--json', 'print the ready line as JSON')
    .option('--log-level <level>', 'trace, debug, info, warn, error or silent (info)')
    .addHelpText('after', EXAMPLES)
    .action(async (options: AgentOptions) => {
      process.exitCode = await serveUntilToldToStop(options);
    });
}

/** An option that may be given several times. */
function repeated(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

async function serveUntilToldToStop(options: AgentOptions): Promise<number> {
  let agent: RunningAgent;
  let json: boolean;
  try {
    const settings = readSettings(options, readAgentEnv());
    json = settings.json;
    agent = await runAgent(settings, {
      clock: systemClock,
      randomness: systemRandomness,
      log: openLog({ level: settings.logLevel, destination: process.stderr }),
      program: runProgram,
      machine: { platform: process.platform, arch: process.arch },
      version: packageVersion(),
    });
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : 'The agent could not start.'}\n`);
    return error instanceof SettingsError ? EXIT_SETTINGS : EXIT_FAILED;
  }
  const sayRegistered = async (): Promise<void> => {
    const { models, extension } = await agent.registered;
    const line = json
      ? JSON.stringify({ event: 'registered', models, extension, node_id: agent.nodeId, pid: process.pid })
      : `Registered. Serving ${models.join(', ') || 'nothing that the hub takes'}.`;
    process.stdout.write(`${line}\n`);
  };
  const sayRefused = async (): Promise<void> => {
    const reason = await agent.refused;
    process.stderr.write(
      `The hub refuses this agent: ${reason.replace(/\.$/, '')}. It tries again, slowly.\n`,
    );
  };
  void sayRegistered();
  void sayRefused();
  return new Promise((resolve) => {
    let asked = false;
    const stop = (): void => {
      const leaving = asked ? agent.close() : agent.drain();
      if (asked) process.exit(0);
      asked = true;
      leaving
        .then(
          () => resolve(0),
          () => resolve(EXIT_FAILED),
        )
        .finally(() => {
          // Who listens to the channel of a parent keeps the process alive by that.
          process.off('disconnect', stop);
        });
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    // A parent that started us with a channel and is gone needs us no more.
    process.on('disconnect', stop);
  });
}
