/** A swan in one stroke. */
export function Logo({ size = 26 }: { size?: number }) {
  return (
    <svg viewBox="0 0 32 32" width={size} height={size} aria-hidden="true">
      <rect width="32" height="32" rx="9" fill="var(--accent)" />
      <path
        d="M8.5 19.2c2.600 4.300 13.800 4.600 15 .2.900-3.300-3.200-3.600-5.600-3.900-3-.400-4.700-1.700-4.300-4.100.400-2.600 3.800-3.300 5.200-1.300"
        fill="none"
        stroke="var(--accent-ink)"
        strokeWidth="2.5"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
    </svg>
  );
}
