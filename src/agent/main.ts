import { packageVersion } from '#kit/package-root.ts';
import { agentCommand } from './command.ts';

// The entry of the program `cygnet-agent`. The process ends by itself when the agent has left: an exit here could cut off
// what is still being written.
await agentCommand().name('cygnet-agent').version(packageVersion()).parseAsync();
