import { Command } from 'commander';
import { vi } from 'vitest';
import { providers } from '#cli/providers.ts';

/** `cygnet providers …` in this process; what it prints. */
export async function cygnetProviders(...words: string[]): Promise<string> {
  const command = new Command('providers').option('--json').exitOverride();
  providers(command);
  let printed = '';
  const written = vi.spyOn(process.stdout, 'write').mockImplementation((part) => {
    printed += String(part);
    return true;
  });
  try {
    await command.parseAsync(words, { from: 'user' });
  } finally {
    written.mockRestore();
  }
  return printed;
}
