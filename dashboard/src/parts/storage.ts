/** What this browser keeps between visits. Where storage is forbidden, nothing is kept and nothing breaks. */
export function kept(name: string): string | undefined {
  try {
    return localStorage.getItem(`cygnet-${name}`) ?? undefined;
  } catch {
    return undefined;
  }
}

export function keep(name: string, value: string | undefined): void {
  try {
    if (value === undefined) localStorage.removeItem(`cygnet-${name}`);
    else localStorage.setItem(`cygnet-${name}`, value);
  } catch {
    // Then it is asked for again.
  }
}
