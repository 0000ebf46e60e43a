import { Check, Copy } from 'lucide-react';
import { useState } from 'react';
import { after } from '../surroundings.ts';
import { Button, IconButton } from './button.tsx';
import { toast } from './toast.tsx';

function useCopy(text: string): { copied: boolean; copy: () => void } {
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      after(1_600, () => setCopied(false));
    } catch {
      toast.failed('This browser does not let pages copy. Select the text and copy it yourself.');
    }
  };
  return { copied, copy: () => void copy() };
}

/** Copies a text; `label` says which. */
export function CopyButton({ text, label, words }: { text: string; label: string; words?: string }) {
  const { copied, copy } = useCopy(text);
  const icon = copied ? Check : Copy;
  return words === undefined ? (
    <IconButton icon={icon} label={copied ? 'Copied' : label} onClick={copy} />
  ) : (
    <Button icon={icon} size="sm" aria-label={label} onClick={copy}>
      {copied ? 'Copied' : words}
    </Button>
  );
}

/** An id, an address, a hash: in full for who copies it, short for who reads it. */
export function Id({ value, keep = 20 }: { value: string; keep?: number }) {
  const half = Math.floor((keep - 1) / 2);
  const shown = value.length <= keep ? value : `${value.slice(0, half)}…${value.slice(-half)}`;
  return (
    <span className="inline-flex items-center gap-1">
      <code className="font-mono text-sm" title={value}>
        {shown}
      </code>
      <CopyButton text={value} label={`Copy ${shown}`} />
    </span>
  );
}
