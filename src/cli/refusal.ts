/** Something a command will not do, in one sentence for whoever typed it. The program ends with 1. */
export class Refusal extends Error {
  override name = 'Refusal';
}

/** A command line that does not say what it must, in one sentence. The program ends with 2. */
export class WrongUsage extends Error {
  override name = 'WrongUsage';
}
