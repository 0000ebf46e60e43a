import { CopyButton } from '../../parts/copy.tsx';
import { Notice } from '../../parts/notice.tsx';

/** A key's secret, this once. */
export function Secret({ secret }: { secret: string }) {
  return (
    <>
      <div className="flex items-center gap-3 rounded-xl border border-line-strong bg-code p-3.5">
        <code className="min-w-0 flex-1 font-mono text-sm wrap-anywhere" data-secret>
          {secret}
        </code>
        <CopyButton text={secret} label="Copy the key" words="Copy" />
      </div>
      <Notice tone="warn" title="Shown this once" className="mt-4">
        Keep it where you keep secrets. We keep only its hash and cannot show it again.
      </Notice>
    </>
  );
}
