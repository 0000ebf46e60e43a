import { run } from './run.ts';

const code = await run(process.argv.slice(2));
// A command that answered may still have found something wrong (an audit) and said so in `exitCode`.
process.exitCode = code === 0 ? process.exitCode : code;
