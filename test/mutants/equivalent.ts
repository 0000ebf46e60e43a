/**
 * Mutants that no test can kill, because what they do is the same, each with the reason. A mutant is named by the text of
 * its change alone (without line and column), so that a line added above changes nothing here.
 */
export const EQUIVALENT: Readonly<Record<string, string>> = {
  'MerkleDistributor available > promised → available >= promised':
    'Where both are the same the surplus is zero either way.',
  'ProviderCollateral amount < pledge.locked → amount <= pledge.locked':
    'Where both are the same it takes either, which is the same.',
  'ProviderCollateral rest < pledge.waiting → rest <= pledge.waiting':
    'Where both are the same it takes either, which is the same.',
};

/** A mutant's name without the place: `MerkleDistributor a < b → a <= b`. */
export function nameWithoutPlace(name: string): string {
  return name.replace(/:\d+:\d+ /, ' ');
}
