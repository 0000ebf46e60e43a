import { Command } from 'commander';
import { systemClock } from '#kit/clock.ts';
import { systemRandomness } from '#kit/random.ts';
import { type Answer, print } from './commands/print.ts';
import { type AgentEnv, readAgentEnv } from './env.ts';
import { findHardware, runProgram } from './hardware.ts';
import { type AgentOptions, SettingsError } from './settings.ts';

/**
 * The command `cygnet agent`, which is also the whole of `cygnet-agent`: every subcommand on one page. `run` is meant where
 * none is named. What a subcommand does is loaded when it is called. Exit codes: 0 when it did what it says, 1 when something
 * failed or is wrong, 2 when a setting cannot be used. With `--json` answers are JSON on stdout; everything else is on stderr.
 */
export function agentCommand(): Command {
  const agent = new Command('agent').description('Serve models to a market, and be paid for it.');

  agent
    .command('setup')
    .description('from nothing to a machine that can serve: account, key, model servers, models')
    .option('--market <url>', "the market's address, https://market.example")
    .option('--email <address>', 'log in with this account; the password in CYGNET_AGENT_PASSWORD')
    .option('--sign-up', 'make the account')
    .option('--provider <name>', 'what you are called as a provider')
    .option('--wallet <address>', 'where earnings are paid to, for a new provider')
    .option('--key <key>', 'a provider key that you have (better: INFERENCE_API_KEY)')
    .option('--hub <url>', 'where agents connect, if it is not found by itself')
    .option('--name <name>', "a name for this node (the machine's)")
    .option(
      '--backend <url>',
      'a model server to look at, in place of the usual ports; may be repeated',
      repeated,
    )
    .option('--backend-key <key>', 'the key that those servers want')
    .option('--model <id=source>', 'a model to serve, as for run; may be repeated', repeated)
    .option('--no-discover', 'look at no usual port')
    .option('--folder <path>', FOLDER)
    .option(
      '--allow-plain',
      'allow http:// and ws:// to another machine: password and key travel unencrypted',
    )
    .option('--yes', 'ask nothing: take what is sure, and end where something is missing')
    .option('--json', 'answer in JSON; asks nothing')
    .addHelpText('after', SETUP_EXAMPLES)
    .action(
      doing<SetupWords>(async (options, env) => {
        const { setUpAndSay } = await import('./commands/setup-command.ts');
        return await setUpAndSay(options, {
          env,
          randomness: systemRandomness,
          hardware: await findHardware(runProgram, process),
        });
      }),
    );

  agent
    .command('run', { isDefault: true })
    .description('serve: dial the hub, and answer what it sends')
    .option(
      '--hub <url>',
      'the hub, ws://127.0.0.1:8081 or wss://…; may be repeated for the hubs of one market',
      repeated,
    )
    .option('--tls-ca <file>', 'believe these authorities about the hub, not the public ones (PEM)')
    .option('--tls-cert <file>', "this agent's certificate, for hubs that ask for one (PEM)")
    .option('--tls-key <file>', 'the key of that certificate (PEM)')
    .option('--key <key>', 'the provider key, sk-prov-… (better: the variable INFERENCE_API_KEY)')
    .option('--folder <path>', FOLDER)
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
    .option('--requests-per-minute <n>', 'requests begun in a minute over all models (no limit)')
    .option(
      '--api <address>',
      'where the local REST interface listens: a port of this machine, host:port, or off',
    )
    .option('--drain-seconds <n>', 'how long work under way may take after a wish to stop (60)')
    .option('--service <url>', "the market's REST address")
    .option('--allow-plain', 'allow ws:// to another machine: the key travels unencrypted')
    .option('--plain', 'plain lines, also at a terminal')
    .option('--json', 'print the ready line as JSON')
    .option('--log-level <level>', 'trace, debug, info, warn, error or silent (info)')
    .addHelpText('after', RUN_EXAMPLES)
    .action(async (options: AgentOptions) => {
      const { runUntilToldToStop } = await import('./commands/run.ts');
      process.exitCode = await runUntilToldToStop(options);
    });

  asking(agent.command('status').description('how the running agent is, and where you stand at the market'))
    .option('--alive', 'only whether it runs and is registered, by the exit code; for health checks')
    .action(
      doing<{ alive?: boolean }>(async (options, env) => {
        const { alive, status } = await import('./commands/status.ts');
        return await (options.alive ? alive : status)(options, env);
      }),
    );
  asking(agent.command('models').description('what is served here, and what the market makes of it'))
    .option('--all', 'everything that the market sells, by what one more provider would earn')
    .action(doing(async (options, env) => (await import('./commands/models.ts')).models(options, env)));
  asking(agent.command('earnings').description('what came in, by time and by model'))
    .option('--days <n>', '1, 7 or 30 (7)')
    .action(
      doing<{ days?: string }>(async (options, env) => {
        if (!['1', '7', '30', undefined].includes(options.days))
          throw new SettingsError(`--days ${options.days}: 1, 7 or 30.`);
        return (await import('./commands/earnings.ts')).earnings(options, env);
      }),
    );
  asking(
    agent
      .command('deposit')
      .description('how collateral is pledged here, and telling the market that it was'),
  )
    .option('--owner <address>', 'the wallet that pledges; can be said once')
    .option('--tx <hash>', 'the transaction of a deposit')
    .option('--chain <id>', 'the chain of that transaction')
    .option('--usd <amount>', 'dollars that you are about to pay')
    .action(doing(async (options, env) => (await import('./commands/deposit.ts')).deposit(options, env)));
  asking(agent.command('claim').description('collect what was promised to your wallet'))
    .option('--set-wallet <address>', 'have earnings paid to this wallet from now on')
    .option('--wallet <address>', 'look at this wallet, not at the one that is set')
    .option('--rpc <url>', 'an RPC server of the chain')
    .option('--key-file <file>', "a file with the wallet's private key (default: CYGNET_WALLET_KEY)")
    .option('--contract <address>', 'the contract that pays, as you know it: the market must name the same')
    .action(
      doing(async (options, env) => (await import('./commands/claim.ts')).claim(options, env, systemClock)),
    );
  asking(
    agent
      .command('why')
      .description('why requests come or do not: every gate with its figure, your place, what would win')
      .argument('[model]', 'one model; without it, all that you offer'),
  ).action(
    async (model: string | undefined, options: { json?: boolean }, self: Command) =>
      await doing(async (words, env) => (await import('./commands/why.ts')).why(model, words, env))(
        options,
        self,
      ),
  );
  asking(
    agent
      .command('appeal')
      .description('ask the operator to look again at a failed benchmark or a slash; without one, list them')
      .argument('[about]', 'the run, or the finding'),
  )
    .option('--reason <text>', 'what went wrong; the operator reads it')
    .action(
      async (about: string | undefined, options: { json?: boolean }, self: Command) =>
        await doing(async (words, env) => (await import('./commands/appeal.ts')).appeal(about, words, env))(
          options,
          self,
        ),
    );
  asking(agent.command('doctor').description('check every link from GPU to payout, and say what to do'))
    .option('--quick', 'ask no model for an answer')
    .action(
      doing(async (options, env) =>
        (await import('./commands/doctor.ts')).doctor(options, env, {
          clock: systemClock,
          randomness: systemRandomness,
          hardware: await findHardware(runProgram, process),
        }),
      ),
    );
  agent
    .command('limit')
    .description('change limits of the running agent, until its next start')
    .argument('[model]', 'of one model; without it, of all together')
    .option('--concurrency <n>', 'requests at once')
    .option('--requests-per-minute <n>', 'requests begun in a minute, or off')
    .option('--folder <path>', FOLDER)
    .option('--json', 'answer in JSON')
    .action(async (model: string | undefined, options: LimitWords, self: Command) => {
      await doing<LimitWords>(async (words, env) =>
        (await import('./commands/limit.ts')).limit(model, words, env),
      )(options, self);
    });
  agent
    .command('reload')
    .description('have the running agent read models.json now')
    .option('--folder <path>', FOLDER)
    .option('--json', 'answer in JSON')
    .action(doing(async (options, env) => (await import('./commands/limit.ts')).reload(options, env)));
  return agent;
}

const FOLDER = "the folder of the node's key and settings (~/.cygnet-agent); a Swan agent's is understood";

const RUN_EXAMPLES = `
After \`cygnet agent setup\` no option is needed. Without it:

  vLLM, on the same machine:  cygnet agent run --hub wss://hub.example --model zai-org/GLM-4.7-Flash=http://127.0.0.1:8000
  Ollama, its own name:       cygnet agent run --hub wss://hub.example --model Qwen/Qwen3-8B=http://127.0.0.1:11434#qwen3:8b
  a model file, no server:    cygnet agent run --hub ws://127.0.0.1:8081 --model cygnet/cygnet-nano=models/cygnet-nano-q8_0.gguf

The key is best given as INFERENCE_API_KEY: other users of a machine can read its command lines.`;

const SETUP_EXAMPLES = `
At a terminal it asks for what is missing. A script says everything:

  CYGNET_AGENT_PASSWORD=… cygnet agent setup --yes --market https://market.example --email me@example.org --sign-up`;

interface SetupWords {
  yes?: boolean;
  json?: boolean;
}
interface LimitWords {
  concurrency?: string;
  requestsPerMinute?: string;
  folder?: string;
  json?: boolean;
}

/** What every command has that asks the market. */
function asking(command: Command): Command {
  return command
    .option('--folder <path>', FOLDER)
    .option('--market <url>', "the market's address, where the folder does not name it")
    .option('--key <key>', 'the provider key, where the folder does not name it (better: INFERENCE_API_KEY)')
    .option('--json', 'answer in JSON');
}

/** An option that may be given several times. */
function repeated(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

/** Prints what `work` answers, or what went wrong in one sentence, and sets the exit code. */
function doing<Words extends object>(
  work: (options: Words & { json?: boolean }, env: AgentEnv) => Promise<Answer & { exitCode?: number }>,
): (options: Words & { json?: boolean }, self: Command) => Promise<void> {
  return async (options) => {
    try {
      const answer = await work(options, readAgentEnv());
      print(answer, options.json);
      process.exitCode = answer.exitCode ?? 0;
    } catch (error) {
      process.stderr.write(`${error instanceof Error ? error.message : 'Something went wrong.'}\n`);
      process.exitCode = error instanceof SettingsError ? 2 : 1;
    }
  };
}
