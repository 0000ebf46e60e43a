import { openEmbeddedDatabase } from '#db/embedded.ts';
import { systemClock } from '#kit/clock.ts';

// A process of its own that opens the embedded database of a data folder and holds it until it is killed.
const [dataFolder] = process.argv.slice(2);
if (!dataFolder) throw new Error('Which data folder?');
await openEmbeddedDatabase({ dataFolder, clock: systemClock });
process.stdout.write('open\n');
