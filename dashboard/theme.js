// Runs before anything is drawn, so that a dark page does not flash white. The policy of the pages forbids scripts inside
// the document; that is why this is a file of its own. `src/parts/theme.ts` keeps what it reads.
(() => {
  let wish = 'system';
  try {
    wish = localStorage.getItem('cygnet-theme') ?? 'system';
  } catch {
    // Storage is forbidden: the system decides.
  }
  const dark = wish === 'dark' || (wish !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
})();
