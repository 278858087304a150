export function Progress({ value }: { value: number }) {
  return (
    <span role="progressbar" aria-label="Progress" aria-valuenow={value} aria-valuemin={0} aria-valuemax={100} className="mt-1 block h-1 overflow-hidden rounded-full bg-raised">
      <span className="block h-full bg-running" style={{ width: `${value}%` }} />
    </span>
  );
}
