import { Command, CommanderError } from 'commander';
import { Fault } from '#kit/fault.ts';
import { packageVersion } from '#kit/package-root.ts';
import { COMMANDS } from './commands.ts';
import { Refusal, WrongUsage } from './refusal.ts';

/**
 * `cygnet <command>`. Ends with 0 when the command did what it says, 1 when it was refused or failed, 2 when the command
 * line was wrong. Answers go to stdout (as JSON with `--json`), everything else, in one sentence, to stderr.
 */
export async function run(words: readonly string[]): Promise<number> {
  const program = new Command('cygnet')
    .description('An open, self-hostable market for AI inference.')
    .version(packageVersion())
    .option('--json', 'answer in JSON')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', MORE)
    .exitOverride()
    .configureOutput({
      outputError: (text, write) =>
        write(text.replace(/^error: (.)/, (_, first: string) => first.toUpperCase())),
    });
  for (const [name, { summary, load }] of Object.entries(COMMANDS)) {
    const command = program.command(name).description(summary);
    if (words.includes(name)) (await load())(command);
  }
  try {
    await program.parseAsync(words, { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) {
      // `help` and `version` come this way too, with 0.
      return error.exitCode === 0 ? 0 : 2;
    }
    process.stderr.write(`${sentence(error)}\n`);
    return error instanceof WrongUsage ? 2 : 1;
  }
}

const MORE = `
Start with:      npx cygnet start
About a command: npx cygnet help <command>
Settings are environment variables; .env.example lists them all with their defaults. Every command works on the data
folder that CYGNET_DATA_DIR names (./.cygnet), or on the database of DATABASE_URL.`;

/** The operator is told what we know: this is their own machine. */
function sentence(error: unknown): string {
  if (error instanceof Refusal || error instanceof WrongUsage || error instanceof Fault) return error.message;
  if (error instanceof Error)
    return error.name === 'ConfigProblems' ? error.message : `Failed: ${error.message}`;
  return `Failed: ${String(error)}`;
}
